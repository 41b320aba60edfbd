//! What the settings of one provider contradict each other in, key by key; each next to what goes together.

use crate::bench::{OIDC, provider};
use countersign::upstream::Provider;
use countersign::upstream::kinds::KindSettings;
use toml::Spanned;
use toml::de::DeTable;

const OAUTH2: &str = r#"
id = "friendbook"
kind = "oauth2"
name = "Friendbook"
authorize_url = "https://friendbook.example/dialog"
token_url = "https://friendbook.example/token"
userinfo_url = "https://friendbook.example/me"
client_id = "countersign"
subject = "id"
provisioning = "open"
"#;

/// With `lines` in place of the keys that they set.
fn with(base: &str, lines: &str) -> String {
    let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let set: Vec<String> = lines.lines().map(key).collect();
    let kept: Vec<&str> = base.lines().filter(|line| !set.contains(&key(line))).collect();
    format!("{}\n{lines}", kept.join("\n"))
}

fn oidc(lines: &str) -> String {
    with(&format!("issuer = \"https://id.example\"\n{OIDC}"), lines)
}

fn oauth2(lines: &str) -> String {
    with(&format!("{OAUTH2}client_secret = \"env:SECRET\"\n"), lines)
}

fn problems(text: &str) -> Vec<&'static str> {
    provider(text).check().iter().map(|problem| problem.key).collect()
}

fn unreadable(text: &str) -> String {
    let table = DeTable::parse(text).unwrap();
    let span = table.span();
    let errors = Provider::from_table(Spanned::new(span, table.into_inner())).unwrap_err();
    errors.iter().map(toml::de::Error::message).collect::<Vec<_>>().join("; ")
}

#[test]
fn what_goes_together_in_openid_connect() {
    let basic = "client_auth = \"client_secret_basic\"";
    for fine in [
        "",
        basic,
        "client_auth = \"client_secret_post\"",
        "skew = \"300s\"",
        "skew = \"0s\"",
        "algorithms = [\"ES256\"]",
        "userinfo_signed = true",
        "userinfo_signed = true\nuserinfo = \"always\"",
        "userinfo = \"never\"",
        "email_verified = \"claims.xms_edov\"",
        "email_verified_text = true",
        "id_token_hs256 = true",
        "response_claims = \"user\"",
        "response_claims = \"user\"\nprofile = { name = \"claims.user.name\" }",
        "response_claims = \"user\"\nprofile = { email = \"\", phone_number = \"claims.phone\" }",
        "issuer = \"https://id.example/{tenantid}/v2.0\"\ntenants = \"any\"",
        "issuer = \"https://id.example/{tenantid}/v2.0\"\ntenants = [\"72f988bf-86f1-41af-91ab-2d7cd011db47\"]",
        "discovery_url = \"https://id.example/d?tenant=a\"",
        "authorize_params = { audience = \"x\" }",
    ] {
        assert_eq!(problems(&oidc(fine)), [""; 0], "{fine}");
    }
    for (bad, key) in [
        ("skew = \"301s\"", "skew"),
        ("skew = \"1h\"", "skew"),
        ("algorithms = []", "algorithms"),
        ("userinfo_signed = true\nuserinfo = \"never\"", "userinfo_signed"),
        ("email_verified = \"claims.x\"\nemail_verified_text = true", "email_verified_text"),
        ("client_id = \"\"", "client_id"),
        ("id_token_hs256 = true\nuserinfo_signed = true", "userinfo_signed"),
        ("response_claims = \"\"", "response_claims"),
        ("response_claims = \"code\"", "response_claims"),
        ("response_claims = \"user\"\nprofile = { email = \"claims.user.email\" }", "response_claims"),
        ("response_claims = \"user\"\nprofile = { phone_number = \"claims.user.phone\" }", "response_claims"),
        ("response_claims = \"user\"\nemail_verified = \"claims.user.verified\"", "response_claims"),
        ("response_claims = \"user\"\nprovisioning = { filter = \"claims.user.staff\" }", "response_claims"),
        ("issuer = \"https://id.example/{tenantid}/v2.0\"", "tenants"),
        ("tenants = \"any\"", "tenants"),
        ("discovery_url = \"http://id.example/d\"", "discovery_url"),
        ("issuer = \"http://id.example\"", "issuer"),
        ("authorize_params = { scope = \"x\" }", "authorize_params"),
        ("private_key = \"env:KEY\"", "private_key"),
        ("key_id = \"k\"", "key_id"),
        ("team_id = \"t\"", "team_id"),
    ] {
        assert_eq!(problems(&oidc(bad)), [key], "{bad}");
    }
    let unsigned = oidc("id_token_hs256 = true").replace("client_secret = \"env:SECRET\"", "");
    assert_eq!(problems(&unsigned), ["id_token_hs256"]);
}

