use super::*;

/// The example at the top of this file, as it stands there.
fn example() -> String {
    include_str!("mod.rs")
        .lines()
        .skip_while(|line| *line != "//! ```toml")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| format!("{}\n", line.trim_start_matches("//!").trim_start()))
        .collect()
}

fn providers(text: &str) -> Result<Vec<Provider>, Vec<toml::de::Error>> {
    let mut root = DeTable::parse(text).unwrap().into_inner();
    let Some((_, list)) = root.remove_entry("provider") else { panic!("no provider") };
    let DeValue::Array(list) = list.into_inner() else { panic!("not a list") };
    list.into_iter()
        .map(|table| {
            let span = table.span();
            let DeValue::Table(table) = table.into_inner() else { panic!("not a table") };
            Provider::from_table(Spanned::new(span, table))
        })
        .collect()
}

#[test]
fn the_example_is_read_and_has_no_contradictions() {
    let found = providers(&example()).unwrap();
    assert_eq!(found.len(), 2);
    for provider in &found {
        assert_eq!(provider.check(), []);
    }
    assert_eq!(found[0].common.rules[0].rule, "engineering");
}

#[test]
fn errors_point_at_the_value() {
    for (bad, place) in [
        ("kind = \"oidc\"", "kind = \"oicd\""),
        ("issuer = \"http://localhost:8081\"", "issuer = \"localhost\""),
        ("client_secret = \"env:GLOBEX_SECRET\"", "client_secret = \"hunter2\""),
        ("authoritative_for = [\"globex.example\"]", "authoritative_for = [\"globex\"]"),
        ("when = \"'engineering' in claims.groups\"", "when = \"claims.\""),
        ("name = \"Globex\"", "nam = \"Globex\""),
        ("allow_loopback = true", "allow_loopback = 1"),
    ] {
        let text = example().replacen(bad, place, 1);
        assert_ne!(text, example());
        let errors = providers(&text).unwrap_err();
        let line = text.find(place).unwrap();
        let here = |error: &toml::de::Error| {
            error.span().is_some_and(|span| span.start >= line && span.start < line + place.len())
        };
        assert!(errors.iter().any(here), "{place}: {errors:?}");
        assert!(!format!("{errors:?}").contains("hunter2"), "a secret in an error");
    }
}

#[test]
fn what_does_not_go_together_is_told() {
    for (was, is, key) in [
        ("allow_loopback = true", "", "issuer"),
        ("client_secret = \"env:GLOBEX_SECRET\"", "client_auth = \"client_secret_post\"", "client_auth"),
        ("name = \"Globex\"", "name = \" \"", "name"),
        ("kind = \"oidc\"", "kind = \"oidc\"\ntimeout = \"6s\"", "timeout"),
        ("kind = \"oidc\"", "kind = \"oidc\"\nauthorize_params = { nonce = \"x\" }", "authorize_params"),
    ] {
        let found = providers(&example().replacen(was, is, 1)).unwrap();
        let problems = found[0].check();
        assert!(problems.iter().any(|problem| problem.key == key), "{is}: {problems:?}");
    }
}

#[test]
fn an_unknown_kind_is_one_error() {
    let errors = providers(&example().replacen("kind = \"oidc\"", "kind = \"oicd\"", 1)).unwrap_err();
    assert_eq!(errors.len(), 1, "nothing is said of the keys of a kind that does not exist: {errors:?}");
    assert!(errors[0].message().contains("unknown variant `oicd`"));
}

#[test]
fn a_provider_is_on_and_shown_unless_it_says_otherwise() {
    let first = |text: &str| providers(text).unwrap().swap_remove(0).common;
    let common = first(&example());
    assert!(common.enabled && !common.hidden && !common.allow_private_network);
    assert_eq!(common.timeout, Duration::from_secs(5));
    assert_eq!((common.profile_refresh, common.freshness), (ProfileRefresh::Always, Freshness::Proved));
    let off = first(&example().replacen("kind =", "enabled = false\nhidden = true\norder = 7\nkind =", 1));
    assert!(!off.policy().enabled);
    let display = ProviderDisplay { name: "Globex".to_owned(), icon: None, order: 7, hidden: true };
    assert_eq!(off.display(), display);
}

