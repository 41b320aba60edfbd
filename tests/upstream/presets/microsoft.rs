//! <https://learn.microsoft.com/en-us/entra/identity-platform/v2-protocols-oidc>,
//! <https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens#validate-the-issuer>,
//! <https://learn.microsoft.com/en-us/entra/identity-platform/optional-claims-reference>

use super::*;
use crate::standin::Reply;
use serde_json::json;

const ONE: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const TWO: &str = "aaaaaaaa-0b0b-1c1c-2d2d-333333333333";
const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

fn person(script: &mut Script) {
    script.person = json!({
        "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "tid": ONE, "name": "Abe Lincoln",
        "preferred_username": "abeli@globex.example", "oid": "00000000-0000-0000-66f3-3332eca7ea81",
        "email": "abeli@globex.example", "xms_edov": true, "ver": "2.0",
    });
    script.in_id_token = vec!["tid", "name", "preferred_username", "oid", "email", "xms_edov", "ver"];
    script.response = Box::new(|answer| {
        answer.remove("iss");
        answer.insert("session_state".to_owned(), "7a2e".to_owned());
    });
}

fn without_iss(document: &mut Value) {
    document.as_object_mut().unwrap().remove("authorization_response_iss_parameter_supported");
}

fn single(script: &mut Script) {
    person(script);
    script.discovery = body(without_iss);
}

/// The documents of `common`: an issuer that is a template, keys that say for whom they sign.
fn several(script: &mut Script) {
    person(script);
    script.discovery = body(|document| {
        without_iss(document);
        document["issuer"] = json!(format!("{}/{{tenantid}}/v2.0", document["issuer"].as_str().unwrap()));
    });
    tenant_of(script, ONE, "{tenantid}");
}

/// An ID token of a tenant, by a key that signs for another or for all.
fn tenant_of(script: &mut Script, tenant: &'static str, key: &'static str) {
    let origin = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let known = origin.clone();
    script.claims = Box::new(move |claims| {
        let issuer = claims["iss"].as_str().unwrap().to_owned();
        claims["iss"] = json!(format!("{issuer}/{tenant}/v2.0"));
        claims["tid"] = json!(tenant);
        *origin.lock().unwrap() = issuer;
    });
    script.jwks = body(move |keys| {
        // the stand-in signs before its keys are asked for
        let origin = known.lock().unwrap().clone();
        keys["keys"][0]["issuer"] = json!(format!("{origin}/{key}/v2.0"));
    });
}

fn multi(tenants: &str) -> Contract {
    let tenants = tenants.to_owned();
    let more = move |origin: &str| {
        format!(
            "issuer = \"{origin}/{{tenantid}}/v2.0\"\n\
             discovery_url = \"{origin}/.well-known/openid-configuration\"\n\
             {SECRET}tenants = {tenants}\nauthoritative_for = [\"globex.example\"]"
        )
    };
    Contract::new("microsoft-multitenant", more, several)
}

#[tokio::test]
async fn what_microsoft_is_set_to() {
    let settings = fixed_oidc("microsoft", &format!("{SECRET}tenant = \"{ONE}\""));
    assert_eq!(settings.issuer.text, format!("https://login.microsoftonline.com/{ONE}/v2.0"));
    assert_eq!(settings.discovery_url, None);
    let any = format!("{SECRET}tenants = \"any\"\n");
    let address = |more: &str| {
        let settings = fixed_oidc("microsoft-multitenant", &format!("{any}{more}"));
        assert_eq!(settings.issuer.text, "https://login.microsoftonline.com/{tenantid}/v2.0");
        settings.discovery_url.unwrap().url().to_string()
    };
    let usual = "https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration";
    assert_eq!(address(""), usual);
    assert_eq!(address("authority = \"common\""), usual.replace("organizations", "common"));
}

#[tokio::test]
async fn a_sign_in_at_one_tenant() {
    let more = format!("{SECRET}authoritative_for = [\"globex.example\"]");
    let contract = Contract::oidc("microsoft", &more, single);
    let vouched = contract.signs_in().await;
    let issuer = contract.bench.standin.origin();
    assert_eq!(key(&vouched), (issuer, "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", ""));
    assert_eq!(email(&vouched), Some(("abeli@globex.example", true)));
    assert_eq!(name(&vouched), Some("Abe Lincoln"));
}