#[test]
fn keys_of_our_own_go_with_what_signs() {
    let signing = |lines: &str| problems(&oidc(lines).replace("client_secret = \"env:SECRET\"", ""));
    let jwt = "client_auth = \"private_key_jwt\"";
    let apple = "client_auth = \"signed_secret\"";
    let key = "private_key = \"env:KEY\"";
    assert_eq!(signing(&format!("{jwt}\n{key}")), [""; 0]);
    assert_eq!(signing(&format!("{jwt}\n{key}\nkey_id = \"k\"")), [""; 0]);
    assert_eq!(signing(&format!("{apple}\n{key}\nkey_id = \"k\"\nteam_id = \"t\"")), [""; 0]);
    assert_eq!(signing(jwt), ["private_key"]);
    assert_eq!(signing(&format!("{jwt}\n{key}\nteam_id = \"t\"")), ["team_id"]);
    assert_eq!(signing(&format!("{apple}\nkey_id = \"k\"\nteam_id = \"t\"")), ["private_key"]);
    assert_eq!(signing(&format!("{apple}\n{key}\nteam_id = \"t\"")), ["key_id"]);
    assert_eq!(signing(&format!("{apple}\n{key}\nkey_id = \"k\"")), ["team_id"]);
}

#[test]
fn an_issuer_is_an_address_without_query_and_not_its_document() {
    for good in ["https://id.example", "https://id.example/", "https://id.example/realms/a"] {
        assert_eq!(problems(&oidc(&format!("issuer = \"{good}\""))), [""; 0], "{good}");
    }
    for (bad, words) in [
        ("https://id.example/?a=b", "no query"),
        ("https://id.example?", "no query"),
        ("https://id.example/.well-known/openid-configuration", ".well-known"),
        ("https://id.example/#a", "fragment"),
        ("id.example", "absolute"),
    ] {
        let said = unreadable(&oidc(&format!("issuer = \"{bad}\"")));
        assert!(said.contains(words), "{bad}: {said}");
    }
}

#[test]
fn tenants_are_ids_or_any() {
    let read = |value: &str| unreadable(&oidc(&format!("tenants = {value}")));
    for (bad, words) in [
        ("\"all\"", "\"any\""),
        ("7", "\"any\""),
        ("[]", "at least one"),
        ("[\"contoso\"]", "not a tenant's id"),
        ("[\"72f988bf-86f1-41af-91ab-2d7cd011db47\", \"\"]", "not a tenant's id"),
    ] {
        let said = read(bad);
        assert!(said.contains(words), "{bad}: {said}");
    }
    // as written in capitals, so compared in small letters
    let lines =
        "issuer = \"https://id.example/{tenantid}\"\ntenants = [\"72F988BF-86F1-41AF-91AB-2D7CD011DB47\"]";
    let KindSettings::oidc(settings) = provider(&oidc(lines)).kind else { panic!("of another kind") };
    let tenants = settings.tenants.unwrap();
    assert!(tenants.admit("72f988bf-86f1-41af-91ab-2d7cd011db47"));
    for other in ["72f988bf-86f1-41af-91ab-2d7cd011db48", "72F988BF-86F1-41AF-91AB-2D7CD011DB47", ""] {
        assert!(!tenants.admit(other), "{other}");
    }
    let any = oidc("issuer = \"https://id.example/{tenantid}\"\ntenants = \"any\"");
    let KindSettings::oidc(settings) = provider(&any).kind else { panic!("of another kind") };
    let tenants = settings.tenants.unwrap();
    assert!(tenants.admit("72f988bf-86f1-41af-91ab-2d7cd011db48"));
    assert!(!tenants.admit("contoso") && !tenants.admit(""));
}

