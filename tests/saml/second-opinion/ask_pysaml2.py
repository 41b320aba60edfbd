"""What pysaml2 says of SAML responses: one JSON object per line in, one out."""

import json
import logging
import os
import shutil
import sys

from saml2 import BINDING_HTTP_POST
from saml2.client import Saml2Client
from saml2.config import SPConfig

logging.disable(logging.CRITICAL)


def client(settings):
    """A service provider of these settings."""
    config = SPConfig()
    config.load(
        {
            "entityid": settings["entity_id"],
            "xmlsec_binary": shutil.which("xmlsec1"),
            "metadata": {"inline": [settings["metadata"]]},
            "key_file": settings["key_file"],
            "cert_file": settings["certificate_file"],
            "encryption_keypairs": [
                {"key_file": settings["key_file"], "cert_file": settings["certificate_file"]}
            ],
            "accepted_time_diff": 60,
            "allow_unknown_attributes": True,
            "service": {
                "sp": {
                    "endpoints": {
                        "assertion_consumer_service": [(settings["acs"], BINDING_HTTP_POST)]
                    },
                    "allow_unsolicited": False,
                    "want_assertions_signed": False,
                    "want_response_signed": False,
                    "want_assertions_or_response_signed": True,
                }
            },
        }
    )
    return Saml2Client(config)


def opinion(saml, message):
    """Whom the response vouches for, or why not."""
    try:
        response = saml.parse_authn_request_response(
            message["response"], BINDING_HTTP_POST, outstanding={message["request"]: "/"}
        )
        if response is None:
            return {"refused": "no response"}
        return {"name": response.get_subject().text}
    except BaseException as error:  # whatever it raises is a refusal
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return {"refused": f"{type(error).__name__}: {error}"[:200]}


def cost(saml, message):
    """Microseconds of CPU for one opinion, with the processes that it starts, in several rounds."""
    rounds = []
    for _ in range(9):
        start = os.times()
        for _ in range(message["times"]):
            if "name" not in opinion(saml, message):
                raise RuntimeError("refused what was accepted")
        rounds.append(sum(os.times()[:4]) - sum(start[:4]))
    return [took * 1e6 / message["times"] for took in rounds]


def main():
    saml = None
    out = sys.stdout
    sys.stdout = sys.stderr  # nothing of the library's may get between the lines
    for line in sys.stdin:
        message = json.loads(line)
        if "settings" in message:
            saml = client(message["settings"])
            continue
        answer = opinion(saml, message)
        if message.get("times") and "name" in answer:
            answer = {"microseconds": cost(saml, message)}
        print(json.dumps(answer), file=out, flush=True)


main()
