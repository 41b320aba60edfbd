//! The endpoints that programs call: token, revocation, introspection, userinfo. JSON in every case.

use crate::clients::authentication::no_secret_in_query;
use crate::clients::{Client, Credentials};
use crate::failure::{Failure, OAuthCode};
use crate::flow::refusals::Concerning;
use crate::flow::userinfo::UserinfoBody;
use crate::flow::{introspect, push, revoke, token, userinfo};
use crate::http::{Site, cors, delivery, request};
use crate::protocol::{Parameters, bearer};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN, PRAGMA, WWW_AUTHENTICATE,
};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use std::sync::Arc;

/// `POST /par` (RFC 9126 §2).
pub async fn push(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let call = match Call::read(&site, &request, payload).await {
        Ok(call) => call,
        Err(failure) => return refuse(&site, &request, None, &failure).await,
    };
    let source = request::source(&site, &request);
    let result = match call.form() {
        Ok(form) => push::push(&site.app, &source, call.authorization.as_deref(), &form).await,
        Err(failure) => Err(failure),
    };
    match result {
        Ok(answer) => {
            let reader = call.reader(&site, &request);
            let mut response = json(&site, &request, reader.as_deref(), &answer);
            response.head_mut().status = StatusCode::CREATED;
            response
        }
        Err(failure) => refuse(&site, &request, call.named_client(&site).as_deref(), &failure).await,
    }
}

/// `POST /token` (RFC 6749 §3.2).
pub async fn token(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let call = match Call::read(&site, &request, payload).await {
        Ok(call) => call,
        Err(failure) => return refuse(&site, &request, None, &failure).await,
    };
    let result = match call.form() {
        Ok(form) => token::token(&site.app, call.authorization.as_deref(), &form).await,
        Err(failure) => Err(failure),
    };
    match result {
        Ok(answer) => json(&site, &request, call.reader(&site, &request).as_deref(), &answer),
        Err(failure) => refuse(&site, &request, call.named_client(&site).as_deref(), &failure).await,
    }
}

/// `POST /revoke` (RFC 7009 §2).
pub async fn revoke(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let call = match Call::read(&site, &request, payload).await {
        Ok(call) => call,
        Err(failure) => return refuse(&site, &request, None, &failure).await,
    };
    let result = match call.form() {
        Ok(form) => revoke::revoke(&site.app, call.authorization.as_deref(), &form).await,
        Err(failure) => Err(failure),
    };
    match result {
        Ok(()) => {
            let mut response = HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).finish();
            let reader = call.reader(&site, &request);
            cors::for_client(&request, &site.app.now(), reader.as_deref(), &mut response);
            response
        }
        Err(failure) => refuse(&site, &request, call.named_client(&site).as_deref(), &failure).await,
    }
}

/// `POST /introspect` (RFC 7662 §2). Servers call it, so no page of another origin may read it.
pub async fn introspect(site: web::Data<Site>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let result = match Call::read(&site, &request, payload).await {
        Ok(call) => match call.form() {
            Ok(form) => introspect::introspect(&site.app, call.authorization.as_deref(), &form).await,
            Err(failure) => Err(failure),
        },
        Err(failure) => Err(failure),
    };
    match result {
        Ok(answer) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(answer),
        Err(failure) => {
            let mut response = delivery::json(&site, &request, &failure, Concerning::default()).await;
            ask_for_credentials(&mut response, &failure);
            response
        }
    }
}

/// `GET /userinfo` (OIDC Core §5.3.1).
pub async fn userinfo_get(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    userinfo(&site, &request, None).await
}

/// `POST /userinfo`: the token in the header, or in a form (RFC 6750 §2.2).
pub async fn userinfo_post(
    site: web::Data<Site>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    if !request.headers().contains_key(CONTENT_TYPE) {
        return userinfo(&site, &request, None).await;
    }
    match request::form(&site, &request, payload).await {
        Ok(body) => userinfo(&site, &request, Some(&body)).await,
        Err(failure) => refuse_bearer(&site, &request, &failure).await,
    }
}

/// As [`refuse`]. Whatever was wrong with the request, the challenge says so (RFC 6750 §3).
async fn refuse_bearer(site: &Site, request: &HttpRequest, failure: &Failure) -> HttpResponse {
    let mut response = refuse(site, request, None, failure).await;
    if failure.code == OAuthCode::InvalidRequest {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(BEARER_INVALID_REQUEST));
    }
    response
}

const BEARER_INVALID_REQUEST: &str = "Bearer realm=\"countersign\", error=\"invalid_request\"";