#[test]
fn what_goes_together_in_plain_oauth() {
    let emails = "emails_url = \"https://friendbook.example/emails\"";
    let authority = "authoritative_for = [\"friendbook.example\"]";
    for fine in [
        "".to_owned(),
        "appsecret_proof = true".to_owned(),
        format!("{authority}\n{emails}"),
        format!("{authority}\nemail_verified = \"claims.verified\""),
        "issuer = \"https://friendbook.example\"".to_owned(),
        "userinfo_headers = { Client-Id = \"a b~\" }".to_owned(),
        "userinfo_params = { fields = \"id\" }".to_owned(),
        "client_auth = \"client_secret_post\"\npkce = false".to_owned(),
    ] {
        assert_eq!(problems(&oauth2(&fine)), [""; 0], "{fine}");
    }
    for (bad, key) in [
        (authority, "authoritative_for"),
        ("userinfo_params = { access_token = \"x\" }", "userinfo_params"),
        ("authorize_params = { state = \"x\" }", "authorize_params"),
        ("reauthenticate_params = { state = \"x\" }", "reauthenticate_params"),
        ("issuer = \"\"", "issuer"),
        ("issuer = \"  \"", "issuer"),
        ("issuer = \"a\\nb\"", "issuer"),
        ("client_id = \"\"", "client_id"),
        ("acr_map = { \"urn:mfa\" = \"mfa\" }", "acr_map"),
        ("userinfo_headers = { Authorization = \"x\" }", "userinfo_headers"),
        ("userinfo_headers = { accept = \"x\" }", "userinfo_headers"),
        ("userinfo_headers = { \"\" = \"x\" }", "userinfo_headers"),
        ("userinfo_headers = { \"a b\" = \"x\" }", "userinfo_headers"),
        ("userinfo_headers = { a = \"x\\ny\" }", "userinfo_headers"),
        ("userinfo_headers = { a = \"\u{e9}\" }", "userinfo_headers"),
        ("token_url = \"http://friendbook.example/token\"", "token_url"),
        ("authorize_url = \"http://friendbook.example/dialog\"", "authorize_url"),
        ("userinfo_url = \"http://friendbook.example/me\"", "userinfo_url"),
        ("emails_url = \"http://friendbook.example/emails\"", "emails_url"),
    ] {
        assert_eq!(problems(&oauth2(bad)), [key], "{bad}");
    }
    let both = format!("{emails}\nemail_verified = \"claims.verified\"");
    assert_eq!(problems(&oauth2(&both)), ["email_verified"]);
    let public = with(OAUTH2, "appsecret_proof = true");
    assert_eq!(problems(&public), ["appsecret_proof"]);
    assert_eq!(problems(&with(OAUTH2, "")), [""; 0], "a public client");
    for auth in ["private_key_jwt", "signed_secret"] {
        assert_eq!(problems(&with(OAUTH2, &format!("client_auth = \"{auth}\""))), ["client_auth"]);
    }
}

#[test]
fn a_path_has_names_and_no_more_than_eight() {
    for good in ["id", "data.id", "a.b.c.d.e.f.g.h"] {
        assert_eq!(problems(&oauth2(&format!("subject = \"{good}\""))), [""; 0], "{good}");
    }
    for bad in ["", ".", "data.", ".id", "data..id", "a.b.c.d.e.f.g.h.i"] {
        let said = unreadable(&oauth2(&format!("subject = \"{bad}\"")));
        assert!(said.contains("not a path"), "{bad}: {said}");
    }
}

#[test]
fn what_a_plain_provider_is_called_in_identities() {
    let issuer = |text: &str| {
        let KindSettings::oauth2(settings) = provider(text).kind else { panic!("of another kind") };
        settings.issuer()
    };
    assert_eq!(issuer(&oauth2("")), "https://friendbook.example");
    assert_eq!(issuer(&oauth2("issuer = \"https://hub.example\"")), "https://hub.example");
}
