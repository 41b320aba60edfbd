"""A Python application (Authlib and requests, unmodified) that signs in through the broker.

It prints the address that a browser must open, reads the address to which the browser was sent back, and then
prints what it learned. Every check is Authlib's own.
"""

import json
import os
import sys

import requests
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet

issuer, redirect_uri = sys.argv[1], sys.argv[2]
metadata = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=10).json()
assert metadata["issuer"] == issuer

session = OAuth2Session(
    "app",
    os.environ["APP_SECRET"],
    scope="openid profile email groups offline_access",
    redirect_uri=redirect_uri,
    code_challenge_method="S256",
    token_endpoint_auth_method="client_secret_basic",
)
verifier, nonce = "v" * 64, "n-0S6_WzA2Mj"
url, _state = session.create_authorization_url(
    metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce
)
print(json.dumps({"url": url}), flush=True)

token = session.fetch_token(
    metadata["token_endpoint"], authorization_response=sys.stdin.readline().strip(), code_verifier=verifier
)
keys = KeySet.import_key_set(requests.get(metadata["jwks_uri"], timeout=10).json())
claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer},
    aud={"essential": True, "value": "app"},
    nonce={"essential": True, "value": nonce},
    exp={"essential": True},
).validate(claims)
userinfo = session.get(metadata["userinfo_endpoint"]).json()
assert userinfo["sub"] == claims["sub"]
old = token["refresh_token"]
session.refresh_token(metadata["token_endpoint"], refresh_token=old)
assert session.token["refresh_token"] != old
again = session.get(metadata["userinfo_endpoint"]).json()
session.revoke_token(metadata["revocation_endpoint"], token=session.token["refresh_token"])
gone = session.get(metadata["userinfo_endpoint"]).status_code
print(json.dumps({"userinfo": userinfo, "again": again, "after_revocation": gone}), flush=True)
