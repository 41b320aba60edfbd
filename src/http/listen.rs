//! How a connection of the public listener is served. The server is put together here and not by `HttpServer`,
//! which leaves no place below the parser for [`Watched`].
//!
//! Over TLS as without it, HTTP/1.1 is all we speak: what floods HTTP/2 (CVE-2023-44487 and its kin) has
//! nothing to flood. A proxy in front may speak HTTP/2 to browsers.

use super::wire::Watched;
use crate::flow::App;
use actix_http::{HttpService, Protocol, Request};
use actix_service::{IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_tls::accept::rustls_0_23::{Acceptor, TlsStream};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::rt::net::TcpStream;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// A client may take this long for the handshake of TLS, and as long to send the head of a request; then 408.
pub const HEAD: Duration = Duration::from_secs(5);
/// An idle connection is closed after this.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

type Builder = actix_server::ServerBuilder;

/// Serves the listener, with TLS or without.
///
/// # Errors
/// When the socket cannot be used.
pub fn listen<F, I, S, B>(
    server: Builder,
    listener: TcpListener,
    tls: Option<rustls::ServerConfig>,
    front: F,
) -> io::Result<Builder>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::InitError: std::fmt::Debug,
    B: MessageBody + 'static,
{
    let ending = server.graceful_shutdown_signal();
    macro_rules! http {
        () => {{
            let ending = ending.clone();
            let front = front().into_factory().map_err(|error| error.error_response());
            HttpService::build()
                .graceful_shutdown_signal(move || {
                    let ending = ending.clone();
                    async move { ending.notified().await }
                })
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(HEAD)
                .client_disconnect_timeout(HEAD)
                .finish(map_config(front, |()| AppConfig::default()))
                .map_err(drop)
        }};
    }
    match tls {
        None => server.listen("public", listener, move || {
            fn_service(|io: TcpStream| async move {
                let peer = prepared(&io);
                Ok::<_, ()>((Watched::new(io), Protocol::Http1, peer))
            })
            .and_then(http!())
        }),
        Some(tls) => server.listen("public", listener, move || {
            let mut acceptor = Acceptor::new(tls.clone());
            acceptor.set_handshake_timeout(HEAD);
            acceptor
                .map_err(drop)
                .map_init_err(|_| ())
                .and_then(fn_service(|io: TlsStream<TcpStream>| async move {
                    let peer = prepared(io.get_ref().0);
                    Ok::<_, ()>((Watched::new(io), Protocol::Http1, peer))
                }))
                .and_then(http!())
        }),
    }
}

/// Small answers leave at once.
fn prepared(io: &TcpStream) -> Option<std::net::SocketAddr> {
    let _ = io.set_nodelay(true);
    io.peer_addr().ok()
}

/// TLS by the certificate that is in force when a client comes.
///
/// # Errors
/// When the library cannot speak any version.
pub fn tls(app: Arc<App>) -> io::Result<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(InForce(app)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificate that the configuration in force names.
struct InForce(Arc<App>);

impl ResolvesServerCert for InForce {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.now().settings.public.tls.as_ref().map(|tls| tls.certified.clone())
    }
}

impl std::fmt::Debug for InForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InForce")
    }
}
