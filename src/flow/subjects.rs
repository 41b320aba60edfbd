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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::tests::client;
    use crate::config::settings::Database;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&[byte; 32]).unwrap()
    }

    #[tokio::test]
    async fn all_who_start_together_know_people_by_the_same_names_and_only_under_the_master_key() {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Store::open(&Database::Sqlite { path: folder.path().join("store.db"), readers: 4 }).unwrap();
        store.migrate().unwrap();
        let context = Context::system();
        let master = sealer(1);
        let begin = || load(&context, &store, &master);
        let (a, b, c) = tokio::join!(begin(), begin(), begin());
        let mut app = client("app");
        app.subjects.pairwise = true;
        app.redirect_uris = ["https://app.test/cb".to_owned()].into();
        let person = context.account_id();
        let name = |subjects: Subjects| subjects.of(&app, &person).unwrap();
        let first = name(a.unwrap());
        assert_eq!((name(b.unwrap()), name(c.unwrap())), (first.clone(), first.clone()));
        assert_eq!(name(load(&context, &store, &sealer(1)).await.unwrap()), first, "and after a restart");
        assert_eq!(load(&context, &store, &sealer(2)).await.unwrap_err().reason, "keys.master");
        let broken = "AAAA".to_owned();
        store.write(move |tx| -> Result<(), StoreError> { tx.put_meta(FACT, &broken) }).await.unwrap();
        assert_eq!(
            load(&context, &store, &sealer(1)).await.unwrap_err().reason,
            "keys.master",
            "never made anew"
        );
    }
}
