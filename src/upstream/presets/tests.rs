use super::*;
use crate::upstream::settings::Provider;

fn table(text: &'static str) -> DeTable<'static> {
    DeTable::parse(text).unwrap().into_inner()
}

#[test]
fn what_a_preset_sets_is_told_as_its_file_has_it() {
    for (name, text) in FILES {
        let file: toml::Table = toml::from_str(text).unwrap();
        let mut expected: Vec<(String, toml::Value)> =
            file["provider"].as_table().unwrap().clone().into_iter().collect();
        for (_, with) in file.get("with").and_then(toml::Value::as_table).into_iter().flatten() {
            expected.extend(with.as_table().unwrap().clone());
        }
        let preset = named(name).unwrap();
        let told = |(key, value): (String, String)| {
            let line: toml::Table = toml::from_str(&format!("{key} = {value}")).unwrap();
            (key.clone(), line[&key].clone())
        };
        let mut found: Vec<_> = preset.sets().into_iter().map(told).collect();
        let by_name = |one: &(String, toml::Value), other: &(String, toml::Value)| one.0.cmp(&other.0);
        found.sort_by(by_name);
        expected.sort_by(by_name);
        assert_eq!(found, expected, "{name}");
        assert_eq!(preset.kind(), file["provider"]["kind"].as_str().unwrap());
    }
    let with: Vec<String> = named("google").unwrap().sets().into_iter().map(|(_, value)| value).collect();
    assert!(with.iter().any(|value| value.ends_with("    # with `domains`")), "{with:?}");
}

#[test]
fn any_value_is_told_as_toml() {
    for (value, words) in [
        ("x = 'a\"b'", r#"'a"b'"#),
        ("x = 7", "7"),
        ("x = 1.5", "1.5"),
        ("x = true", "true"),
        ("x = 2026-01-31", "2026-01-31"),
        ("x = [1, 'a']", r#"[1, "a"]"#),
        ("x = { a = 1, 'b c' = 'd', '' = [], a-b_C9 = 2 }", r#"{ a = 1, "b c" = "d", "" = [], a-b_C9 = 2 }"#),
    ] {
        assert_eq!(shown(table(value).get("x").unwrap().get_ref()), words, "{value}");
    }
}

#[test]
fn the_preset_of_a_table_is_the_one_it_names() {
    assert_eq!(of(&table("preset = 'google'")).map(|preset| preset.name), Some("google"));
    for none in ["", "preset = 'gogle'", "preset = 7", "name = 'google'"] {
        assert!(of(&table(none)).is_none(), "{none}");
    }
}

#[test]
fn a_file_needs_its_parts() {
    let good = "about = 'a'\ndocs = ['https://a']\nregister = 'https://a'\n[provider]\nkind = 'oidc'";
    assert_eq!(Preset::read("x", good).unwrap().kind(), "oidc");
    assert_eq!(Preset::read("x", "about = 'a'\ndocs = []\nregister = ''").unwrap().kind(), "");
    for bad in ["docs = []\nregister = ''", "about = 'a'\ndocs = []\nregister = ''\nodd = 1", "about"] {
        assert!(Preset::read("x", bad).is_err(), "{bad}");
    }
}

/// The parameter of a preset as its table has it: what became of it in an address, or why not.
fn with(preset: &str, parameter: &str) -> Result<String, String> {
    let text = format!(
        "preset = '{preset}'\nid = 'p'\nname = 'P'\nprovisioning = 'open'\nclient_id = 'c'\n\
         client_secret = 'env:S'\n{parameter}"
    );
    let table = DeTable::parse(&text).unwrap();
    let span = table.span();
    let provider = Provider::from_table(Spanned::new(span, table.into_inner())).map_err(|errors| {
        errors.iter().map(|error| error.message().to_owned()).collect::<Vec<_>>().join("; ")
    })?;
    match provider.kind {
        crate::upstream::kinds::KindSettings::oidc(settings) => Ok(settings.issuer.text),
        crate::upstream::kinds::KindSettings::oauth2(settings) => {
            Ok(settings.token_url.url().as_str().to_owned())
        }
        crate::upstream::kinds::KindSettings::saml(_) => Err("of another kind".to_owned()),
    }
}

#[test]
fn parameters_have_a_form() {
    assert_eq!(with("okta", "domain = 'Globex.okta.com'").as_deref(), Ok("https://globex.okta.com"));
    let long = format!("domain = '{}.example'", "x".repeat(120));
    assert!(with("okta", &long).is_ok(), "128 characters");
    for bad in [
        "domain = ''",
        "domain = 'okta'",
        "domain = '.okta.com'",
        "domain = 'a..okta.com'",
        "domain = 'a b.okta.com'",
        "domain = 'a.okta.com/x'",
        "domain = 'a@b.okta.com'",
        &long.replacen('x', "xx", 1),
    ] {
        assert!(with("okta", bad).unwrap_err().contains("host name"), "{bad}");
    }
    let server = |url: &str| with("github-enterprise", &format!("base_url = '{url}'"));
    assert!(
        server("https://github.globex.example/").unwrap().starts_with("https://github.globex.example/login")
    );
    for (bad, words) in [
        ("github.globex.example", "absolute"),
        ("https://github.globex.example/?a=b", "no query"),
        ("https://u@github.globex.example/", "user name"),
    ] {
        let said = server(bad).unwrap_err();
        assert!(said.contains(words), "{bad}: {said}");
    }
}

#[test]
fn after_a_mistake_in_a_parameter_only_what_is_wrong_besides_is_told() {
    let alone = with("okta", "domain = 'okta'").unwrap_err();
    assert!(!alone.contains("; "), "half an address is no second mistake: {alone}");
    let both = with("okta", "domain = 'okta'\nscopes = 7").unwrap_err();
    assert!(both.contains("host name") && both.contains("invalid type: integer `7`"), "{both}");
}

#[test]
fn a_region_is_a_word() {
    let pool = |region: &str| with("cognito", &format!("user_pool = '{region}_1'\nregion = '{region}'"));
    assert!(pool("eu-central-1").unwrap().contains("eu-central-1"));
    for bad in ["", "eu central", "eu/central", "{x}", &"x".repeat(129)] {
        assert!(pool(bad).unwrap_err().contains("letters, digits"), "{bad}");
    }
    assert!(pool(&"x".repeat(126)).is_ok());
    let both = |region: &str, pool: &str| {
        with("cognito", &format!("user_pool = '{pool}'\nregion = '{region}'")).unwrap_err()
    };
    let other = both("us-east-1", "eu-central-1_aBcDeFgHi");
    assert_eq!(other, "`eu-central-1_aBcDeFgHi` does not begin with `us-east-1_`");
    assert!(
        !both("us east 1", "eu-central-1_aBcDeFgHi").contains("begin"),
        "the region is wrong, not the pool"
    );
}

#[test]
fn a_choice_and_a_version() {
    let tenants = "tenants = 'any'";
    let authority = |word: &str| {
        let more = format!("{tenants}\nauthority = '{word}'");
        with("microsoft-multitenant", &more)
    };
    for word in ["common", "organizations", "consumers"] {
        assert!(authority(word).is_ok(), "{word}");
    }
    for bad in ["", "foo", "Common", "72f988bf-86f1-41af-91ab-2d7cd011db47"] {
        assert!(authority(bad).unwrap_err().contains("expected one of `organizations`, `common`"), "{bad}");
    }
    let version = |text: &str| with("facebook", &format!("version = '{text}'"));
    assert!(version("v24.0").unwrap().contains("/v24.0/"));
    for bad in ["", "24", "24.0", "v24", "v24.", "v.0", "v24.0.1", "V24.0", "v24.x", "v12345.0"] {
        assert!(version(bad).unwrap_err().contains("such as v24.0"), "{bad}");
    }
}

/// It stands in for the parameter while the rest is looked at, and people copy it.
#[test]
fn the_example_of_a_parameter_has_its_form() {
    for preset in all().iter().filter(|preset| !preset.parameters.is_empty()) {
        let lines = |of: fn(&Parameter) -> Option<&String>| -> DeTable<'static> {
            let entries =
                preset.parameters.iter().filter_map(|(name, parameter)| Some((name, of(parameter)?)));
            let entries = entries.map(|(name, text)| {
                let value = DeValue::String(text.clone().into());
                (Spanned::new(0..0, name.clone().into()), Spanned::new(0..0, value))
            });
            let named = (
                Spanned::new(0..0, "preset".into()),
                Spanned::new(0..0, DeValue::String(preset.name.into())),
            );
            entries.chain([named]).collect()
        };
        let examples = expand(lines(|parameter| Some(&parameter.example)), &(0..0)).1;
        assert!(examples.is_empty(), "{}: {examples:?}", preset.name);
        let usual = expand(lines(|parameter| parameter.default.as_ref()), &(0..0)).1;
        assert!(
            usual.iter().all(|error| error.message().starts_with("missing")),
            "{}: {usual:?}",
            preset.name
        );
        for parameter in preset.parameters.values() {
            assert_eq!(parameter.form == Form::Choice, !parameter.words.is_empty(), "{}", preset.name);
        }
    }
}

#[test]
fn a_tenant_is_a_uuid() {
    let good = "72f988bf-86f1-41af-91ab-2d7cd011db47";
    assert!(is_tenant(good) && is_tenant(&good.to_ascii_uppercase()));
    for bad in [
        "",
        "72f988bf-86f1-41af-91ab-2d7cd011db4",
        "72f988bf-86f1-41af-91ab-2d7cd011db470",
        "72f988bf086f1041af091ab02d7cd011db47",
        "72f988bg-86f1-41af-91ab-2d7cd011db47",
        "72f988b--86f1-41af-91ab-2d7cd011db47",
        "72f988bf-86f1-41af-91ab-2d7cd011db4/",
    ] {
        assert!(!is_tenant(bad), "{bad}");
    }
    assert!(with("microsoft", &format!("tenant = '{}'", good.to_ascii_uppercase())).unwrap().contains(good));
}

#[test]
fn a_proof_is_about_the_address_that_its_preset_takes() {
    let found = |preset: &str, text: &str| {
        let table = DeTable::parse(text).unwrap().into_inner();
        named(preset).unwrap().unproved_address(&table).map(|span| text[span].to_owned())
    };
    let another = "profile = { email = 'claims.upn' }";
    assert_eq!(found("google", another).as_deref(), Some("'claims.upn'"));
    assert_eq!(found("kakao", "profile = { email = 'claims.email' }").as_deref(), Some("'claims.email'"));
    for (preset, fine) in [
        ("google", ""),
        ("google", "profile = { name = 'claims.upn' }"),
        ("google", "profile = { email = 'claims.email' }"),
        ("google", "profile = { email = '' }"),
        ("google", "profile = { email = 7 }"),
        ("google", "email_verified = 'claims.upn_verified'\nprofile = { email = 'claims.upn' }"),
        ("kakao", "profile = { email = 'claims.kakao_account.email' }"),
        // What these prove is the standard claim, whose address is compared.
        ("okta", another),
        ("oidc", another),
    ] {
        assert_eq!(found(preset, fine), None, "{preset}: {fine}");
    }
}
