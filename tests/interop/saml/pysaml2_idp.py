"""An identity provider of pysaml2, unmodified, behind a page to choose a person on. Settings come as JSON on standard
input; one line, `ready`, says that it listens."""

import functools
import html
import json
import logging
import secrets
import signal
import sys
import threading
from http.cookies import SimpleCookie
from socketserver import ThreadingMixIn
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import saml2.entity
import saml2.sigver
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.authn_context import PASSWORDPROTECTEDTRANSPORT
from saml2.config import IdPConfig
from saml2.metadata import create_metadata_string
from saml2.saml import NAME_FORMAT_URI, NAMEID_FORMAT_PERSISTENT
from saml2.server import Server

settings = json.load(sys.stdin)
AES_GCM = "http://www.w3.org/2009/xmlenc11#aes128-gcm"
encrypt_as_it_does = saml2.sigver.pre_encryption_part, saml2.sigver.SecurityContext.encrypt_assertion.__defaults__


def encrypt_by(word):
    """pysaml2 has no setting for it: by itself it takes 3DES. The defaults of its functions name another algorithm."""
    part, (key_type, *rest) = encrypt_as_it_does
    if word == "aes-gcm":
        part, key_type = functools.partial(part, msg_enc=AES_GCM), "aes-128"
    saml2.entity.pre_encryption_part = part
    saml2.sigver.SecurityContext.encrypt_assertion.__defaults__ = (key_type, *rest)


logging.basicConfig(level=logging.INFO, stream=sys.stderr)
url = settings["url"]
SSO, SLO = f"{url}/sso", f"{url}/slo"
both = [BINDING_HTTP_REDIRECT, BINDING_HTTP_POST]

config = IdPConfig().load({
    "entityid": settings["entity_id"],
    "description": "pysaml2",
    "service": {
        "idp": {
            "endpoints": {
                "single_sign_on_service": [(SSO, binding) for binding in both],
                "single_logout_service": [(SLO, binding) for binding in both],
            },
            "policy": {"default": {
                "lifetime": {"minutes": 5},
                "attribute_restrictions": None,
                "name_form": NAME_FORMAT_URI,
                "nameid_format": NAMEID_FORMAT_PERSISTENT,
            }},
            "name_id_format": [NAMEID_FORMAT_PERSISTENT],
            "subject_data": settings["subjects"],
            "want_authn_requests_signed": True,
            "signing_algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
        },
    },
    "key_file": settings["key"],
    "cert_file": settings["certificate"],
    "xmlsec_binary": settings["xmlsec"],
    "metadata": {"local": settings["metadata"]},
    "delete_tmpfiles": True,
})
idp = Server(config=config)
metadata = create_metadata_string(None, config=config, sign=True)
sessions = {}
lock = threading.Lock()


def page(body, headers=()):
    text = f"<!doctype html><title>pysaml2</title>{body}".encode()
    return "200 OK", [("Content-Type", "text/html; charset=utf-8"), *headers], text


def sent(info):
    """A message of the library's, as the browser gets it."""
    redirect = [value for name, value in info["headers"] if name == "Location"]
    if redirect:
        return "303 See Other", [("Location", redirect[0])], b""
    data = info["data"]
    return "200 OK", [("Content-Type", "text/html; charset=utf-8")], ("".join(data) if isinstance(data, list) else data).encode()


def parse(reader, binding, message, fields):
    """Reads a request; the library checks its signature, in the message or beside it."""
    return reader(
        message, binding, relay_state=fields.get("RelayState"), sigalg=fields.get("SigAlg"), signature=fields.get("Signature"),
    )


def sign_in(binding, fields):
    parse(idp.parse_authn_request, binding, fields["SAMLRequest"], fields)
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in {**fields, "binding": binding}.items()
    )
    buttons = "".join(f'<button name="user" value="{name}">{name}</button>' for name in settings["people"])
    return page(f'<form method="post" action="/choose">{hidden}{buttons}</form>')