async fn userinfo(site: &Site, request: &HttpRequest, body: Option<&str>) -> HttpResponse {
    let result = match bearer_token(request, body) {
        Ok(token) => userinfo::userinfo(&site.app, &token).await,
        Err(failure) => Err(failure),
    };
    match result {
        Ok(answer) => match &answer.body {
            UserinfoBody::Plain(claims) => json(site, request, Some(&answer.client), claims),
            UserinfoBody::Signed(token) => signed(site, request, &answer.client, token),
        },
        Err(failure) => refuse_bearer(site, request, &failure).await,
    }
}

fn bearer_token(request: &HttpRequest, body: Option<&str>) -> Result<String, Failure> {
    let query = Parameters::decode(request.query_string())?;
    let form = body.map(Parameters::decode).transpose()?;
    if let Some(form) = &form {
        form.check()?;
    }
    let authorization = authorization(request)?;
    bearer::token(authorization.as_deref(), Some(&query), form.as_ref()).map(str::to_owned)
}

/// A form that a client sent, not decoded yet, and its `Authorization` header.
struct Call {
    authorization: Option<String>,
    body: String,
}

impl Call {
    async fn read(site: &Site, request: &HttpRequest, payload: web::Payload) -> Result<Self, Failure> {
        no_secret_in_query(&Parameters::decode(request.query_string())?)?;
        let authorization = authorization(request)?;
        Ok(Self { authorization, body: request::form(site, request, payload).await? })
    }
    fn form(&self) -> Result<Parameters<'_>, Failure> {
        Parameters::decode(&self.body)
    }
    /// The client that the request names, proved or not: it says only whose pages may read the answer, and
    /// whom a refusal concerns.
    fn named_client(&self, site: &Site) -> Option<Arc<Client>> {
        let form = self.form().ok()?;
        let credentials = Credentials::parse(self.authorization.as_deref(), &form).ok()?;
        site.app.now().client(&credentials.client_id)
    }
    /// The same, looked up only where a page asks.
    fn reader(&self, site: &Site, request: &HttpRequest) -> Option<Arc<Client>> {
        if request.headers().contains_key(ORIGIN) { self.named_client(site) } else { None }
    }
}

/// The one `Authorization` header of a request.
pub(super) fn authorization(request: &HttpRequest) -> Result<Option<String>, Failure> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => {
                Err(Failure::invalid_request("request.authorization", "the header is not visible ASCII"))
            }
        },
        (Some(_), Some(_)) => Err(Failure::invalid_request("request.authorization", "the header came twice")),
    }
}

/// An answer that holds tokens or personal data (RFC 6749 §5.1).
fn json(site: &Site, request: &HttpRequest, client: Option<&Client>, body: &impl Serialize) -> HttpResponse {
    let mut response = HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"))
        .json(body);
    cors::for_client(request, &site.app.now(), client, &mut response);
    response
}

/// A signed answer (OIDC Core §5.3.2).
fn signed(site: &Site, request: &HttpRequest, client: &Client, token: &str) -> HttpResponse {
    let mut response = HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"))
        .insert_header((CONTENT_TYPE, "application/jwt"))
        .body(token.to_owned());
    cors::for_client(request, &site.app.now(), Some(client), &mut response);
    response
}

async fn refuse(
    site: &Site,
    request: &HttpRequest,
    client: Option<&Client>,
    failure: &Failure,
) -> HttpResponse {
    let about = Concerning { client: client.map(|client| &client.id), ..Concerning::default() };
    let mut response = delivery::json(site, request, failure, about).await;
    ask_for_credentials(&mut response, failure);
    cors::for_client(request, &site.app.now(), client, &mut response);
    response
}

/// Says how to authenticate: a client (RFC 6749 §5.2), or with a token (RFC 6750 §3).
pub(super) fn ask_for_credentials(response: &mut HttpResponse, failure: &Failure) {
    let challenge = match (failure.code, failure.reason) {
        (OAuthCode::InvalidClient, _) => "Basic realm=\"countersign\", charset=\"UTF-8\"",
        // RFC 6750 §3.1: without a token there is no error to name
        (OAuthCode::InvalidToken, "bearer.missing" | "bearer.scheme") => "Bearer realm=\"countersign\"",
        (OAuthCode::InvalidToken, _) => "Bearer realm=\"countersign\", error=\"invalid_token\"",
        (OAuthCode::InsufficientScope, _) => {
            "Bearer realm=\"countersign\", error=\"insufficient_scope\", scope=\"openid\""
        }
        _ => return,
    };
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
}

/// `OPTIONS` of the endpoints that pages may call.
pub async fn preflight(site: web::Data<Site>, request: HttpRequest) -> HttpResponse {
    cors::preflight(&request, &site.app.now())
}
