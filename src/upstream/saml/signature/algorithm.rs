//! The algorithms that are on the list, by their identifiers (RFC 9231 §2.3, XML Encryption 1.1 §5.8).

/// A signature algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::upstream::saml) enum Algorithm {
    /// RSASSA-PKCS1-v1_5
    Rsa(Digest),
    /// ECDSA
    Ecdsa(Digest),
}

/// A digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::upstream::saml) enum Digest {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Rsa(Digest::Sha256),
        Self::Rsa(Digest::Sha384),
        Self::Rsa(Digest::Sha512),
        Self::Ecdsa(Digest::Sha256),
        Self::Ecdsa(Digest::Sha384),
        Self::Ecdsa(Digest::Sha512),
    ];

    /// Its identifier.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Rsa(Digest::Sha256) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            Self::Rsa(Digest::Sha384) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
            Self::Rsa(Digest::Sha512) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
            Self::Ecdsa(Digest::Sha256) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            Self::Ecdsa(Digest::Sha384) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
            Self::Ecdsa(Digest::Sha512) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
        }
    }

    /// The one with this identifier.
    pub fn by_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.uri() == uri)
    }

    /// The digest that is signed.
    pub fn digest(self) -> Digest {
        match self {
            Self::Rsa(digest) | Self::Ecdsa(digest) => digest,
        }
    }
}

impl Digest {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its identifier.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
            Self::Sha384 => "http://www.w3.org/2001/04/xmldsig-more#sha384",
            Self::Sha512 => "http://www.w3.org/2001/04/xmlenc#sha512",
        }
    }

    /// The one with this identifier.
    pub fn by_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.uri() == uri)
    }

    /// Bytes of its result.
    pub fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Whether this is the digest of these bytes.
    pub fn is_of(self, value: &[u8], bytes: &[u8]) -> bool {
        use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
        let algorithm = match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        };
        digest(algorithm, bytes).as_ref() == value
    }
}