/// One value of `prompt`, and `auth_time` only where somebody added the claim.
/// <https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow#request-an-authorization-code>
pub(super) async fn one_prompt_and_no_time(contract: &Contract) {
    (contract.script)(&mut contract.bench.standin.script());
    let upstream = &contract.bench.entry.upstream;
    assert!(upstream.lets_choose() && !upstream.proves_freshness());
    let both = |request: &mut BeginRequest| {
        (request.select_account, request.force_authentication) = (true, true);
    };
    assert_eq!(contract.wished(both).await["prompt"], "login", "a new proof counts for more");
    assert_eq!(contract.wished(|request| request.select_account = true).await["prompt"], "select_account");
    assert_eq!(contract.wished(|request| request.silent = true).await["prompt"], "none");
}

#[tokio::test]
async fn a_fresh_proof_is_shown_by_a_claim_that_somebody_adds() {
    one_prompt_and_no_time(&Contract::oidc("microsoft", SECRET, single)).await;
    one_prompt_and_no_time(&multi("\"any\"")).await;
    let added = Contract::oidc("microsoft", &format!("{SECRET}auth_time = true\n"), single);
    assert!(added.bench.entry.upstream.proves_freshness());
    single(&mut added.bench.standin.script());
    for (at, fine) in [(Some(1_800_000_000), true), (Some(1_700_000_000), false), (None, false)] {
        added.bench.standin.script().claims = Box::new(move |claims| {
            let claims = claims.as_object_mut().unwrap();
            claims.remove("auth_time");
            claims.extend(at.map(|at| ("auth_time".to_owned(), json!(at))));
        });
        let open = added.bench.begin(|request| request.force_authentication = true).await.unwrap();
        let demand = |callback: &mut Callback| {
            callback.demanded.begun_at = Some(countersign::context::Timestamp::from_secs(1_800_000_000));
            callback.demanded.force_authentication = true;
        };
        let (outcome, trace) = added.bench.finish(&open, demand).await;
        if fine {
            outcome.unwrap();
        } else {
            refused(outcome, &trace, "oidc.auth_time");
        }
    }
}

#[tokio::test]
async fn an_address_is_a_proof_only_by_xms_edov() {
    let more = format!("{SECRET}authoritative_for = [\"globex.example\"]");
    let contract = Contract::oidc("microsoft", &more, single);
    for value in [json!(null), json!(false), json!("true"), json!("1"), json!(1)] {
        let shown = value.to_string();
        let vouched = contract
            .signs_in_with(|script| {
                script.claims = Box::new(move |claims| {
                    claims["xms_edov"] = value.clone();
                    // what anybody's administrator may have written counts for nothing
                    claims["email_verified"] = json!(true);
                });
            })
            .await;
        assert_eq!(email(&vouched), Some(("abeli@globex.example", false)), "{shown}");
    }
}

#[tokio::test]
async fn each_tenant_is_an_issuer_of_its_own() {
    let contract = multi("\"any\"");
    let origin = contract.bench.standin.origin().to_owned();
    let one = contract.signs_in().await;
    assert_eq!(key(&one).0, format!("{origin}/{ONE}/v2.0"));
    assert_eq!(email(&one), Some(("abeli@globex.example", true)));
    let two = contract.signs_in_with(|script| tenant_of(script, TWO, "{tenantid}")).await;
    assert_eq!(key(&two).0, format!("{origin}/{TWO}/v2.0"));
    assert_ne!(one.identity.key(), two.identity.key(), "the same subject at two tenants is two people");
}

