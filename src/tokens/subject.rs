//! The names by which a client knows people and sessions (OIDC Core §8): the account's own id, or for a client
//! with pairwise subjects one that nobody can tie to any other sector's.
//!
//! Nothing is looked up in reverse. Whoever brings a name back (a hint) means a person or session that is at
//! hand or is found otherwise, and the name is computed again for that one and compared.

use crate::clients::Client;
use crate::clients::sector::{NoSector, sector};
use crate::failure::Failure;
use crate::ids::{AccountId, SessionId};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use subtle::ConstantTimeEq as _;

/// The length of the secret in bytes: that of the hash (RFC 2104 §3).
pub const SECRET: usize = 32;

/// Makes the names. Cheap to clone.
#[derive(Clone)]
pub struct Subjects {
    key: hmac::Key,
}

impl From<NoSector> for Failure {
    fn from(error: NoSector) -> Self {
        Self::internal("client.sector", "the client's subjects have no sector").caused_by(error)
    }
}

impl Subjects {
    /// Under a secret that must never change: every pairwise name would.
    pub fn new(secret: &[u8; SECRET]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// The `sub` of a person for a client: the account's id, or 43 characters of base64url.
    ///
    /// # Errors
    /// `client.sector`, which registration refuses.
    pub fn of(&self, client: &Client, account: &AccountId) -> Result<String, NoSector> {
        self.name(client, "sub", account.as_str())
    }

    /// The `sid` of a session for a client. It is pairwise where `sub` is: two clients that see the same `sid`
    /// know that it is the same person.
    ///
    /// # Errors
    /// As [`Subjects::of`].
    pub fn session(&self, client: &Client, session: &SessionId) -> Result<String, NoSector> {
        self.name(client, "sid", session.as_str())
    }

    /// Whether a client means this person by a `sub`.
    pub fn is(&self, client: &Client, account: &AccountId, sub: &str) -> bool {
        self.of(client, account).is_ok_and(|own| own.as_bytes().ct_eq(sub.as_bytes()).into())
    }

    /// Whether a client means this session by a `sid`.
    pub fn is_session(&self, client: &Client, session: &SessionId, sid: &str) -> bool {
        self.session(client, session).is_ok_and(|own| own.as_bytes().ct_eq(sid.as_bytes()).into())
    }

    fn name(&self, client: &Client, kind: &str, id: &str) -> Result<String, NoSector> {
        if !client.subjects.pairwise {
            return Ok(id.to_owned());
        }
        let sector = sector(client)?;
        let mut context = hmac::Context::with_key(&self.key);
        // The parts have no zero byte, so no two triples are written the same.
        for part in [kind, "\0", sector.as_str(), "\0", id] {
            context.update(part.as_bytes());
        }
        Ok(URL_SAFE_NO_PAD.encode(context.sign()))
    }
}

impl fmt::Debug for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subjects")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::tests::client;
    use proptest::prelude::*;

    fn app(host: &str, pairwise: bool) -> Client {
        let mut app = client("app");
        app.redirect_uris = [format!("https://{host}/cb")].into();
        app.subjects.pairwise = pairwise;
        app
    }
    fn person(id: &str) -> AccountId {
        AccountId::new(id).unwrap()
    }

    #[test]
    fn a_public_subject_is_the_account() {
        let subjects = Subjects::new(&[7; SECRET]);
        assert_eq!(subjects.of(&app("a.test", false), &person("alice-0001")).unwrap(), "alice-0001");
        let session = SessionId::new("session-1").unwrap();
        assert_eq!(subjects.session(&app("a.test", false), &session).unwrap(), "session-1");
    }

    #[test]
    fn a_pairwise_subject_is_what_it_always_was() {
        // HMAC-SHA-256 over sub, sector and account; if this changes, every app loses its people.
        let subjects = Subjects::new(&[7; SECRET]);
        let sub = subjects.of(&app("a.test", true), &person("alice-0001")).unwrap();
        assert_eq!(sub, "ZdLm_TOjJAiwG8Sje7NS6J0kK6UhqOL6tPil4bjrqWI");
    }

    #[test]
    fn without_a_sector_there_is_no_subject() {
        let mut app = app("a.test", true);
        app.redirect_uris.insert("https://b.test/cb".to_owned());
        assert!(Subjects::new(&[7; SECRET]).of(&app, &person("alice-0001")).is_err());
    }

    proptest! {
        /// Laws: subjects of different sectors, people or secrets are never equal; those of one are, whatever
        /// else of the client changes; nothing of the account shows; a subject is no session.
        #[test]
        fn pairwise_subjects_are_stable_and_never_meet(
            hosts in prop::collection::btree_set("[a-z]{1,8}[.]test", 2),
            people in prop::collection::btree_set("[a-z0-9-]{8,20}", 2),
            secrets in prop::collection::btree_set(any::<[u8; SECRET]>(), 2),
        ) {
            let mut seen = std::collections::BTreeSet::new();
            for secret in &secrets {
                let subjects = Subjects::new(secret);
                for host in &hosts {
                    let mut client = app(host, true);
                    for id in &people {
                        let sub = subjects.of(&client, &person(id)).unwrap();
                        prop_assert!(sub.len() == 43 && !sub.contains(id.as_str()));
                        client.name.push('x');
                        client.redirect_uris.insert(format!("https://{host}/other"));
                        prop_assert!(subjects.is(&client, &person(id), &sub), "it is stable");
                        let sid = subjects.session(&client, &SessionId::new(id.clone()).unwrap()).unwrap();
                        prop_assert!(seen.insert(sub) && seen.insert(sid));
                    }
                }
            }
        }
    }
}