#[test]
fn contradictions_of_all_kinds_have_their_bounds() {
    let keys = |more: &str| -> Vec<&'static str> {
        let text = example().replacen("kind = \"oidc\"", &format!("kind = \"oidc\"\n{more}"), 1);
        providers(&text).unwrap()[0].check().iter().map(|problem| problem.key).collect()
    };
    for fine in [
        "timeout = '5s'",
        "timeout = '1ms'",
        "domains = ['a.example']\ndomain_claim = 'claims.hd'",
        "domains = ['a.example']",
    ] {
        assert_eq!(keys(fine), [""; 0], "{fine}");
    }
    for (bad, key) in [
        ("timeout = '0s'", "timeout"),
        ("timeout = '5001ms'", "timeout"),
        ("domain_claim = 'claims.hd'", "domain_claim"),
        ("authorize_params = { state = 'x' }", "authorize_params"),
    ] {
        assert_eq!(keys(bad), [key], "{bad}");
    }
    let twice =
        "[[provider.map]]\nrule = \"engineering\"\ngroup = \"g\"\nwhen = \"true\"\n\n[provider.profile]";
    let text = example().replacen("[provider.profile]", twice, 1);
    let problems = providers(&text).unwrap()[0].check();
    assert_eq!(problems.iter().map(|problem| problem.key).collect::<Vec<_>>(), ["map"]);
    assert!(problems[0].message.contains("`engineering`"));
}

#[test]
fn how_we_authenticate_must_be_possible() {
    let secret = SecretRef::Env("S".to_owned());
    let said = |auth, secret: Option<&SecretRef>, pkce| -> Vec<(&'static str, String)> {
        let found = check_client_auth(auth, secret, pkce);
        found.into_iter().map(|problem| (problem.key, problem.message)).collect()
    };
    let cases = [
        (ClientAuth::ClientSecretBasic, true, "client_secret_basic"),
        (ClientAuth::ClientSecretPost, true, "client_secret_post"),
        (ClientAuth::ClientSecretJwt, true, "client_secret_jwt"),
        (ClientAuth::PrivateKeyJwt, false, "private_key_jwt"),
        (ClientAuth::SignedSecret, false, "signed_secret"),
        (ClientAuth::None, false, "none"),
    ];
    for (auth, takes_secret, name) in cases {
        assert_eq!(auth.as_str(), name);
        let with = said(auth, Some(&secret), true);
        let without = said(auth, None, true);
        let (fine, (key, message)) =
            if takes_secret { (with, without[0].clone()) } else { (without, with[0].clone()) };
        assert_eq!(fine, [], "{name}");
        assert_eq!(key, if takes_secret { "client_auth" } else { "client_secret" });
        assert!(message.contains(name), "{message}");
    }
    assert_eq!(said(ClientAuth::None, None, false)[0].0, "pkce");
    assert_eq!(said(ClientAuth::ClientSecretPost, Some(&secret), false), []);
}

#[test]
fn plain_http_is_for_this_machine_only() {
    let keys = |host: &str, loopback: bool| {
        let text = example().replacen("http://localhost:8081", host, 1).replacen(
            "allow_loopback = true",
            if loopback { "allow_loopback = true" } else { "" },
            1,
        );
        let found = providers(&text).unwrap()[0].check();
        found.iter().map(|problem| problem.key).collect::<Vec<_>>()
    };
    assert_eq!(keys("http://localhost:8081", true), [""; 0]);
    assert_eq!(keys("https://id.example", false), [""; 0]);
    assert_eq!(keys("http://localhost:8081", false), ["issuer"]);
    assert_eq!(keys("http://id.example", true), ["issuer"]);
}

#[test]
fn an_address_that_is_a_number_must_be_one_to_which_we_may_speak() {
    let told = |host: &str, more: &str| {
        let text = example()
            .replacen("http://localhost:8081", host, 1)
            .replacen("allow_loopback = true", more, 1)
            .replace("http://localhost:8082", "https://10.0.0.1");
        let found = providers(&text).unwrap();
        let told = |at: usize| -> Vec<(&str, String)> {
            found[at].check().into_iter().map(|found| (found.key, found.help.unwrap_or_default())).collect()
        };
        (told(0), told(1))
    };
    for (host, help) in [
        ("https://10.0.0.1", "allow_private_network"),
        ("https://[fd00::1]/realms/a", "allow_private_network"),
        ("https://127.0.0.1", "allow_loopback"),
        ("https://169.254.169.254", "no setting"),
    ] {
        let (found, _) = told(host, "");
        assert!(found.len() == 1 && found[0].0 == "issuer" && found[0].1.contains(help), "{host}: {found:?}");
    }
    // one thing is told of one address, and of a name nothing
    assert_eq!(told("http://10.0.0.1", "").0.len(), 1);
    for (host, more) in [
        ("https://id.example", ""),
        ("https://93.184.216.34", ""),
        ("https://10.0.0.1", "allow_private_network = true"),
        ("https://127.0.0.1", "allow_loopback = true"),
        ("https://10.0.0.1", "discovery_url = \"https://id.example/d\""),
    ] {
        assert_eq!(told(host, more).0, [], "{host} {more}");
    }
    // people may go where we do not
    let keys: Vec<&str> = told("https://id.example", "").1.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, ["token_url", "userinfo_url"]);
}

