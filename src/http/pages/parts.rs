//! What several pages share: the frame, addresses that are safe to link, notices and sign-in buttons.

use super::brands::{Shape, brand};
use super::texts::Texts;
use crate::ids::{ProviderId, ReferenceId};
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization as _;
use url::Url;

/// Characters of a name that a page shows; the rest is cut.
const NAME: usize = 80;
/// Characters of a sentence that a page shows.
const SENTENCE: usize = 400;

/// A name from outside as a page may show it: on one line, without control characters and without those
/// that turn the direction of writing (Unicode TR 36 §2.5), cut to 80 characters.
///
/// It does not escape: the templates do.
pub fn shown(text: &str) -> String {
    tidy(text, NAME)
}

/// The same for a sentence, which may have 400 characters.
pub fn sentence(text: &str) -> String {
    tidy(text, SENTENCE)
}

fn tidy(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut count = 0_usize;
    let mut gap = false;
    for c in text.nfc() {
        if c.is_whitespace() || c.is_control() {
            gap = !out.is_empty();
            continue;
        }
        if is_invisible(c) {
            continue;
        }
        if count >= most {
            out.push('…');
            break;
        }
        if gap {
            out.push(' ');
            count += 1;
            gap = false;
        }
        out.push(c);
        count += 1;
    }
    out
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// What stands around every page.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Whose pages these are.
    pub brand: Arc<Brand>,
    /// In which language.
    pub t: &'static Texts,
}

/// How the pages look; made once from the settings by [`crate::http::assets::Assets`].
#[derive(Debug, PartialEq, Eq)]
pub struct Brand {
    /// The name of the house.
    pub name: String,
    /// Its logo, if it has one.
    pub logo: Option<Href>,
    /// The initial that stands for a logo.
    pub initial: String,
    /// Our style sheet.
    pub stylesheet: Href,
    /// The sheet with the house's colours.
    pub colours: Href,
    /// The icon of the browser's tab.
    pub favicon: Href,
    /// The script of forms that post themselves.
    pub autopost: Href,
    /// The script of the page that leads on after a logout.
    pub farewell: Href,
    /// Where people find help.
    pub support: Option<Href>,
}

/// An address that a page may link or post to. It cannot be a script (`javascript:`, `data:` …), which
/// escaping alone would let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Href(String);

impl Href {
    /// A path on our own origin; it starts with one `/`.
    ///
    /// `None` for anything that a browser could take for another origin.
    pub fn local(path: impl Into<String>) -> Option<Self> {
        let path = path.into();
        let second = path.as_bytes().get(1).copied();
        let ours = path.starts_with('/')
            && !matches!(second, Some(b'/' | b'\\'))
            && path.bytes().all(|b| b.is_ascii_graphic());
        ours.then_some(Self(path))
    }
    /// An absolute address: http, https, mailto, or an app's own scheme, which has a dot (RFC 8252 §7.1).
    pub fn absolute(url: &Url) -> Option<Self> {
        let scheme = url.scheme();
        let safe = matches!(scheme, "http" | "https" | "mailto") || scheme.contains('.');
        safe.then(|| Self(url.as_str().to_owned()))
    }
    /// An absolute address given as text.
    pub fn parse(text: &str) -> Option<Self> {
        Url::parse(text).ok().and_then(|url| Self::absolute(&url))
    }
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Href {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What `form-action` must name so that a form may lead to `url`, at once or by redirects
/// (CSP Level 3 §6.4.1; Chromium also checks the redirects that follow a POST).
///
/// An origin; or the scheme alone for an app's own scheme, and for IPv6 hosts, which the grammar of
/// sources cannot name. `None` for schemes that no form may lead to.
pub fn form_target(url: &Url) -> Option<String> {
    Href::absolute(url)?;
    match (url.scheme(), url.host()) {
        ("http" | "https", Some(url::Host::Domain(_) | url::Host::Ipv4(_))) => {
            Some(url.origin().ascii_serialization())
        }
        ("mailto", _) => None,
        (scheme, _) => Some(format!("{scheme}:")),
    }
}

/// A name and where it leads, such as *Back to Notes*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppLink {
    /// The app's name.
    pub name: String,
    /// Where the link leads.
    pub href: Href,
}

/// A way to an app or a provider that carries something along, in the way that the other side asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// By a link.
    Link(Href),
    /// By a form (OAuth 2.0 Form Post Response Mode).
    Form {
        /// Where it posts.
        action: Href,
        /// What it posts.
        fields: Vec<Field>,
    },
}

