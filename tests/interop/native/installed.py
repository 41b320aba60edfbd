"""A command-line tool by google-auth-oauthlib's InstalledAppFlow, unmodified: a free loopback port, the system's
browser, PKCE, no secret. Prints what it learned."""

import json
import os
import sys

import requests
from google_auth_oauthlib.flow import InstalledAppFlow

issuer, client_id = sys.argv[1:]
metadata = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=10).json()
# oauthlib wants https at the token endpoint; this issuer is on loopback.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
flow = InstalledAppFlow.from_client_config(
    {
        "installed": {
            "client_id": client_id,
            "client_secret": "",
            "auth_uri": metadata["authorization_endpoint"],
            "token_uri": metadata["token_endpoint"],
        }
    },
    scopes=["openid", "profile"],
    autogenerate_code_verifier=True,
)
credentials = flow.run_local_server(
    host="127.0.0.1", port=0, authorization_prompt_message=None, timeout_seconds=60
)
userinfo = flow.authorized_session().get(metadata["userinfo_endpoint"]).json()
print(json.dumps({"redirect_uri": flow.redirect_uri, "userinfo": userinfo, "valid": credentials.valid}))