#[test]
fn who_gets_an_account_must_be_said() {
    let read = |value: &str| {
        let text = example().replacen("provisioning = \"open\"", &format!("provisioning = {value}"), 1);
        providers(&text).map(|found| found[0].common.provisioning.clone())
    };
    assert_eq!(read("\"open\""), Ok(Provisioning::Open));
    assert_eq!(read("\"invitation\""), Ok(Provisioning::Invitation));
    assert_eq!(read("\"never\""), Ok(Provisioning::Never));
    let domains = BTreeSet::from(["a.example".to_owned()]);
    assert_eq!(read("{ domains = [\"A.example\"] }"), Ok(Provisioning::Domains(domains)));
    let filter = Expression::new("claims.staff").unwrap();
    assert_eq!(read("{ filter = \"claims.staff\" }"), Ok(Provisioning::ClaimFilter(filter)));
    for (bad, words) in [
        ("\"anyone\"", "\"invitation\""),
        ("7", "\"invitation\""),
        ("{}", "\"invitation\""),
        ("{ domains = [] }", "nobody"),
        ("{ domain = [\"a.example\"] }", "unknown field"),
        ("{ domains = [\"a.example\"], filter = \"claims.staff\" }", "one policy only"),
    ] {
        let errors = read(bad).unwrap_err();
        assert!(errors[0].message().contains(words), "{bad}: {errors:?}");
    }
}

#[test]
fn a_claim_filter_is_read_with_the_mapping() {
    let with = |value: &str| {
        let text = example().replacen("provisioning = \"open\"", &format!("provisioning = {value}"), 1);
        providers(&text).unwrap().swap_remove(0).common
    };
    assert_eq!(with("\"open\"").mapping().filter, None);
    let common = with("{ filter = \"claims.staff\" }");
    let mapping = common.mapping();
    assert_eq!(mapping.filter.as_ref().map(Expression::as_str), Some("claims.staff"));
    assert_eq!((mapping.rules.len(), mapping.profile.len()), (1, 1));
    assert_eq!(common.policy().authoritative_for, BTreeSet::from(["globex.example".to_owned()]));
    assert_eq!(common.policy().linking, Linking::VerifiedEmail);
}

#[test]
fn the_kinds_of_a_list_have_their_keys() {
    for provider in providers(&example()).unwrap() {
        let kind = provider.common.kind.as_str();
        assert_eq!(provider.kind.kind(), kind);
        assert!(kinds::keys(kind).unwrap().contains(&"client_secret"));
        let secrets: Vec<_> = provider.kind.secrets().into_iter().map(|(key, _)| key).collect();
        assert_eq!(secrets, ["client_secret"]);
        assert_eq!(provider.kind.documents(), []);
    }
    assert_eq!(kinds::keys("ldap"), None);
}

#[test]
fn link_043_no_mapping_assigns_administration() {
    let text = example().replacen("group = \"engineers\"", "role = \"countersign:admin\"", 1);
    let errors = providers(&text).unwrap_err();
    assert!(errors[0].message().contains("administration"));
}

#[test]
fn each_value_stands_where_its_cause_does() {
    let places = |text: &str| -> BTreeMap<String, String> {
        let table = DeTable::parse(text).unwrap();
        let stands = |(key, span): (String, Range<usize>)| (key, text[span].to_owned());
        Provider::places(Spanned::new(0..text.len(), table.into_inner())).into_iter().map(stands).collect()
    };
    let company = places(
        "preset = 'entra-saml'\ntenant = '72f988bf-86f1-41af-91ab-2d7cd011db47'\n\
         application = '11111111-2222-3333-4444-555555555555'\nname = 'Company'\n",
    );
    // of two parameters the one that stands first in the value
    assert_eq!(company["metadata_url"], "'72f988bf-86f1-41af-91ab-2d7cd011db47'");
    assert_eq!(company["application"], "'11111111-2222-3333-4444-555555555555'");
    assert_eq!((company["name"].as_str(), company["kind"].as_str()), ("'Company'", "'entra-saml'"));
    let keycloak = places("preset = 'keycloak'\nrealm = 'staff'\nbase_url = 'https://k.test'\n");
    assert_eq!(keycloak["issuer"], "'https://k.test'");
}

