//! Mistakes in the settings: each is refused at its key, and its valid twin is not.

use super::{BY_HAND, Bench, build, files, provider};

/// The keys of contradictions.
fn wrong(more: &str) -> Vec<&'static str> {
    let provider = provider(more).unwrap_or_else(|error| panic!("{error}\n{more}"));
    provider.check().into_iter().map(|problem| problem.key).collect()
}

#[test]
fn one_source_says_what_the_provider_is() {
    let url = "metadata_url = \"https://id.acme.example/metadata\"\ntrust_metadata_url = true\n";
    assert_eq!(wrong(BY_HAND), [""; 0]);
    assert_eq!(wrong(url), [""; 0]);
    assert_eq!(wrong("metadata_file = \"acme.xml\""), [""; 0]);
    assert_eq!(wrong(""), ["entity_id"]);
    assert_eq!(wrong(&format!("{url}metadata_file = \"acme.xml\"")), ["metadata_file"]);
    assert_eq!(wrong(&format!("{BY_HAND}metadata_file = \"acme.xml\"")), ["sso_url"]);
    assert_eq!(wrong("metadata_file = \"acme.xml\"\nslo_url = \"https://id.acme.example/slo\""), ["slo_url"]);
}

#[test]
fn saml_107_something_must_say_why_a_fetched_key_can_be_trusted() {
    let url = "metadata_url = \"https://id.acme.example/metadata\"\n";
    assert_eq!(wrong(url), ["metadata_url"]);
    for trusted in [
        "trust_metadata_url = true",
        "metadata_certificates = [\"file:idp.pem\"]",
        "certificates = [\"file:idp.pem\"]",
        "certificates = [\"file:idp.pem\"]\nmetadata_certificates = [\"file:idp.pem\"]",
    ] {
        assert_eq!(wrong(&format!("{url}{trusted}")), [""; 0], "{trusted}");
    }
    // two that contradict each other
    for (both, key) in [
        ("trust_metadata_url = true\ncertificates = [\"file:idp.pem\"]", "trust_metadata_url"),
        ("trust_metadata_url = true\nmetadata_certificates = [\"file:idp.pem\"]", "trust_metadata_url"),
    ] {
        assert_eq!(wrong(&format!("{url}{both}")), [key], "{both}");
    }
    assert_eq!(wrong("metadata_file = \"x.xml\"\ntrust_metadata_url = true"), ["trust_metadata_url"]);
    assert_eq!(wrong("sso_url = \"https://id.acme.example/sso\""), ["sso_url"]);
    assert_eq!(
        wrong(&format!("{BY_HAND}metadata_certificates = [\"file:idp.pem\"]")),
        ["metadata_certificates"]
    );
}

#[test]
fn what_needs_a_key_says_so() {
    let with = |more: &str| wrong(&format!("{BY_HAND}{more}"));
    assert_eq!(with("sign_requests = true"), ["sign_requests"]);
    assert_eq!(with("sign_requests = true\nkey = \"file:own.pem\""), [""; 0]);
    assert_eq!(with("next_key = \"file:own.pem\""), ["next_key"]);
    assert_eq!(with("key = \"file:own.pem\"\nnext_key = \"file:own.pem\""), ["next_key"]);
    assert_eq!(with("encryption = \"required\""), ["encryption"]);
    assert_eq!(with("encryption = \"off\""), [""; 0]);
    assert_eq!(with("key = \"file:own.pem\"\nallow_cbc = true"), ["allow_cbc"]);
    assert_eq!(with("key = \"file:own.pem\"\nallow_cbc = true\nsigned = \"either\""), ["allow_cbc"]);
    for signed in ["response", "both"] {
        assert_eq!(
            with(&format!("key = \"file:own.pem\"\nallow_cbc = true\nsigned = \"{signed}\"")),
            [""; 0]
        );
    }
    assert_eq!(with("allow_cbc = true\nsigned = \"both\""), ["allow_cbc"]);
}

