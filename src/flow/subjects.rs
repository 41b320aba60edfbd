//! The secret of pairwise subjects (OIDC Core §8.1): made at first start, then the same for ever.
//!
//! It is random and stored, sealed under the master key, and not derived from it: a new master key seals it
//! anew, while a derived secret would give every person of every pairwise client another `sub`, and so lose
//! them their accounts there.

use crate::context::Context;
use crate::failure::Failure;
use crate::store::{Store, StoreError};
use crate::tokens::seal::Sealer;
use crate::tokens::subject::{SECRET, Subjects};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// Its name among the facts about the database.
const FACT: &str = "pairwise.secret";
/// The purpose under which it is sealed.
const PURPOSE: &str = "pairwise-secret";

/// Loads the secret; makes it where there is none. Of many nodes that start together all get the same.
///
/// # Errors
/// `keys.master` if it does not open under this master key; when the store fails.
pub async fn load(context: &Context, store: &Store, sealer: &Sealer) -> Result<Subjects, Failure> {
    let stored = store.read::<_, StoreError, _>(|tx| tx.meta(FACT)).await?;
    let stored = match stored {
        Some(stored) => stored,
        None => {
            let secret = Zeroizing::new(context.bytes::<SECRET>());
            let sealed = URL_SAFE_NO_PAD.encode(sealer.seal(PURPOSE, b"", secret.as_slice(), context)?);
            store.write(move |tx| -> Result<_, StoreError> { tx.init_meta(FACT, &sealed) }).await?
        }
    };
    let sealed = URL_SAFE_NO_PAD.decode(stored).unwrap_or_default();
    let secret = sealer.open(PURPOSE, b"", &sealed);
    let secret = secret.as_deref().and_then(|secret| <&[u8; SECRET]>::try_from(secret.as_slice()).ok());
    let secret = secret.ok_or_else(|| {
        Failure::internal(
            "keys.master",
            "the secret of pairwise subjects does not open under this master key",
        )
    })?;
    Ok(Subjects::new(secret))
}