#[test]
fn an_icon_is_kept_as_it_is_named() {
    let icon = |name: &str| {
        let text = format!(
            "[[provider]]\nid = 'p'\nname = 'P'\nprovisioning = 'open'\nkind = 'oidc'\nclient_id = 'c'\n\
             client_secret = 'env:S'\nissuer = 'https://o.test'\nicon = '{name}'\n"
        );
        providers(&text).map(|mut list| list.remove(0).common.icon)
    };
    assert_eq!(icon("github").unwrap().as_deref(), Some("github"));
    assert!(icon("nosuch").is_err());
}

#[test]
fn what_each_kind_says_of_itself() {
    let one = |more: &str| {
        let text = format!("[[provider]]\nid = 'p'\nname = 'P'\nprovisioning = 'open'\n{more}");
        providers(&text).unwrap().remove(0).kind
    };
    let oidc = one("kind = 'oidc'\nclient_id = 'c'\nclient_secret = 'env:S'\nissuer = 'https://o.test'\n");
    let oauth2 =
        one("kind = 'oauth2'\nclient_id = 'c'\nsubject = 'id'\nauthorize_url = 'https://f.test/a'\n\
                      token_url = 'https://t.test/t'\nuserinfo_url = 'https://u.test/me'\n");
    let saml = |more: &str| {
        one(&format!(
            "kind = 'saml'\nentity_id = 'https://s.test/idp'\nmetadata_url = 'https://m.test/m'\n\
             trust_metadata_url = true\n{more}"
        ))
    };
    let started = saml("idp_initiated_client = 'notes'\n");
    let named = saml("our_entity_id = 'https://id.test/sp'\n");
    let starts = |kind: &kinds::KindSettings| kind.starts().map(|(key, client)| (key, client.to_string()));
    assert_eq!(starts(&started), Some(("idp_initiated_client", "notes".to_owned())));
    let known = Some(("our_entity_id", ["https://s.test/idp", "https://id.test/sp"]));
    assert_eq!(named.acquaintance(), known);
    for (kind, proves) in [(&oidc, true), (&oauth2, false), (&named, true)] {
        assert_eq!(starts(kind), None);
        assert_eq!(kind.shows_when_proved(), proves, "{kind:?}");
    }
    for kind in [&oidc, &oauth2, &started] {
        assert_eq!(kind.acquaintance(), None);
    }
    let timeless =
        one("kind = 'oidc'\nclient_id = 'c'\nclient_secret = 'env:S'\nissuer = 'https://o.test'\n\
                        auth_time = false\n");
    assert!(!timeless.shows_when_proved());
}

#[test]
fn identities_have_the_issuer_of_their_provider_or_of_their_tenant() {
    let one = |more: &str| {
        let text = format!("[[provider]]\nid = 'p'\nname = 'P'\nprovisioning = 'open'\n{more}");
        providers(&text).unwrap().remove(0).kind
    };
    let oidc = "kind = 'oidc'\nclient_id = 'c'\nclient_secret = 'env:S'\n";
    let oauth2 = "kind = 'oauth2'\nclient_id = 'c'\nsubject = 'id'\nauthorize_url = 'https://f.test/a'\n\
                  token_url = 'https://t.test/t'\nuserinfo_url = 'https://u.test/me'\n";
    let saml = "kind = 'saml'\nmetadata_url = 'https://m.test/m'\ntrust_metadata_url = true\n";
    for (text, issuer) in [
        (format!("{oidc}issuer = 'https://o.test'\n"), "https://o.test"),
        (oauth2.to_owned(), "https://f.test"),
        (format!("{oauth2}issuer = 'urn:friends'\n"), "urn:friends"),
        (format!("{saml}entity_id = 'https://s.test/idp'\n"), "https://s.test/idp"),
    ] {
        let kind = one(&text);
        assert_eq!(kind.issuer().as_deref(), Some(issuer), "{text}");
        assert_eq!(kind.issuer_text(), issuer);
        assert!(kind.may_be_issuer(issuer), "{text}");
        for other in ["", "https://other.test", &format!("{issuer}/")] {
            assert!(!kind.may_be_issuer(other), "{text}{other}");
        }
    }
    let tenant = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    let other = tenant.replace('7', "8");
    let text = format!("{oidc}issuer = 'https://o.test/{{tenantid}}/v2'\ntenants = ['{tenant}']\n");
    let kind = one(&text);
    assert_eq!(kind.issuer(), None);
    assert_eq!(kind.issuer_text(), "https://o.test/{tenantid}/v2");
    assert!(kind.may_be_issuer(&format!("https://o.test/{tenant}/v2")));
    assert!(!kind.may_be_issuer(&format!("https://o.test/{other}/v2")));
    assert!(!kind.may_be_issuer("https://o.test/{tenantid}/v2"));
}

