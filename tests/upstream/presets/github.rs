//! <https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps>,
//! <https://docs.github.com/en/apps/github-authentication-discovery-endpoints>,
//! <https://docs.github.com/en/rest/users/users#get-the-authenticated-user>,
//! <https://docs.github.com/en/rest/users/emails#list-email-addresses-for-the-authenticated-user>

use super::*;
use crate::standin::Reply;
use serde_json::json;

fn script(script: &mut Script) {
    script.person = json!({
        "login": "octocat", "id": 583_231, "node_id": "MDQ6VXNlcjU4MzIzMQ==", "name": "Mona Lisa Octocat",
        "avatar_url": "https://avatars.githubusercontent.com/u/583231?v=4",
        "html_url": "https://github.com/octocat", "blog": "", "email": "public@github.example", "type": "User",
    });
    // form-encoded, as it answers unless it is asked for JSON
    script.token = Box::new(|reply| {
        if reply.status == 200 {
            let body: Value = serde_json::from_slice(&reply.body).unwrap();
            let token = body["access_token"].as_str().unwrap();
            let form = format!("access_token={token}&scope=read%3Auser%2Cuser%3Aemail&token_type=bearer");
            reply.set("application/x-www-form-urlencoded; charset=utf-8", form);
        }
    });
    script.emails = Box::new(|reply| {
        *reply = Reply::json(
            200,
            &json!([
                {"email": "octocat@github.example", "verified": true, "primary": true, "visibility": "private"},
                {"email": "public@github.example", "verified": false, "primary": false, "visibility": "public"},
                {"email": "octocat@users.noreply.github.com", "verified": true, "primary": false, "visibility": null},
            ]),
        );
    });
}

/// GitHub.com names itself in its answers; a server of one's own does not.
fn named(github: &mut Script) {
    script(github);
    github.response =
        Box::new(|answer| drop(answer.insert("iss".to_owned(), "https://github.com/login/oauth".to_owned())));
}

const OWN: &str = "emails_url = \"{origin}/emails\"\nauthoritative_for = [\"github.example\"]";

fn contract() -> Contract {
    Contract::oauth2("github", &format!("{SECRET}{OWN}"), named)
}

fn enterprise() -> Contract {
    let more = format!("{SECRET}base_url = \"https://github.globex.example\"\n{OWN}");
    Contract::oauth2("github-enterprise", &more, script)
}

#[tokio::test]
async fn what_github_is_set_to() {
    let settings = fixed_oauth2("github", SECRET);
    assert_eq!(
        endpoints(&settings),
        [
            "https://github.com/login/oauth/authorize",
            "https://github.com/login/oauth/access_token",
            "https://api.github.com/user",
            "https://api.github.com/user/emails",
        ]
    );
    assert_eq!(settings.issuer(), "https://github.com");
    assert_eq!(settings.response_issuer.as_deref(), Some("https://github.com/login/oauth"));
    let more = format!("{SECRET}base_url = \"https://github.globex.example/\"");
    let enterprise = fixed_oauth2("github-enterprise", &more);
    assert_eq!(
        endpoints(&enterprise),
        [
            "https://github.globex.example/login/oauth/authorize",
            "https://github.globex.example/login/oauth/access_token",
            "https://github.globex.example/api/v3/user",
            "https://github.globex.example/api/v3/user/emails",
        ]
    );
    assert_eq!(enterprise.issuer(), "https://github.globex.example");
    assert_eq!(enterprise.response_issuer, None);
}

#[tokio::test]
async fn a_sign_in_at_github() {
    signs_in_at(&contract(), "https://github.com").await;
    assert_eq!(contract().signed_in_with_version().await.as_deref(), Some("2022-11-28"));
}

#[tokio::test]
async fn a_sign_in_at_a_server_of_ones_own() {
    signs_in_at(&enterprise(), "https://github.globex.example").await;
    assert_eq!(enterprise().signed_in_with_version().await, None, "each server has versions of its own");
}

impl Contract {
    async fn signed_in_with_version(&self) -> Option<String> {
        self.signs_in().await;
        self.last("/me").headers.get("x-github-api-version").cloned()
    }
}

