//! The one table of what can be reached, and by whom. The server registers exactly these rows; a path with
//! another method answers 405, and everything else 404.

use crate::flow::discovery::paths;
use crate::http::handlers::{
    apps, authorize, callback, consent, deletion, details, discovery, home, invitation, logout, program,
    register, resume, sign_in, statics, upstream_logout, upstream_metadata, upstream_notice,
};
use actix_web::http::Method;
use actix_web::{Route, web};

/// Who may call a route, and what speaks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Anyone; the answer is the same for all.
    Public,
    /// Anyone; whoever is signed in sees more. It takes no step.
    Visitor,
    /// Anyone's browser, on behalf of an application: client and redirect URI are checked.
    Application,
    /// The browser that began the sign-in: it brings the flow's cookie.
    FlowBrowser,
    /// The same, by a form of ours: token and origin are checked too.
    FlowForm,
    /// A person by their session's cookie; a form of ours where it changes anything.
    Session,
    /// A provider, through a browser: state and cookie of one that departed to it, or the provider's signature.
    Provider,
    /// A provider by its signature, from its server or through a browser.
    Upstream,
    /// A client, by its credentials.
    Client,
    /// Whoever holds an access token.
    Bearer,
    /// A program that registers a client, by an initial access token where the house wants one, or manages its
    /// registration by the token that it got with it.
    Registrant,
}

/// Which scripts of other origins may read the answer. Never with credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cors {
    /// None.
    Never,
    /// Those of any origin: the answer is public.
    Anyone,
    /// Those of the origins that clients registered.
    Clients,
}

/// One row. A GET that is [`Caller::Public`] or [`Caller::Visitor`] answers HEAD too (RFC 9110 §9.3.2); for others HEAD could take
/// a step that nobody sees.
pub struct Row {
    /// The method.
    pub method: Method,
    /// The path below the issuer's own, as a pattern.
    pub path: &'static str,
    /// Who may call it.
    pub caller: Caller,
    /// Which scripts may read the answer.
    pub cors: Cors,
    /// Whether requests to it count against the limit of one address.
    pub limited: bool,
    /// What answers, for a method.
    pub handler: fn(Method) -> Route,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({:?})", self.method, self.path, self.caller)
    }
}

macro_rules! table {
    ($($method:ident $path:literal $caller:ident $cors:ident $limited:literal $($handler:ident)::+;)*) => {
        vec![$(Row {
            method: Method::$method,
            path: $path,
            caller: Caller::$caller,
            cors: Cors::$cors,
            limited: $limited,
            handler: |method| web::method(method).to($($handler)::+),
        },)*]
    };
}

/// Where a row's path lives if the issuer has a path of its own: behind it, but for the metadata of RFC 8414
/// §3.1, whose well-known path goes before it.
pub fn address(base: &str, path: &str) -> String {
    if path == paths::AUTHORIZATION_SERVER { format!("{path}{base}") } else { format!("{base}{path}") }
}

/// All routes of the public listener.
pub fn public() -> Vec<Row> {
    table! {
        GET  "/"                              Visitor     Never   true  home::get;
        GET  "/apps/{client}"                 Public      Never   true  apps::get;
        GET  "/authorize"                     Application Never   true  authorize::get;
        POST "/authorize"                     Application Never   true  authorize::post;
        GET  "/sign-in"                       FlowBrowser Never   true  sign_in::get;
        POST "/sign-in"                       FlowForm    Never   true  sign_in::post;
        GET  "/upstream/{provider}/callback"  Provider    Never   true  callback::get;
        POST "/upstream/{provider}/callback"  Provider    Never   true  callback::post;
        GET  "/upstream/{provider}/logout"    Provider    Never   true  upstream_logout::get;
        GET  "/upstream/{provider}/metadata"  Public      Never   true  upstream_metadata::get;
        // Not limited but for what is refused: all that a provider tells comes from a few addresses, and a word lost keeps a
        // session alive.
        POST "/upstream/{provider}/logout"    Upstream    Never   false upstream_logout::post;
        POST "/upstream/{provider}/deauthorized" Upstream Never false upstream_notice::deauthorized;
        POST "/upstream/{provider}/deletion"  Upstream    Never   false upstream_notice::deletion;
        GET  "/deletion"                      Public      Never   true  deletion::get;
        GET  "/continue"                      FlowBrowser Never   true  resume::get;
        GET  "/details"                       FlowBrowser Never   true  details::get;
        POST "/details"                       FlowForm    Never   true  details::post;
        GET  "/consent"                       FlowBrowser Never   true  consent::get;
        POST "/consent"                       FlowForm    Never   true  consent::post;
        GET  "/invitation"                    Public      Never   true  invitation::get;
        POST "/invitation"                    Public      Never   true  invitation::post;
        GET  "/logout"                        Session     Never   true  logout::get;
        POST "/logout"                        Session     Never   true  logout::post;
        POST "/par"                           Client      Clients true  program::push;
        OPTIONS "/par"                        Public      Clients true  program::preflight;
        POST "/token"                         Client      Clients true  program::token;
        OPTIONS "/token"                      Public      Clients true  program::preflight;
        POST "/revoke"                        Client      Clients true  program::revoke;
        OPTIONS "/revoke"                     Public      Clients true  program::preflight;
        POST "/introspect"                    Client      Never   false program::introspect;
        POST "/register"                      Registrant  Never   true  register::post;
        GET  "/register/{client_id}"          Registrant  Never   true  register::get;
        PUT  "/register/{client_id}"          Registrant  Never   true  register::put;
        DELETE "/register/{client_id}"        Registrant  Never   true  register::delete;
        GET  "/userinfo"                      Bearer      Clients true  program::userinfo_get;
        POST "/userinfo"                      Bearer      Clients true  program::userinfo_post;
        OPTIONS "/userinfo"                   Public      Clients true  program::preflight;
        GET  "/.well-known/openid-configuration"           Public Anyone false discovery::metadata;
        OPTIONS "/.well-known/openid-configuration"        Public Anyone false discovery::preflight;
        GET  "/.well-known/oauth-authorization-server"     Public Anyone false discovery::metadata;
        OPTIONS "/.well-known/oauth-authorization-server"  Public Anyone false discovery::preflight;
        GET  "/jwks"                          Public      Anyone  false discovery::jwks;
        OPTIONS "/jwks"                       Public      Anyone  false discovery::preflight;
        GET  "/static/{name}"                 Public      Never   false statics::get;
        GET  "/favicon.ico"                   Public      Never   false statics::favicon;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_is_there_once() {
        let mut seen = BTreeSet::new();
        for row in public() {
            assert!(seen.insert((row.method.to_string(), row.path)), "{row:?} twice");
            assert!(row.path.starts_with('/'));
        }
    }

    #[test]
    fn pages_are_never_read_by_scripts_of_others_and_forms_are_posts() {
        for row in public() {
            let page = matches!(
                row.caller,
                Caller::Visitor
                    | Caller::Application
                    | Caller::FlowBrowser
                    | Caller::FlowForm
                    | Caller::Session
                    | Caller::Provider
            );
            assert!(!page || row.cors == Cors::Never, "{row:?}");
            assert!(row.caller != Caller::FlowForm || row.method == Method::POST, "{row:?}");
        }
    }
}
