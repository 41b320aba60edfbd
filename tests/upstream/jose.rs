//! The signature of the ID token, and the keys that may have made it.

use crate::bench::{Bench, refused, row};
use crate::standin::{Key, b64};
use countersign::jose::{Alg, JwkSet, verify_foreign};
use serde_json::json;

#[tokio::test]
async fn oidc_017_alg_none() {
    row("OIDC-017").await;
}

#[tokio::test]
async fn oidc_018_the_public_key_as_an_hmac_secret() {
    row("OIDC-018").await;
}

#[tokio::test]
async fn oidc_019_the_client_secret_as_an_hmac_secret() {
    row("OIDC-019").await;
}

#[tokio::test]
async fn only_the_algorithms_of_the_settings_count() {
    let bench = Bench::oidc("algorithms = [\"ES256\"]");
    let ec = Key::ec("ec-1");
    let rsa = Key::rsa(0, "rsa-1");
    bench.standin.script().keys = vec![ec.clone(), rsa];
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "jose.alg");
    bench.standin.script().signer = ec;
    bench.signs_in().await;
}

#[tokio::test]
async fn oidc_021_a_key_id_that_leads_elsewhere() {
    row("OIDC-021").await;
}

#[tokio::test]
async fn oidc_022_no_key_id_and_several_keys() {
    row("OIDC-022").await;
}

#[tokio::test]
async fn oidc_023_a_key_that_the_token_brings_along() {
    row("OIDC-023").await;
}

#[tokio::test]
async fn a_token_of_another_kind_is_no_id_token() {
    let bench = Bench::oidc("");
    for typ in ["at+jwt", "application/at+jwt", "AT+JWT", "logout+jwt", "dpop+jwt"] {
        bench
            .refuses("oidc.id_token.typ", |script| {
                script.header = Box::new(move |header| header["typ"] = typ.into());
            })
            .await;
    }
}

#[tokio::test]
async fn oidc_025_extensions_that_must_be_understood() {
    row("OIDC-025").await;
}

#[tokio::test]
async fn oidc_026_another_form_than_compact() {
    row("OIDC-026").await;
}

#[tokio::test]
async fn oidc_027_members_twice() {
    row("OIDC-027").await;
}

#[tokio::test]
async fn oidc_029_encrypted_where_signed_is_due() {
    row("OIDC-029").await;
}

#[tokio::test]
async fn oidc_030_what_would_cost_a_decrypter_dearly_costs_us_nothing() {
    row("OIDC-030").await;
}

/// There is nothing here that decrypts, derives or inflates: a token of five parts is refused before its header is
/// read, so that no count of rounds and no compression is known, whatever they are.
#[test]
fn oidc_030_what_a_bomb_says_of_itself_is_not_even_read() {
    let keys = JwkSet::parse(json!({"keys": [Key::rsa(0, "rsa-1").jwk()]}).to_string().as_bytes()).unwrap();
    let jwe = |header: &str, content: usize| {
        [header, &b64([9; 40]), &b64([2; 12]), &b64(vec![0; content]), &b64([4; 16])].join(".")
    };
    let refusal = |token: &str| format!("{:?}", verify_foreign(token, &keys, &Alg::ALL).unwrap_err());
    let unreadable = refusal(&jwe("!", 40));
    let dear =
        json!({"alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "p2c": 1_000_000_000_u64, "p2s": "AAAA"});
    let bomb = json!({"alg": "dir", "enc": "A256GCM", "zip": "DEF"});
    for header in [dear, bomb] {
        for content in [40, 40_000] {
            let token = jwe(&b64(header.to_string()), content);
            assert_eq!(refusal(&token), unreadable, "{header}");
            let cost = allocation_counter::measure(|| drop(verify_foreign(&token, &keys, &Alg::ALL)));
            assert!(cost.bytes_total < 1000, "{header}: {} bytes for {}", cost.bytes_total, token.len());
        }
    }
    // What does not come in five parts is read, and refused for what it says, or is a signed token like any other.
    assert_ne!(refusal("!.e30.AA"), unreadable);
}

#[tokio::test]
async fn oidc_031_weak_and_broken_keys() {
    row("OIDC-031").await;
}

#[tokio::test]
async fn oidc_033_keys_for_another_use() {
    row("OIDC-033").await;
}

#[tokio::test]
async fn oidc_062_a_storm_of_unknown_keys_fetches_once() {
    let bench = Bench::oidc("");
    bench.signs_in().await;
    let mut count = 0;
    bench.standin.script().header = Box::new(move |header| {
        count += 1;
        header["kid"] = format!("random-{count}").into();
    });
    let before = bench.standin.count("/jwks");
    for _ in 0..100 {
        let (outcome, trace) = bench.sign_in().await;
        refused(outcome, &trace, "jose.kid");
    }
    assert_eq!(bench.standin.count("/jwks"), before + 1);
    bench.later();
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "jose.kid");
    assert_eq!(bench.standin.count("/jwks"), before + 2);
    bench.standin.behave();
    bench.signs_in().await;
}

#[tokio::test]
async fn oidc_063_a_new_key_is_found_and_the_old_one_is_gone() {
    let bench = Bench::oidc("");
    bench.signs_in().await;
    let (old, new) = (Key::rsa(0, "rsa-1"), Key::ec("ec-2"));
    bench.standin.script().keys = vec![new.clone()];
    bench.standin.script().signer = new.clone();
    let before = bench.standin.count("/jwks");
    bench.signs_in().await;
    assert_eq!(bench.standin.count("/jwks"), before + 1, "one refetch");
    // whoever still has the old key
    bench.standin.script().signer = old;
    let (outcome, trace) = bench.sign_in().await;
    refused(outcome, &trace, "jose.kid");
    bench.standin.script().signer = new;
    bench.signs_in().await;
}

/// A provider with one key may name none, and one may keep the name.
#[tokio::test]
async fn oidc_063_a_key_that_was_replaced_under_its_name_or_under_none_is_found() {
    for named in [true, false] {
        let bench = Bench::oidc("");
        bench.standin.script().header = Box::new(move |header| {
            if !named {
                header.as_object_mut().unwrap().remove("kid");
            }
        });
        bench.signs_in().await;
        let new = Key::rsa(1, "rsa-1");
        bench.standin.script().keys = vec![new.clone()];
        bench.standin.script().signer = new;
        let before = bench.standin.count("/jwks");
        bench.signs_in().await;
        assert_eq!(bench.standin.count("/jwks"), before + 1, "one refetch");
        // A signature that holds by no key costs no more than an unknown name does.
        bench.standin.script().signer = Key::rsa(0, "rsa-1");
        for _ in 0..20 {
            let (outcome, trace) = bench.sign_in().await;
            refused(outcome, &trace, "jose.signature");
        }
        assert_eq!(bench.standin.count("/jwks"), before + 1);
    }
}
