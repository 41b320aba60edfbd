//! The sign-in from outside: a real broker on loopback, scriptable providers, browsers with cookies.
//!
//! Tests named after a row of the attack corpus keep its rules: a valid twin that differs only in the attack
//! succeeds, nothing is stored by the attack, and it is recorded once with its reason.

#[path = "../support/house.rs"]
mod house;
#[path = "../support/mailbox.rs"]
mod mailbox;
#[path = "../support/oidc/mod.rs"]
mod oidc;
#[path = "../support/saml/mod.rs"]
mod saml;
#[path = "../support/standin.rs"]
mod standin;

mod binding;
mod claims;
mod consent;
mod email_code;
mod epoch;
mod form_post;
mod fresh;
mod front;
mod invitation;
mod joining;
mod linking;
mod notices;
mod oidc_attacks;
mod oidc_mutations;
mod overtaken;
mod person;
mod proofs;
mod providers;
mod refresh;
mod request;
mod saml_bodies;
mod saml_logout;
mod saml_mutations;
mod saml_sign_in;
mod secure;
mod sessions;
mod tls;
mod wire;

use house::{House, Rows};

/// The invariants of a refusal: nothing stored, and exactly one record more, with this reason.
pub struct Watch {
    rows: Rows,
    times: u64,
    reason: &'static str,
}

impl Watch {
    /// Looks before the attack.
    pub async fn begin(house: &House, reason: &'static str) -> Self {
        Self { rows: house.rows().await, times: times(house, reason).await, reason }
    }
    /// Looks after it.
    pub async fn refused_once(&self, house: &House) {
        assert_eq!(house.rows().await, self.rows, "nothing is stored");
        let reasons: Vec<String> = house.refusals().await.into_iter().map(|r| r.refusal.reason).collect();
        assert_eq!(
            times(house, self.reason).await,
            self.times + 1,
            "recorded once as {}: {reasons:?}",
            self.reason
        );
    }
}

async fn times(house: &House, reason: &str) -> u64 {
    house.refusals().await.iter().filter(|r| r.refusal.reason == reason).map(|r| r.times).sum()
}
