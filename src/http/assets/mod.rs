//! What is served under `/static/`: embedded files, the house's colours and its logo.
//!
//! A file's name carries the hash of its content, so browsers may keep it for ever. A name is looked up in
//! a table; no name is ever a path.

mod accent;

pub use accent::Colour;

use super::pages::{Brand, ENGLISH, Frame, Href, initial};
use crate::config::settings::Branding;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest logo, in bytes.
const LOGO: usize = 256 * 1024;

const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// How long browsers may keep a file: its name changes with its content (RFC 8246).
pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// What every file is served with. An SVG opened by itself is a document of our origin: it may run nothing.
pub const FILE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// A file to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Its media type.
    pub content_type: &'static str,
    /// Its entity tag, with quotes (RFC 9110 §8.8.3).
    pub etag: String,
    /// Its content.
    pub body: Cow<'static, [u8]>,
}

/// Why the branding cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BrandingError {
    /// The accent is no colour.
    #[error("branding.accent must be `#rrggbb`, not `{0}`")]
    Accent(String),
    /// The help address is none that a page may link.
    #[error("branding.support must be an https, http or mailto address, not `{0}`")]
    Support(String),
    /// The logo cannot be read.
    #[error("branding.logo: {path} cannot be read")]
    LogoUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The logo is too large.
    #[error("branding.logo: {0} is larger than 256 KiB")]
    LogoTooLarge(PathBuf),
    /// The logo is of another kind.
    #[error("branding.logo: {0} is neither an SVG nor a PNG file")]
    LogoKind(PathBuf),
    /// The address of a file of ours is no path; the issuer's path is at fault.
    #[error("`{0}` is not a path that a page can link")]
    Path(String),
}

/// All files, and the frame of pages that link them. Immutable; made anew when the settings change.
#[derive(Debug)]
pub struct Assets {
    files: BTreeMap<String, Asset>,
    favicon: String,
    brand: Arc<Brand>,
}

impl Assets {
    /// Gathers the files for a branding. `base_path` is the issuer's path, without a slash at its end.
    ///
    /// # Errors
    /// [`BrandingError`] when the accent, the help address or the logo cannot be used.
    pub fn new(branding: &Branding, base_path: &str) -> Result<Self, BrandingError> {
        let mut files = Files { files: BTreeMap::new(), base_path };
        let accent = match &branding.accent {
            Some(text) => Colour::parse(text).ok_or_else(|| BrandingError::Accent(text.clone()))?,
            None => Colour::DEFAULT,
        };
        let support = match &branding.support {
            Some(text) => Some(Href::parse(text).ok_or_else(|| BrandingError::Support(text.clone()))?),
            None => None,
        };
        let (_, stylesheet) = files.put(
            "countersign",
            "css",
            CSS,
            include_bytes!("../../../static/countersign.css").as_slice(),
        )?;
        let (_, autopost) = files.put(
            "autopost",
            "js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../../static/autopost.js").as_slice(),
        )?;
        let (_, farewell) = files.put(
            "farewell",
            "js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../../static/farewell.js").as_slice(),
        )?;
        let favicon = include_str!("../../../static/favicon.svg")
            .replace("#2f5bd8", &accent.hex())
            .replace("#ffffff", &accent.text_on().hex());
        let (favicon_name, favicon) = files.put("favicon", "svg", SVG, favicon.into_bytes())?;
        let (_, colours) = files.put("brand", "css", CSS, accent::stylesheet(accent).into_bytes())?;
        let logo = match &branding.logo {
            Some(path) => {
                let (extension, content_type, body) = read_logo(path)?;
                Some(files.put("logo", extension, content_type, body)?.1)
            }
            None => None,
        };
        let brand = Brand {
            name: branding.name.clone(),
            logo,
            initial: initial(&branding.name),
            stylesheet,
            colours,
            favicon,
            autopost,
            farewell,
            support,
        };
        Ok(Self { files: files.files, favicon: favicon_name, brand: Arc::new(brand) })
    }
    /// The file of this name, exactly.
    pub fn get(&self, name: &str) -> Option<&Asset> {
        self.files.get(name)
    }
    /// The icon of the browser's tab, for `/favicon.ico` too.
    pub fn favicon(&self) -> Option<&Asset> {
        self.files.get(&self.favicon)
    }
    /// The names of all files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }
    /// The frame of a page.
    pub fn frame(&self) -> Frame {
        Frame { brand: Arc::clone(&self.brand), t: &ENGLISH }
    }
}

struct Files<'a> {
    files: BTreeMap<String, Asset>,
    base_path: &'a str,
}

