//! 8 — HTTP: what strangers reach. Handlers are thin: they read the request, call one function of `flow`, and
//! hand its outcome to [`delivery`].
//!
//! ```text
//!  server.rs     listeners, limits, the guard before every handler
//!  listen.rs     how a connection is served: TLS, what stands below the parser (wire.rs)
//!  routes.rs     the one table: what can be reached, and by whom
//!  request.rs    reading: cookies, parameters, forms, the client's address
//!  delivery.rs   answering: outcomes, refusals, headers
//!  cookies.rs, csrf.rs, cors.rs, pages/, assets/, handlers/
//! ```

pub mod assets;
pub mod cookies;
pub mod cors;
pub mod csrf;
pub mod delivery;
pub mod handlers;
mod listen;
pub mod management;
pub mod pages;
pub mod request;
pub mod routes;
pub mod server;
mod wire;

pub use server::{Listeners, Serving, serve};

use crate::config::Settings;
use crate::flow::App;
use arc_swap::ArcSwap;
use assets::{Assets, BrandingError};
use std::sync::Arc;

/// What handlers share: the house, and what only its front knows.
pub struct Site {
    /// The house.
    pub app: Arc<App>,
    dressed: ArcSwap<Dressed>,
}

/// The files and frame of pages, as the settings want them.
struct Dressed {
    settings: Arc<Settings>,
    assets: Arc<Assets>,
}

impl Site {
    /// The front of a house.
    ///
    /// # Errors
    /// [`BrandingError`] when the branding cannot be used.
    pub fn new(app: Arc<App>) -> Result<Self, BrandingError> {
        let settings = app.now().settings.clone();
        let assets = Arc::new(Assets::new(&settings.branding, settings.issuer.base_path())?);
        Ok(Self { app, dressed: ArcSwap::from_pointee(Dressed { settings, assets }) })
    }
    /// The files and frame as they are now. After a reload they are made anew; if that fails, the old ones
    /// stay.
    pub fn assets(&self) -> Arc<Assets> {
        let dressed = self.dressed.load();
        let settings = &self.app.now().settings;
        if Arc::ptr_eq(&dressed.settings, settings) {
            return dressed.assets.clone();
        }
        let assets = match Assets::new(&settings.branding, settings.issuer.base_path()) {
            Ok(assets) => Arc::new(assets),
            Err(error) => {
                tracing::warn!(%error, "the new branding cannot be used");
                dressed.assets.clone()
            }
        };
        self.dressed.store(Arc::new(Dressed { settings: settings.clone(), assets: assets.clone() }));
        assets
    }
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Site")
    }
}