#[test]
fn a_demand_for_a_fresh_proof_reaches_the_person_or_not() {
    let asks = |more: &str| {
        let text = format!("[[provider]]\nid = 'p'\nname = 'P'\nprovisioning = 'open'\n{more}");
        providers(&text).unwrap().remove(0).kind.asks_for_proof()
    };
    let oidc = "kind = 'oidc'\nclient_id = 'c'\nclient_secret = 'env:S'\nissuer = 'https://o.test'\n";
    let oauth2 = "kind = 'oauth2'\nclient_id = 'c'\nsubject = 'id'\nauthorize_url = 'https://f.test/a'\n\
                  token_url = 'https://t.test/t'\nuserinfo_url = 'https://u.test/me'\n";
    let saml = "kind = 'saml'\nentity_id = 'https://s.test'\nmetadata_url = 'https://m.test/m'\ntrust_metadata_url = true\n";
    for (text, reaches) in [
        (oidc.to_owned(), true),
        (format!("{oidc}pass = []\n"), false),
        (format!("{oidc}pass = ['max_age']\n"), true),
        (format!("{oidc}pass = ['prompt']\n"), true),
        (format!("{oidc}pass = ['prompt', 'ui_locales']\nprompts = ['select_account']\n"), false),
        (format!("{oidc}pass = ['ui_locales']\nprompts = ['login']\n"), false),
        (oauth2.to_owned(), false),
        (format!("{oauth2}reauthenticate_params = {{ auth_type = 'reauthenticate' }}\n"), true),
        (saml.to_owned(), true),
        (format!("{saml}pass = []\n"), false),
        (format!("{saml}pass = ['max_age']\n"), true),
        (format!("{saml}pass = ['prompt']\n"), true),
        (format!("{saml}pass = []\nforce_authn = true\n"), true),
    ] {
        assert_eq!(asks(&text), reaches, "{text}");
    }
}

#[test]
fn settings_that_let_nobody_in_are_told() {
    let keys = |more: &str| -> Vec<&'static str> {
        let text = format!(
            "[[provider]]\nid = 'p'\nname = 'P'\nkind = 'oauth2'\nclient_id = 'c'\nsubject = 'id'\n\
                            client_secret = 'env:S'\nauthorize_url = 'https://f.test/a'\ntoken_url = 'https://t.test/t'\n\
                            userinfo_url = 'https://u.test/me'\n{more}"
        );
        providers(&text).unwrap()[0].check().iter().map(|problem| problem.key).collect()
    };
    let proof = "email_verified = 'claims.verified'\n";
    let emails = "emails_url = 'https://u.test/emails'\n";
    let open = "provisioning = 'open'\n";
    let some = "provisioning = { domains = ['a.example', 'b.example'] }\n";
    for (text, bad) in [
        (format!("{some}{proof}authoritative_for = ['b.example', 'a.example', 'c.example']\n"), &[][..]),
        (format!("{some}{proof}authoritative_for = ['a.example']\n"), &["provisioning"]),
        (format!("{some}{proof}"), &["provisioning"]),
        (format!("{open}domains = ['a.example']\n"), &["domains"]),
        (format!("{open}domains = ['a.example']\n{proof}"), &[]),
        (format!("{open}domains = ['a.example']\n{emails}"), &[]),
        (format!("{open}domains = ['a.example']\ndomain_claim = 'claims.hd'\n"), &[]),
        (open.to_owned(), &[]),
    ] {
        assert_eq!(keys(&text), bad, "{text}");
    }
}
