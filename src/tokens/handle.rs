//! One-time things and bearer secrets: each kind is a type with a prefix of its own, so that none can be
//! used as another, and only digests are stored.

use crate::context::Context;
use aws_lc_rs::digest;
use std::fmt;
use std::marker::PhantomData;
use zeroize::Zeroizing;

/// SHA-256 of a secret of 256 random bits. A slow hash would add nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest of a text.
    pub fn of(text: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, text.as_bytes());
        let mut hex = String::with_capacity(64);
        for byte in digest.as_ref() {
            use fmt::Write as _;
            let _ = write!(hex, "{byte:02x}");
        }
        Self(hex)
    }
    /// A digest as read from storage.
    pub fn from_stored(hex: String) -> Self {
        Self(hex)
    }
    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// A kind of handle.
pub trait Kind {
    /// The prefix, such as `csac_`.
    const PREFIX: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {
        $($(#[$doc])* #[derive(Debug, Clone, Copy, PartialEq, Eq)] pub enum $name {}
        impl Kind for $name { const PREFIX: &'static str = $prefix; })*
        /// Every prefix in use.
        pub const PREFIXES: &[&str] = &[$($prefix,)*];
    };
}

kinds! {
    /// A sign-in in progress: travels as `state` or RelayState.
    Flow = "csst_";
    /// An authorization code.
    Code = "csac_";
    /// A refresh token.
    Refresh = "csrt_";
    /// The secret of an SSO session's cookie.
    SessionSecret = "cssn_";
    /// The name of a browser; it opens nothing.
    BrowserName = "csbn_";
    /// An invitation.
    Invitation = "csiv_";
    /// A pushed authorization request: the end of its request URI.
    Pushed = "cspr_";
    /// A client secret that we made.
    ClientSecret = "cssec_";
    /// An initial access token: it lets a program register a client.
    RegistrationToken = "csit_";
    /// A registration access token: it lets a registered client manage its registration.
    RegistrationAccess = "csra_";
}

/// A handle of one kind: prefix and 43 characters of base64url.
pub struct Handle<K: Kind> {
    text: Zeroizing<String>,
    kind: PhantomData<K>,
}

impl<K: Kind> Handle<K> {
    /// A new one.
    pub fn new(context: &Context) -> Self {
        let text = Zeroizing::new(format!("{}{}", K::PREFIX, context.secret_text()));
        Self { text, kind: PhantomData }
    }
    /// Accepts a text of exactly this kind's form; anything else is `None`, as if unknown.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix(K::PREFIX)?;
        let legal =
            body.len() == 43 && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        legal.then(|| Self { text: Zeroizing::new(text.to_owned()), kind: PhantomData })
    }
    /// A new handle with the same short name. It is told apart from this one by 162 bits.
    #[must_use]
    pub fn sibling(&self, context: &Context) -> Self {
        let fresh = context.secret_text();
        let tail = fresh.get(16..).unwrap_or_default();
        Self { text: Zeroizing::new(format!("{}{}{tail}", K::PREFIX, self.short())), kind: PhantomData }
    }
    /// The text to hand out. It is a secret: never log it.
    pub fn expose(&self) -> &str {
        &self.text
    }
    /// What is stored and looked up.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.text)
    }
    /// The first 16 characters of the body: names the cookie of a flow; tells nothing of the rest.
    pub fn short(&self) -> &str {
        self.text.strip_prefix(K::PREFIX).and_then(|body| body.get(..16)).unwrap_or_default()
    }
}

impl<K: Kind> Clone for Handle<K> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), kind: PhantomData }
    }
}

impl<K: Kind> fmt::Debug for Handle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", K::PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oauth_047_no_kind_of_handle_parses_as_another() {
        let context = Context::system();
        let code = Handle::<Code>::new(&context);
        assert!(Handle::<Code>::parse(code.expose()).is_some());
        assert!(Handle::<Refresh>::parse(code.expose()).is_none());
        assert!(Handle::<Flow>::parse(code.expose()).is_none());
        assert!(Handle::<SessionSecret>::parse(code.expose()).is_none());
        assert!(Handle::<Invitation>::parse(code.expose()).is_none());
        for (i, a) in PREFIXES.iter().enumerate() {
            for b in PREFIXES.iter().skip(i + 1) {
                assert!(!a.starts_with(b) && !b.starts_with(a), "{a} and {b} are ambiguous");
            }
        }
    }

    #[test]
    fn a_sibling_shares_the_short_name_alone() {
        let context = Context::system();
        let handle = Handle::<Flow>::new(&context);
        let sibling = handle.sibling(&context);
        assert_eq!(handle.short(), sibling.short());
        assert_ne!(handle.digest(), sibling.digest());
        assert!(Handle::<Flow>::parse(sibling.expose()).is_some());
    }

    #[test]
    fn a_handle_never_prints_its_secret() {
        let handle = Handle::<Code>::new(&Context::system());
        assert_eq!(format!("{handle:?}"), "csac_…");
    }
}
