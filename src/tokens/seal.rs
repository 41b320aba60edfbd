//! Sealing: what is kept at rest or in a browser's hands, encrypted and authenticated under the master key.

use crate::context::Context;
use crate::failure::Failure;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

/// The first byte of every blob; another layout gets another number.
const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Why something could not be sealed, or a sealer not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The master key has fewer than 32 bytes.
    #[error("the master key must have at least 32 bytes")]
    WeakMasterKey,
    /// The library refused, which it does only for inputs of many gigabytes.
    #[error("the cipher refused to seal")]
    Refused,
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        Self::internal("seal.failed", "something could not be sealed").caused_by(error)
    }
}

/// Seals and opens under keys that are derived from the master key, one for each purpose (HKDF-SHA256,
/// RFC 5869), with AES-256-GCM-SIV (RFC 8452), which stays safe even if a nonce should repeat.
///
/// A blob that was sealed for one purpose or with other associated data never opens for another.
/// Cheap to clone.
#[derive(Clone)]
pub struct Sealer {
    root: std::sync::Arc<hkdf::Prk>,
}

impl Sealer {
    /// A sealer under a master key of at least 32 random bytes.
    ///
    /// # Errors
    /// [`SealError::WeakMasterKey`].
    pub fn new(master: &[u8]) -> Result<Self, SealError> {
        if master.len() < 32 {
            return Err(SealError::WeakMasterKey);
        }
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"countersign sealer 1").extract(master);
        Ok(Self { root: std::sync::Arc::new(root) })
    }

    /// Seals `plain` for a purpose; `aad` is not kept in the blob, but [`Sealer::open`] demands the same.
    /// The blob is 29 bytes longer than `plain`.
    ///
    /// # Errors
    /// [`SealError::Refused`], only for inputs of many gigabytes.
    pub fn seal(
        &self,
        purpose: &str,
        aad: &[u8],
        plain: &[u8],
        context: &Context,
    ) -> Result<Vec<u8>, SealError> {
        let key = self.key(purpose).ok_or(SealError::Refused)?;
        let nonce = context.bytes::<NONCE>();
        let mut body = Vec::with_capacity(plain.len() + TAG);
        body.extend_from_slice(plain);
        let sealed =
            key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut body);
        if sealed.is_err() {
            body.zeroize();
            return Err(SealError::Refused);
        }
        let mut blob = Vec::with_capacity(1 + NONCE + body.len());
        blob.push(VERSION);
        blob.extend_from_slice(&nonce);
        blob.extend_from_slice(&body);
        Ok(blob)
    }

    /// Opens a blob that was sealed for the same purpose with the same associated data; anything else, from
    /// another key to a single changed bit, is `None`.
    pub fn open(&self, purpose: &str, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (version, rest) = sealed.split_first()?;
        if *version != VERSION {
            return None;
        }
        let (nonce, body) = rest.split_first_chunk::<NONCE>()?;
        let key = self.key(purpose)?;
        let mut plain = Zeroizing::new(body.to_vec());
        let length =
            key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }

    /// A value for a text that nobody else can compute, the same each time (HMAC-SHA256 under a key for this
    /// purpose).
    ///
    /// # Errors
    /// [`SealError::Refused`], which cannot happen for a key of this length.
    pub fn mark(&self, purpose: &str, text: &[u8]) -> Result<[u8; 32], SealError> {
        let info = [b"mark:".as_slice(), purpose.as_bytes()];
        let okm = self.root.expand(&info, hmac::HMAC_SHA256).map_err(|_| SealError::Refused)?;
        let tag = hmac::sign(&hmac::Key::from(okm), text);
        tag.as_ref().try_into().map_err(|_| SealError::Refused)
    }

    fn key(&self, purpose: &str) -> Option<LessSafeKey> {
        // One info string without a separator is enough: the prefix is fixed and the purpose is all that varies.
        let info = [b"purpose:".as_slice(), purpose.as_bytes()];
        let okm = self.root.expand(&info, &AES_256_GCM_SIV).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(okm)))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_short_master_key_is_refused() {
        assert_eq!(Sealer::new(&[7; 31]).unwrap_err(), SealError::WeakMasterKey);
        assert_eq!(Sealer::new(&[]).unwrap_err(), SealError::WeakMasterKey);
    }

    #[test]
    fn a_mark_is_of_its_text_purpose_and_master_key() {
        let mark = sealer(1).mark("receipt", b"x").unwrap();
        assert_eq!(mark, sealer(1).mark("receipt", b"x").unwrap());
        for other in
            [sealer(2).mark("receipt", b"x"), sealer(1).mark("other", b"x"), sealer(1).mark("receipt", b"y")]
        {
            assert_ne!(mark, other.unwrap());
        }
    }

    #[test]
    fn the_same_plain_text_never_looks_the_same() {
        let context = Context::system();
        let one = sealer(1).seal("flow", b"", b"x", &context).unwrap();
        let two = sealer(1).seal("flow", b"", b"x", &context).unwrap();
        assert_ne!(one, two);
    }

    proptest! {
        /// Law: what was sealed opens again, only for the same purpose, data and master key, and never after
        /// any change.
        #[test]
        fn a_blob_opens_only_as_it_was_sealed(
            plain in proptest::collection::vec(any::<u8>(), 0..200),
            aad in proptest::collection::vec(any::<u8>(), 0..40),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let context = Context::system();
            let blob = sealer(1).seal("flow", &aad, &plain, &context).unwrap();
            prop_assert_eq!(blob.len(), plain.len() + 29);
            let opened = sealer(1).open("flow", &aad, &blob).unwrap();
            prop_assert_eq!(&*opened, &plain);
            prop_assert!(sealer(2).open("flow", &aad, &blob).is_none());
            prop_assert!(sealer(1).open("signing-key", &aad, &blob).is_none());
            let mut other = aad.clone();
            other.push(0);
            prop_assert!(sealer(1).open("flow", &other, &blob).is_none());
            let mut changed = blob.clone();
            changed[at.index(blob.len())] ^= 1 << bit;
            prop_assert!(sealer(1).open("flow", &aad, &changed).is_none());
            prop_assert!(sealer(1).open("flow", &aad, &blob[..at.index(blob.len())]).is_none());
        }
    }
}