#[tokio::test]
async fn only_people_of_admitted_tenants() {
    let contract = multi(&format!("[\"{ONE}\"]"));
    contract.refuses("oidc.tenant", |script| tenant_of(script, TWO, "{tenantid}")).await;
    contract.refuses("oidc.tenant", |script| tenant_of(script, PERSONAL, "{tenantid}")).await;
    let any = multi("\"any\"");
    for tid in
        [json!(null), json!("common"), json!(""), json!([ONE]), json!("../x"), json!(ONE.to_uppercase())]
    {
        any.refuses(
            if tid == json!(ONE.to_uppercase()) { "oidc.id_token.iss" } else { "oidc.tenant" },
            |script| {
                let mut before = std::mem::replace(&mut script.claims, Box::new(|_| {}));
                script.claims = Box::new(move |claims| {
                    before(claims);
                    claims["tid"] = tid.clone();
                });
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_tenant_cannot_speak_for_another() {
    let contract = multi("\"any\"");
    // the issuer of one, the tenant of another
    contract
        .refuses("oidc.id_token.iss", |script| {
            let mut before = std::mem::replace(&mut script.claims, Box::new(|_| {}));
            script.claims = Box::new(move |claims| {
                before(claims);
                claims["tid"] = json!(TWO);
            });
        })
        .await;
}

#[tokio::test]
async fn a_key_of_one_tenant_signs_for_no_other() {
    for (key, refused_for) in [(PERSONAL, Some("oidc.key_issuer")), (ONE, None), ("{tenantid}", None)] {
        let contract = multi("\"any\"");
        let (outcome, trace) = contract.tries(|script| tenant_of(script, ONE, key)).await;
        match refused_for {
            None => assert!(outcome.is_ok(), "{key}: {outcome:?}"),
            Some(reason) => drop(refused(outcome, &trace, reason)),
        }
    }
    let silent = multi("\"any\"");
    let (outcome, trace) = silent.tries(|script| script.jwks = Box::new(|_| {})).await;
    refused(outcome, &trace, "oidc.key_issuer");
}

#[tokio::test]
async fn an_answer_that_names_its_issuer_names_an_admitted_tenant_and_the_tokens_own() {
    for (tenants, tenant, accepted) in [
        ("\"any\"", ONE, true),
        ("\"any\"", TWO, false),
        ("\"any\"", "common", false),
        ("\"any\"", "{tenantid}", false),
        (&format!("[\"{ONE}\"]"), ONE, true),
        (&format!("[\"{ONE}\"]"), TWO, false),
        (&format!("[\"{ONE}\"]"), PERSONAL, false),
    ] {
        let contract = multi(tenants);
        let issuer = format!("{}/{tenant}/v2.0", contract.bench.standin.origin());
        let (outcome, trace) = contract
            .tries(|script| {
                script.response =
                    Box::new(move |answer| drop(answer.insert("iss".to_owned(), issuer.clone())));
            })
            .await;
        if accepted {
            assert!(outcome.is_ok(), "{tenants} {tenant}: {outcome:?}");
        } else {
            refused(outcome, &trace, "oidc.iss_param");
            // one that can be nobody's is refused before the code goes anywhere
            let redeemed = contract.bench.standin.count("/token");
            assert_eq!(redeemed, usize::from(tenants == "\"any\"" && tenant == TWO), "{tenants} {tenant}");
        }
    }
    for other in ["https://other.example", ""] {
        let (outcome, trace) = multi("\"any\"")
            .tries(|script| {
                script.response = Box::new(|answer| drop(answer.insert("iss".to_owned(), other.to_owned())));
            })
            .await;
        refused(outcome, &trace, "oidc.iss_param");
    }
}

#[tokio::test]
async fn the_discovery_document_of_another_is_refused() {
    let contract = multi("\"any\"");
    let (outcome, _) = contract.tries(|script| script.discovery = Box::new(|_| {})).await;
    assert_eq!(outcome.unwrap_err().reason, "oidc.discovery.issuer");
}

/// With the authority `consumers`, the document names the issuer of personal accounts, and no template.
/// <https://login.microsoftonline.com/consumers/v2.0/.well-known/openid-configuration>
#[tokio::test]
async fn personal_accounts_have_a_document_of_their_own_tenant() {
    let named = |script: &mut Script, named: &'static str| {
        script.discovery = body(move |document| {
            without_iss(document);
            let origin = document["issuer"].as_str().unwrap().to_owned();
            document["issuer"] = json!(named.replace("{origin}", &origin));
        });
        tenant_of(script, PERSONAL, PERSONAL);
    };
    let own = "{origin}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
    for tenants in ["\"any\"".to_owned(), format!("[\"{PERSONAL}\"]")] {
        let contract = multi(&tenants);
        let vouched = contract.signs_in_with(|script| named(script, own)).await;
        assert_eq!(key(&vouched).0, format!("{}/{PERSONAL}/v2.0", contract.bench.standin.origin()));
    }
    for (tenants, other) in [
        (format!("[\"{ONE}\"]"), own),
        (format!("[\"{PERSONAL}\"]"), "{origin}/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0"),
        ("\"any\"".to_owned(), "https://other.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"),
        ("\"any\"".to_owned(), "{origin}/consumers/v2.0"),
        ("\"any\"".to_owned(), "{origin}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0/"),
    ] {
        let (outcome, _) = multi(&tenants).tries(|script| named(script, other)).await;
        assert_eq!(outcome.unwrap_err().reason, "oidc.discovery.issuer", "{tenants} {other}");
    }
}

#[tokio::test]
async fn what_microsoft_refuses() {
    let contract = multi("\"any\"");
    contract
        .declined(
            "oidc.cancelled",
            &[("error", "access_denied"), ("error_description", "the user canceled the authentication")],
        )
        .await;
    contract
        .refuses("oidc.token_error", |script| {
            script.token = Box::new(|reply| {
                let error = json!({
                    "error": "invalid_grant", "error_description": "AADSTS54005: OAuth2 Authorization code was \
                    already redeemed", "error_codes": [54005], "trace_id": "x", "correlation_id": "x",
                });
                *reply = Reply::json(400, &error);
            });
        })
        .await;
}