#[test]
fn what_is_asked_of_answers_goes_together() {
    let with = |more: &str| wrong(&format!("{BY_HAND}{more}"));
    assert_eq!(with("nameid_format = \"transient\""), ["nameid_format"]);
    assert_eq!(with("nameid_formats = [\"transient\"]"), ["nameid_formats"]);
    assert_eq!(with("nameid_format = \"transient\"\nsubject_attribute = \"uid\""), [""; 0]);
    assert_eq!(with("nameid_format = \"email\"\nnameid_formats = [\"persistent\"]"), ["nameid_formats"]);
    assert_eq!(with("nameid_formats = []"), ["nameid_formats"]);
    assert_eq!(with("subject_attribute = \" \""), ["subject_attribute"]);
    assert_eq!(with("authn_context = [\"urn:a b\"]"), ["authn_context"]);
    assert_eq!(with("authn_context_comparison = \"minimum\""), ["authn_context_comparison"]);
    let minimum = "authn_context = [\"urn:a\"]\nauthn_context_comparison = \"minimum\"\n";
    assert_eq!(with(minimum), ["authn_context_comparison"]);
    assert_eq!(with(&format!("{minimum}authn_context_accepted = [\"urn:b\"]")), [""; 0]);
    assert_eq!(
        with("authn_context = [\"urn:a\"]\nauthn_context_accepted = [\"urn:b\"]"),
        ["authn_context_accepted"]
    );
    assert_eq!(with("skew = \"6m\""), ["skew"]);
    assert_eq!(with("skew = \"5m\""), [""; 0]);
    assert_eq!(with("max_lifetime = \"59s\""), ["max_lifetime"]);
    assert_eq!(with("max_lifetime = \"25h\""), ["max_lifetime"]);
    assert_eq!(with("response_max_age = \"2h\""), ["response_max_age"]);
    assert_eq!(with("algorithms = []"), ["algorithms"]);
    assert_eq!(with("our_entity_id = \"\""), ["our_entity_id"]);
    assert_eq!(with("authoritative_for = [\"acme.example\"]"), ["authoritative_for"]);
    assert_eq!(with("authoritative_for = [\"acme.example\"]\nemail_verified = \"true\""), [""; 0]);
}

#[test]
fn values_that_are_none_are_refused_where_they_stand() {
    for (text, says) in [
        ("algorithms = [\"rsa-sha1\"]", "rsa-sha1"),
        ("algorithms = [\"hmac-sha256\"]", "hmac-sha256"),
        ("signed = \"none\"", "none"),
        ("nameid_format = \"nonsense\"", "`nonsense` is no NameID format"),
        ("certificates = [\"MIIB\"]", "a certificate is given as"),
        ("certificates = [\"-----BEGIN PRIVATE KEY-----\"]", "a secret is given by reference"),
        ("key = \"-----BEGIN PRIVATE KEY-----\"", "a secret is given by reference"),
        ("metadata_file = \"\"", "a path is missing"),
        ("sso_url = \"id.acme.example\"", "must be an absolute address"),
        ("idp_initiatd = true", "idp_initiatd"),
    ] {
        let error = provider(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
    let plain = "sso_url = \"http://id.acme.example/sso\"\ncertificates = [\"file:idp.pem\"]";
    assert_eq!(wrong(plain), ["sso_url"]);
}

#[test]
fn files_that_cannot_be_used_are_told_at_their_key() {
    for (more, key, says) in [
        ("key = \"file:private-alone.pem\"", "key", "no certificate in it"),
        ("key = \"file:mixed.pem\"", "key", "belongs to another key"),
        ("key = \"file:own-ec.pem\"", "key", "no RSA key"),
        ("key = \"file:nonsense.pem\"", "key", "no private key in it"),
        ("key = \"file:idp.pem\"", "key", "no private key in it"),
        ("key = \"file:own.pem\"\nnext_key = \"file:nonsense.pem\"", "next_key", "no private key in it"),
    ] {
        let problems = build(&format!("{BY_HAND}{more}"), &files()).err().unwrap();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].key, key);
        assert!(problems[0].message.contains(says), "{}", problems[0].message);
        assert!(!problems[0].message.contains("BEGIN RSA"), "{}", problems[0].message);
    }
    let sso = "sso_url = \"https://id.acme.example/sso\"\n";
    let problems = build(&format!("{sso}certificates = [\"file:nonsense.pem\"]"), &files()).err().unwrap();
    assert_eq!(problems[0].key, "certificates");
    Bench::new(&format!("{sso}certificates = [\"file:idp.pem\", \"file:ec.pem\"]\nkey = \"file:own.pem\""));
    // a certificate may stand in the settings themselves
    let inline = format!("{sso}certificates = ['''{}''']", files()["file:idp.pem"]);
    Bench::new(&inline);
}
