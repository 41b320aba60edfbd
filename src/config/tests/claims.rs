//! What a client says of subjects and of the claims that it reads.

use super::*;

const APP: &str = r#"[[client]]
id = "app"
secret = "env:STRONG"
redirect_uris = ["https://app.test/cb"]
"#;

#[test]
fn subjects_and_shapes_are_read() {
    let config = format!(
        "{HEAD}{APP}subject_type = \"pairwise\"\nsector_identifier_uri = \"https://app.test/list.json\"\n\
         userinfo_alg = \"ES256\"\nroles_claim = {{ name = \"urn:roles\" }}\n\
         [client.groups_claim]\nname = \"teams\"\nprefix = \"corp/\"\nonly = [\"dev-\", \"ops-\"]\n"
    );
    let loaded = good(&config);
    let client = loaded.settings.clients.values().next().unwrap();
    assert!(client.subjects.pairwise);
    assert_eq!(client.subjects.sector_identifier_uri.as_deref(), Some("https://app.test/list.json"));
    assert_eq!(client.userinfo_alg.map(|alg| alg.as_str()), Some("ES256"));
    assert_eq!(client.shapes.groups.write(["dev-a", "sales"]), ["corp/dev-a"]);
    assert_eq!(client.shapes.groups.name("groups"), "teams");
    assert_eq!(client.shapes.roles.name("roles"), "urn:roles");
    assert_eq!(client.shapes.permissions, Default::default());
    let plain = good(&format!("{HEAD}{APP}"));
    let client = plain.settings.clients.values().next().unwrap();
    assert!(
        !client.subjects.pairwise && client.userinfo_alg.is_none() && client.shapes == Default::default()
    );
}

#[test]
fn subjects_and_shapes_that_cannot_be_are_refused_in_their_place() {
    for (line, code) in [
        ("subject_type = \"secret\"", "config.value"),
        ("sector_identifier_uri = \"https://app.test/x\"", "config.contradiction"),
        ("subject_type = \"pairwise\"\nsector_identifier_uri = \"http://app.test/x\"", "config.value"),
        ("userinfo_alg = \"none\"", "config.value"),
        ("groups_claim = \"teams\"", "config.type"),
        ("groups_claim = { name = \"sub\" }", "config.claim"),
        ("groups_claim = { name = \"email_verified\" }", "config.claim"),
        ("groups_claim = { name = \"roles\" }", "config.claim"),
        ("groups_claim = { name = \"a b\" }", "config.claim"),
        ("groups_claim = { prefix = \"\" }", "config.claim"),
        ("groups_claim = { prefx = \"a\" }", "config.unknown_key"),
        ("groups_claim = { name = \"x\" }\nroles_claim = { name = \"x\" }", "config.claim"),
    ] {
        let said = said(&format!("{HEAD}{APP}{line}\n"));
        assert!(said.contains(&format!("[{code}]")) && said.contains("countersign.toml:"), "{line}\n{said}");
    }
    let two = APP.replace("/cb\"]", "/cb\", \"https://other.test/cb\"]");
    let said_of_two = said(&format!("{HEAD}{two}subject_type = \"pairwise\"\n"));
    assert!(said_of_two.contains("[config.sector]"), "{said_of_two}");
    good(&format!(
        "{HEAD}{two}subject_type = \"pairwise\"\nsector_identifier_uri = \"https://app.test/x\"\n"
    ));
}

#[test]
fn a_providers_contexts_are_words() {
    let check = |map: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("providers.toml"), format!("{GLOBEX}acr_map = {map}\n")).unwrap();
        read(folder.path(), HEAD).map(|loaded| loaded.providers.list()[0].common.acr_map.clone())
    };
    let map =
        check("{ \"urn:globex:2fa\" = \"mfa\" }").unwrap_or_else(|report| panic!("{}", report.render(false)));
    assert_eq!(map.ours(Some("urn:globex:2fa")), Some("mfa"));
    let plain = "authorize_url = \"https://f.test/a\"\ntoken_url = \"https://f.test/t\"\n\
                 userinfo_url = \"https://f.test/me\"\nsubject = \"id\"\n";
    let oauth2 = GLOBEX
        .replace("kind = \"oidc\"", "kind = \"oauth2\"")
        .replace("issuer = ", "# issuer = ")
        .replace("authoritative_for", "# authoritative_for");
    let folder = tempfile::tempdir().unwrap();
    for (map, wrong) in [("acr_map = { a = \"b\" }\n", true), ("", false)] {
        std::fs::write(folder.path().join("providers.toml"), format!("{oauth2}{plain}{map}")).unwrap();
        let said = match read(folder.path(), HEAD) {
            Ok(loaded) => loaded.report.render(false),
            Err(report) => report.render(false),
        };
        assert_eq!(said.contains("shows no authentication context"), wrong, "{said}");
        assert!(wrong || !said.contains("error"), "the valid twin: {said}");
    }
    for bad in ["{ a = \"b c\" }", "{ a = 1 }", "\"mfa\"", "{ \"\" = \"x\" }"] {
        assert!(check(bad).is_err(), "{bad}");
    }
}