def choose(fields):
    request = parse(idp.parse_authn_request, fields.pop("binding"), fields["SAMLRequest"], fields)
    wishes = idp.response_args(request.message)
    variant = settings["variants"].get(wishes["sp_entity_id"], {})
    if wishes["binding"] != BINDING_HTTP_POST:
        raise ValueError(f"an answer by {wishes['binding']} was asked for")
    user = fields["user"]
    token = secrets.token_urlsafe()
    with lock:
        encrypt_by(variant.get("encrypt"))
        response = idp.create_authn_response(
            settings["people"][user], userid=user, authn={"class_ref": PASSWORDPROTECTEDTRANSPORT, "authn_auth": url},
            sign_assertion=variant.get("assertion", True), sign_response=variant.get("response", False),
            encrypt_assertion=bool(variant.get("encrypt")), encrypt_assertion_self_contained=True,
            **{name: wishes[name] for name in ("in_response_to", "destination", "sp_entity_id", "name_id_policy")},
        )
        name_id = idp.ident.find_nameid(user, sp_name_qualifier=wishes["sp_entity_id"])[0]
        sessions[token] = (user, name_id, wishes["sp_entity_id"])
    info = idp.apply_binding(BINDING_HTTP_POST, str(response), wishes["destination"], fields.get("RelayState", ""), response=True)
    status, headers, body = sent(info)
    return status, [*headers, ("Set-Cookie", f"pysaml2={token}; Path=/; HttpOnly")], body


def signed_by_partner(fields):
    certificates = (text for one in settings["partners"] for _, text in idp.metadata.certs(one, "any", "signing"))
    return any(saml2.sigver.verify_redirect_signature(fields, idp.sec.sec_backend, text) for text in certificates)


def single_logout(binding, fields, token):
    if "SAMLResponse" in fields:
        # Signatures beside responses are for whoever calls the library.
        if binding == BINDING_HTTP_REDIRECT and not signed_by_partner(fields):
            raise ValueError("the answer is not signed by a partner")
        answer = idp.parse_logout_request_response(fields["SAMLResponse"], binding)
        return page(f"<p id=\"logged-out\">{html.escape(answer.response.status.status_code.value)}</p>")
    request = parse(idp.parse_logout_request, binding, fields["SAMLRequest"], fields)
    name_id = request.message.name_id
    with lock:
        found = [one for one, (_, known, _) in sessions.items() if known.text == name_id.text]
        for one in found:
            del sessions[one]
    idp.session_db.remove_authn_statements(name_id)
    answer = idp.create_logout_response(request.message, [binding], sign=binding == BINDING_HTTP_POST)
    where = idp.response_args(request.message, [binding])["destination"]
    return sent(idp.apply_binding(binding, str(answer), where, fields.get("RelayState", ""), response=True, sign=True))


def sign_out(binding, token):
    """The person signs out here."""
    with lock:
        user, name_id, provider = sessions.pop(token)
    statements = idp.session_db.get_authn_statements(name_id)
    indexes = [statement.session_index for statement in statements[-1:] for statement in statement]
    services = idp.metadata.single_logout_service(provider, binding, "spsso")
    where = services[0]["location"]
    _, request = idp.create_logout_request(
        where, provider, name_id=name_id, session_indexes=indexes, sign=binding == BINDING_HTTP_POST,
    )
    return sent(idp.apply_binding(binding, str(request), where, "bye", sign=True))


def answer(environ):
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    query = environ["QUERY_STRING"]
    if method == "POST":
        query = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
    if path == "/variants":
        settings["variants"] = json.loads(query)
        return page("changed")
    fields = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
    cookie = SimpleCookie(environ.get("HTTP_COOKIE", "")).get("pysaml2")
    token = cookie.value if cookie else None
    binding = BINDING_HTTP_POST if method == "POST" else BINDING_HTTP_REDIRECT
    if path == "/metadata":
        return "200 OK", [("Content-Type", "application/samlmetadata+xml")], metadata if isinstance(metadata, bytes) else metadata.encode()
    if path == "/sso":
        return sign_in(binding, fields)
    if path == "/choose":
        return choose(fields)
    if path == "/slo":
        return single_logout(binding, fields, token)
    if path == "/sign-out":
        return sign_out(fields.get("binding", BINDING_HTTP_REDIRECT), token)
    if path == "/":
        return page(f"<p id=\"who\">{sessions[token][0] if token in sessions else 'nobody'}</p>")
    return "404 Not Found", [("Content-Type", "text/plain")], b"nothing here"


def application(environ, start_response):
    try:
        status, headers, body = answer(environ)
    except Exception as error:  # what the library raises is what the test wants to see
        logging.exception("refused")
        status, headers, body = "500 Refused", [("Content-Type", "text/plain")], f"{type(error).__name__}: {error}".encode()
    start_response(status, headers)
    return [body]


class Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


# What people are called is written down when the store is closed.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with make_server("127.0.0.1", settings["port"], application, Threaded, Quiet) as server:
    print("ready", flush=True)
    try:
        server.serve_forever()
    finally:
        idp.close()
