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
fn link_043_no_mapping_assigns_administration() {
    let text = example().replacen("group = \"engineers\"", "role = \"countersign:admin\"", 1);
    let errors = providers(&text).unwrap_err();
    assert!(errors[0].message().contains("administration"));
}
