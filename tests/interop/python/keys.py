"""A Python application that proves itself by a key, pushes its request, and gets signed userinfo.

Authlib makes the assertions and swaps the code; joserfc (by the same author) checks what is signed. It speaks with the
test in lines, as client.py does.
"""

import json
import os
import sys
from urllib.parse import parse_qsl, urlencode, urlparse

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

issuer, redirect_uri = sys.argv[1], sys.argv[2]
metadata = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=10).json()
key = ECKey.import_key(json.loads(os.environ["CLIENT_KEY"]))
keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())

proof = PrivateKeyJWT(metadata["token_endpoint"], alg="ES256")
session = OAuth2Session(
    "python",
    key,
    scope="openid profile offline_access",
    redirect_uri=redirect_uri,
    code_challenge_method="S256",
    token_endpoint_auth_method=proof,
    revocation_endpoint_auth_method=proof,
)
verifier, nonce = "w" * 64, "n-0S6_WzA2Mj"
plain, state = session.create_authorization_url(
    metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
)

# Pushed (RFC 9126): what would stand in the address goes by itself, with a proof of its own.
parameters = dict(parse_qsl(urlparse(plain).query))
_, _, body = proof(session.client_auth("client_secret_post"), "POST", metadata["token_endpoint"], {}, urlencode(parameters))
pushed = requests.post(
    metadata["pushed_authorization_request_endpoint"],
    data=body,
    headers={"content-type": "application/x-www-form-urlencoded"},
    timeout=10,
).json()
query = urlencode({"client_id": "python", "request_uri": pushed["request_uri"]})
print(json.dumps({"url": f"{metadata['authorization_endpoint']}?{query}"}), flush=True)

token = session.fetch_token(
    metadata["token_endpoint"],
    authorization_response=sys.stdin.readline().strip(),
    state=state,
    code_verifier=verifier,
)
claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer},
    aud={"essential": True, "value": "python"},
    nonce={"essential": True, "value": nonce},
    exp={"essential": True},
).validate(claims)

answer = session.get(metadata["userinfo_endpoint"])
signed = jwt.decode(answer.text, keys, algorithms=["ES256"])
jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer},
    aud={"essential": True, "value": "python"},
    sub={"essential": True, "value": claims["sub"]},
).validate(signed.claims)

old = token["refresh_token"]
session.refresh_token(metadata["token_endpoint"], refresh_token=old)
assert session.token["refresh_token"] != old
session.revoke_token(metadata["revocation_endpoint"], token=session.token["refresh_token"])
gone = session.get(metadata["userinfo_endpoint"]).status_code
print(
    json.dumps(
        {"name": signed.claims["name"], "type": answer.headers["content-type"], "after_revocation": gone}
    ),
    flush=True,
)