/// What an app says of itself elsewhere. It opens beside the sign-in, which goes on; its site learns nothing of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AboutLink {
    /// The link's words.
    pub text: String,
    /// Where it leads.
    pub href: Href,
}

/// Something the person should know before going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// A few words.
    pub title: String,
    /// A sentence or two.
    pub text: String,
    /// What an operator can look up.
    pub reference: Option<ReferenceId>,
}

/// A hidden field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Field {
    /// A field.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// The picture on a provider's button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Icon {
    /// A key: OpenID Connect in general.
    Key,
    /// Two linked rings: OAuth 2.0 in general.
    Link,
    /// A building: an organisation.
    Building,
    /// People: a community or social network.
    People,
    /// A brand's own mark, in the text's colour unless the brand's rules ask for its own.
    Brand {
        /// Its drawing.
        shapes: &'static [Shape],
    },
    /// The first letter of the name on a tinted disc.
    Monogram {
        /// The letter.
        letter: String,
        /// Which of the eight tints.
        tint: u8,
    },
}

impl Icon {
    /// The icon that the configuration names (`oidc`, `key`, `oauth2`, `link`, `building`, `people`, a brand), or
    /// else a monogram of the provider's name, in a tint that its id decides.
    pub fn named(icon: Option<&str>, id: &ProviderId, name: &str) -> Self {
        match icon {
            Some("oidc" | "key") => Self::Key,
            Some("oauth2" | "link") => Self::Link,
            Some("building") => Self::Building,
            Some("people") => Self::People,
            other => match other.and_then(brand) {
                Some(shapes) => Self::Brand { shapes },
                None => Self::Monogram { letter: initial(name), tint: tint(id.as_str()) },
            },
        }
    }
}

/// The first letter or digit of a name, in upper case.
pub fn initial(name: &str) -> String {
    match name.nfc().find(|c| c.is_alphanumeric()) {
        Some(c) => c.to_uppercase().collect(),
        None => "•".to_owned(),
    }
}

fn tint(id: &str) -> u8 {
    id.bytes().fold(0_u8, |sum, b| sum.wrapping_mul(31).wrapping_add(b)) % 8
}

/// A provider to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderButton {
    /// What the form sends.
    pub id: ProviderId,
    /// What the person reads.
    pub name: String,
    /// What the person sees.
    pub icon: Icon,
    /// Whether this browser used it last; true for one button at most.
    pub last_used: bool,
}

/// The form with one button for each provider; it posts `flow`, `csrf` and `provider`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInForm {
    /// Where it posts.
    pub action: Href,
    /// The handle of the sign-in.
    pub flow: String,
    /// The form's token.
    pub csrf: String,
    /// The buttons, in the order in which they are shown.
    pub providers: Vec<ProviderButton>,
    /// Where it may lead ([`form_target`]).
    pub targets: Vec<String>,
    /// A search, where there are more than a page shows.
    pub search: Option<Search>,
}

/// The field in which people look for their provider; it is sent by GET, with `flow` and `q`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// What was looked for; empty at first.
    pub query: String,
    /// There are more than those that are shown.
    pub more: bool,
}

/// From how many providers on the list scrolls, with the one used last above it.
const LONG: usize = 8;

impl SignInForm {
    /// Whether there are so many providers that the list scrolls.
    pub fn is_long(&self) -> bool {
        self.providers.len() > LONG
    }
    /// The provider that was used last.
    pub fn recent(&self) -> Option<&ProviderButton> {
        self.providers.iter().find(|p| p.last_used)
    }
    /// The providers that a long list shows: all but the one used last, which stands above it.
    pub fn rest(&self) -> impl Iterator<Item = &ProviderButton> {
        self.providers.iter().filter(|p| !p.last_used)
    }
}

/// What an app would be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeLine {
    /// The scope's name, as the app sent it.
    pub name: String,
    /// What it means, as the end of *The app would like to …*.
    pub text: String,
}