async fn signs_in_at(contract: &Contract, issuer: &str) {
    let vouched = contract.signs_in().await;
    assert_eq!(key(&vouched), (issuer, "583231", "integer"));
    assert_eq!(email(&vouched), Some(("octocat@github.example", true)));
    let profile = vouched.identity.profile();
    assert_eq!(profile.name.as_deref(), Some("Mona Lisa Octocat"));
    assert_eq!(profile.preferred_username.as_deref(), Some("octocat"));
    assert!(
        contract.last("/me").headers["user-agent"].starts_with("countersign/"),
        "it refuses calls without one"
    );
    assert_eq!(contract.asks("scope").await.as_deref(), Some("read:user user:email"));
}

#[tokio::test]
async fn an_address_that_github_has_not_verified_is_none() {
    for contract in [contract(), enterprise()] {
        let vouched = contract
            .signs_in_with(|script| {
                script.emails = Box::new(|reply| {
                    *reply = Reply::json(
                        200,
                        &json!([{"email": "octocat@github.example", "verified": false, "primary": true}]),
                    );
                });
            })
            .await;
        assert_eq!(email(&vouched), None, "the public address of the profile is not used either");
    }
}

/// RFC 9207, by the issuer of <https://github.com/.well-known/oauth-authorization-server/login/oauth>.
#[tokio::test]
async fn githubs_answer_names_githubs_issuer() {
    let contract = contract();
    for iss in ["", "https://github.com", "https://github.globex.example/login/oauth"] {
        contract
            .refuses("oauth2.iss_param", |script| {
                script.response = Box::new(move |answer| {
                    answer.insert("iss".to_owned(), iss.to_owned());
                });
            })
            .await;
    }
    let wrong = [("error", "access_denied"), ("iss", "https://github.com")];
    contract.declined("oauth2.iss_param", &wrong).await;
}

/// As they were from 11 April 2026 on, for some weeks: what tells of it is a preview.
#[tokio::test]
async fn githubs_answers_without_an_issuer() {
    let contract = contract();
    let silent = |script: &mut Script| {
        script.response = Box::new(|answer| {
            answer.remove("iss");
        });
    };
    contract.signs_in_with(silent).await;
    contract.declined("oauth2.cancelled", &[("error", "access_denied")]).await;
    let strict =
        Contract::oauth2("github", &format!("{SECRET}{OWN}\nresponse_issuer_required = true"), named);
    strict.refuses("oauth2.iss_param", silent).await;
    strict.declined("oauth2.iss_param", &[("error", "access_denied")]).await;
}

#[tokio::test]
async fn what_github_refuses() {
    refuses_at(&contract(), &[("iss", "https://github.com/login/oauth")]).await;
    refuses_at(&enterprise(), &[]).await;
}

async fn refuses_at(contract: &Contract, says: &[(&str, &str)]) {
    for error in ["bad_verification_code", "incorrect_client_credentials", "redirect_uri_mismatch"] {
        contract
            .refuses("oauth2.token_error", |script| {
                script.token = Box::new(move |reply| {
                    *reply = Reply::json(
                        200,
                        &json!({"error": error, "error_description": "x", "error_uri": "x"}),
                    );
                });
            })
            .await;
        contract
            .refuses("oauth2.token_error", |script| {
                script.token = Box::new(move |reply| {
                    reply.status = 200;
                    reply.set(
                        "application/x-www-form-urlencoded",
                        format!("error={error}&error_description=x"),
                    );
                });
            })
            .await;
    }
    contract
        .refuses("oauth2.userinfo.status", |script| {
            script.profile =
                Box::new(|reply| *reply = Reply::json(401, &json!({"message": "Bad credentials"})));
        })
        .await;
    let denied =
        [("error", "access_denied"), ("error_description", "The user has denied your application access.")];
    contract.declined("oauth2.cancelled", &[&denied, says].concat()).await;
}

/// <https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps>
#[tokio::test]
async fn people_may_choose_among_their_accounts_at_github() {
    for contract in [contract(), enterprise()] {
        assert!(contract.bench.entry.upstream.lets_choose());
        assert!(!contract.bench.entry.upstream.proves_freshness());
        assert!(!contract.wished(|_| {}).await.contains_key("prompt"));
        assert_eq!(
            contract.wished(|request| request.select_account = true).await["prompt"],
            "select_account"
        );
        let asked = contract.in_german().await;
        assert!(
            !asked.contains_key("ui_locales") && !asked.contains_key("hl"),
            "it has no word for a language"
        );
    }
}