impl Files<'_> {
    /// Adds a file under a name that carries its hash; the name and the address.
    fn put(
        &mut self,
        stem: &str,
        extension: &str,
        content_type: &'static str,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Result<(String, Href), BrandingError> {
        let body = body.into();
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&body));
        let short: String = hash.chars().take(16).collect();
        let name = format!("{stem}-{short}.{extension}");
        let path = format!("{}/static/{name}", self.base_path);
        let href = Href::local(path.clone()).ok_or(BrandingError::Path(path))?;
        self.files.insert(name.clone(), Asset { content_type, etag: format!("\"{hash}\""), body });
        Ok((name, href))
    }
}

fn read_logo(path: &Path) -> Result<(&'static str, &'static str, Vec<u8>), BrandingError> {
    use std::io::Read as _;
    let unreadable = |source| BrandingError::LogoUnreadable { path: path.to_owned(), source };
    let mut body = Vec::new();
    let most = u64::try_from(LOGO).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path).map_err(unreadable)?.take(most).read_to_end(&mut body).map_err(unreadable)?;
    if body.len() > LOGO {
        return Err(BrandingError::LogoTooLarge(path.to_owned()));
    }
    if body.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(("png", "image/png", body));
    }
    let is_svg = std::str::from_utf8(&body).is_ok_and(|text| text.contains("<svg"));
    if is_svg { Ok(("svg", SVG, body)) } else { Err(BrandingError::LogoKind(path.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branding() -> Branding {
        Branding { name: "Example".to_owned(), logo: None, accent: None, support: None }
    }

    #[test]
    fn a_name_changes_with_the_content() {
        let one = Assets::new(&branding(), "").unwrap();
        let two = Assets::new(&Branding { accent: Some("#aa0000".to_owned()), ..branding() }, "").unwrap();
        let (one, two) = (one.frame().brand, two.frame().brand);
        assert_ne!(one.colours, two.colours);
        assert_eq!(one.stylesheet, two.stylesheet);
    }

    #[test]
    fn every_address_on_a_page_is_served() {
        let assets = Assets::new(&branding(), "/tenant").unwrap();
        let brand = assets.frame().brand;
        for href in [&brand.stylesheet, &brand.colours, &brand.favicon, &brand.autopost] {
            let name = href.as_str().strip_prefix("/tenant/static/").unwrap();
            let asset = assets.get(name).unwrap();
            assert!(asset.etag.starts_with('"') && asset.etag.ends_with('"') && asset.etag.len() == 45);
            assert!(!asset.body.is_empty());
        }
        assert_eq!(assets.favicon().unwrap().content_type, SVG);
    }

    #[test]
    fn admin_027_no_name_is_a_path() {
        let assets = Assets::new(&branding(), "").unwrap();
        let real = assets.names().next().unwrap().to_owned();
        assert!(assets.get(&real).is_some());
        for name in [
            "",
            "/",
            "../Cargo.toml",
            "..%2fCargo.toml",
            "%2e%2e/Cargo.toml",
            "countersign.css",
            &format!("./{real}"),
            &format!("{real}\0"),
            &format!("x/../{real}"),
            &real.to_uppercase(),
        ] {
            assert!(assets.get(name).is_none(), "{name}");
        }
    }

    #[test]
    fn branding_that_cannot_work_is_refused() {
        let refused = |branding: Branding| Assets::new(&branding, "").unwrap_err().to_string();
        let accent = refused(Branding { accent: Some("red".to_owned()), ..branding() });
        assert!(accent.contains("branding.accent"), "{accent}");
        let support = refused(Branding { support: Some("javascript:alert(1)".to_owned()), ..branding() });
        assert!(support.contains("branding.support"), "{support}");
        let absent = refused(Branding { logo: Some("/does/not/exist.svg".into()), ..branding() });
        assert!(absent.contains("branding.logo"), "{absent}");
    }

    #[test]
    fn a_logo_is_an_svg_or_png_of_bearable_size() {
        let folder = tempfile::tempdir().unwrap();
        let with = |name: &str, body: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, body).unwrap();
            Assets::new(&Branding { logo: Some(path), ..branding() }, "")
        };
        let svg = with("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>").unwrap();
        let href = svg.frame().brand.logo.clone().unwrap();
        assert!(href.as_str().ends_with(".svg"));
        assert!(with("a.png", b"\x89PNG\r\n\x1a\nrest").is_ok());
        assert!(matches!(with("a.html", b"<html>").unwrap_err(), BrandingError::LogoKind(_)));
        let large = [b"<svg>".as_slice(), &vec![b' '; LOGO]].concat();
        assert!(matches!(with("b.svg", &large).unwrap_err(), BrandingError::LogoTooLarge(_)));
    }
}
