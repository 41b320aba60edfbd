//! What is wrong with single keys of providers, and what only looks so.

use super::*;

/// What is said about these files.
fn check(config: &str, providers: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("providers.toml"), providers).unwrap();
    let report = match read(folder.path(), &format!("{HEAD}{config}")) {
        Ok(loaded) => loaded.report,
        Err(report) => report,
    };
    report.render(false)
}

#[test]
fn an_icon_is_one_that_is_there() {
    let said = check("", &format!("{GLOBEX}icon = \"nosuch\"\n"));
    assert!(said.contains("[config.value]: \"nosuch\" is none of: key, link"), "{said}");
    assert!(said.contains("providers.toml:10:8"), "{said}");
    assert!(check("", &format!("{GLOBEX}icon = \"githb\"\n")).contains("did you mean \"github\"?"));
    assert!(check("", &format!("{GLOBEX}icon = \"slack\"\n")).contains("no problems"));
}

const SAML: &str = "[[provider]]\nid = \"acme\"\nkind = \"saml\"\nname = \"Acme\"\nentity_id = \"https://s.test/idp\"\n\
    metadata_url = \"https://s.test/m\"\ntrust_metadata_url = true\nprovisioning = \"open\"\n";

#[test]
fn a_client_that_is_started_should_be_there() {
    let client = "[[client]]\nid = \"portal\"\npublic = true\nredirect_uris = [\"https://a.test/cb\"]\n";
    let starts = |name: &str| {
        check(client, &format!("{SAML}idp_initiated = true\nidp_initiated_client = \"{name}\"\n"))
    };
    assert!(starts("portal").contains("no problems"));
    let said = starts("zzz");
    assert!(said.contains("warning[config.reference]") && said.contains("countersign client add"), "{said}");
    assert!(said.contains("providers.toml:10:24"), "{said}");
    assert!(starts("portl").contains("did you mean \"portal\"?"));
}

#[test]
fn two_that_are_one_there_are_warned_of() {
    let two = |one: &str, other: &str| {
        let second = SAML.replace("\"acme\"", "\"acme-2\"");
        check("", &format!("{SAML}{one}\n{second}{other}\n"))
    };
    let ours = "our_entity_id = \"https://id.test/sp\"";
    let said = two(ours, ours);
    assert!(said.contains("warning[config.acquaintance]: `acme` has the same `our_entity_id`"), "{said}");
    assert!(said.contains("providers.toml:18:17") && said.contains("here too"), "{said}");
    for (one, other) in [
        ("", ""),
        (ours, ""),
        (ours, "our_entity_id = \"https://id.test/sp2\""),
        (ours, "our_entity_id = \"https://id.test/sp\"\nenabled = false"),
    ] {
        assert!(two(one, other).contains("no problems"), "{one} {other}");
    }
}

#[test]
fn what_a_parameter_causes_is_told_at_the_parameter() {
    let keycloak = |base: &str| {
        let table = "[[provider]]\nid = \"k\"\npreset = \"keycloak\"\nclient_id = \"c\"\nclient_secret = \"env:STRONG\"\n\
            provisioning = \"open\"\nrealm = \"staff\"\n";
        check("", &format!("{table}base_url = \"{base}\"\n"))
    };
    let said = keycloak("http://keycloak.test");
    assert!(said.contains("http is not safe") && said.contains("providers.toml:8:12"), "{said}");
    let said = keycloak("https://10.0.0.1");
    assert!(said.contains("a private address") && said.contains("providers.toml:8:12"), "{said}");
    assert!(said.contains("allow_private_network = true"), "{said}");
    assert!(keycloak("https://keycloak.test/").contains("no problems"));
}

#[test]
fn each_preset_tells_all_that_it_misses() {
    let (mut count, mut presets) = (0, 0);
    for preset in crate::upstream::presets::all() {
        let said = check("", &format!("[[provider]]\nid = \"p\"\npreset = \"{}\"\n", preset.name));
        let required = preset.parameters.iter().filter(|(_, parameter)| parameter.default.is_none());
        for (name, parameter) in required.clone() {
            assert!(said.contains(&format!("`{name}` is missing")), "{}: {said}", preset.name);
            let help = format!("{}, such as: {name} = \"{}\"", parameter.about, parameter.example);
            assert!(said.contains(&help), "{}: {said}", preset.name);
            count += 1;
        }
        presets += usize::from(required.count() > 0);
        // and not only that
        assert!(said.contains("`provisioning` is missing"), "{}: {said}", preset.name);
        let client = preset.kind() != "saml";
        assert_eq!(said.contains("`client_id` is missing"), client, "{}: {said}", preset.name);
    }
    assert!(count >= 13 && presets >= 10, "{count} of {presets}");
    let said = check("", "[[provider]]\nkind = \"oauth2\"\n");
    for key in
        ["id", "name", "provisioning", "authorize_url", "token_url", "userinfo_url", "client_id", "subject"]
    {
        assert!(said.contains(&format!("`{key}` is missing")), "{key}: {said}");
    }
    assert!(said.contains("8 errors"), "{said}");
}

#[test]
fn types_have_the_names_that_people_give_them() {
    for (line, said) in [
        ("order = \"1\"", "`order` must be a whole number, but it is string \"1\""),
        ("order = 1.5", "`order` must be a whole number"),
        ("hidden = 1", "`hidden` must be true or false"),
        ("scopes = 7", "`scopes` must be a list"),
        ("acr_map = 7", "`acr_map` must be a table"),
    ] {
        let all = check("", &format!("{GLOBEX}{line}\n"));
        assert!(all.contains(said) && all.contains("providers.toml:10:"), "{line}\n{all}");
    }
}
