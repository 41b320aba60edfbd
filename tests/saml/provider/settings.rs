//! Mistakes in the settings: each is refused at its key, and its valid twin is not.

use super::{BY_HAND, Bench, build, files, provider};
use crate::saml::Key;

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

/// The last value on each side of a limit.
#[test]
fn limits_of_settings_are_exact() {
    let with = |more: &str| wrong(&format!("{BY_HAND}{more}"));
    for (good, bad, key) in [
        ("skew = \"300s\"", "skew = \"301s\"", "skew"),
        ("max_lifetime = \"60s\"", "max_lifetime = \"59s\"", "max_lifetime"),
        ("max_lifetime = \"24h\"", "max_lifetime = \"86401s\"", "max_lifetime"),
        ("response_max_age = \"60s\"", "response_max_age = \"59s\"", "response_max_age"),
        ("response_max_age = \"1h\"", "response_max_age = \"3601s\"", "response_max_age"),
    ] {
        assert_eq!(with(good), [""; 0], "{good}");
        assert_eq!(with(bad), [key], "{bad}");
    }
    for key in ["entity_id", "our_entity_id"] {
        // characters, not bytes (SAML Core §8.3.6)
        for (value, good) in [
            ("é".repeat(1024), true),
            ("é".repeat(1025), false),
            (String::new(), false),
            ("urn:a b".to_owned(), false),
            ("urn:a\\u0007b".to_owned(), false),
            ("urn:a\\u00a0b".to_owned(), false),
        ] {
            let found = with(&format!("{key} = \"{value}\""));
            let keys = if good { vec![] } else { vec![key] };
            assert_eq!(found, keys, "{key} {value:.20}");
        }
    }
    for (context, good) in [("urn:a", true), ("", false), ("urn:a\\u0007", false), ("urn:a\\u2003b", false)] {
        let keys = if good { vec![] } else { vec!["authn_context"] };
        assert_eq!(with(&format!("authn_context = [\"urn:x\", \"{context}\"]")), keys, "{context}");
        let accepted = "authn_context = [\"urn:x\"]\nauthn_context_comparison = \"minimum\"\n";
        let more = format!("{accepted}authn_context_accepted = [\"urn:y\", \"{context}\"]");
        assert_eq!(with(&more), keys, "accepted: {context}");
    }
}

#[test]
fn every_word_of_the_settings_means_one_thing() {
    // what is written as a word or as a whole identifier is the same, and another one is another
    let accepts = |asked: &str, accepted: &str| {
        wrong(&format!("{BY_HAND}nameid_format = \"{asked}\"\nnameid_formats = [\"{accepted}\"]")).is_empty()
    };
    let words = [
        ("persistent", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"),
        ("email", "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"),
        ("unspecified", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"),
        ("x509", "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"),
        ("windows", "urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName"),
        ("kerberos", "urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos"),
        ("urn:acme:staff", "urn:acme:staff"),
    ];
    for (word, _) in words {
        for (other, uri) in words {
            assert_eq!(accepts(word, uri), word == other, "{word} {uri}");
        }
    }
    for odd in ["nonsense", "urn:a b", "urn:a\\u0007", ""] {
        let text = format!("nameid_format = \"{odd}\"");
        assert!(provider(&text).unwrap_err().contains("is no NameID format"), "{odd}");
    }
}

#[test]
fn values_that_are_none_are_refused_where_they_stand() {
    for (text, says) in [
        ("certificates = [\"env:\"]", "a certificate is given as"),
        ("certificates = [\"file:\"]", "a certificate is given as"),
        ("certificates = [\"http://x/\"]", "a certificate is given as"),
        ("certificates = [\"x -----BEGIN CERTIFICATE-----\"]", "a certificate is given as"),
        ("metadata_file = \"file:\"", "a path is missing"),
        ("metadata_file = \"a\\u0000b\"", "a path is missing"),
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
    for found in ["env:IDP_CERTIFICATE", "file:idp.pem"] {
        let text = format!("sso_url = \"https://id.acme.example/sso\"\ncertificates = [\"{found}\"]");
        assert_eq!(wrong(&text), [""; 0], "{found}");
    }
    let plain = "sso_url = \"http://id.acme.example/sso\"\ncertificates = [\"file:idp.pem\"]";
    assert_eq!(wrong(plain), ["sso_url"]);
    let plain = format!("{BY_HAND}key = \"file:own.pem\"\nslo_url = \"http://id.acme.example/slo\"");
    assert_eq!(wrong(&plain), ["slo_url"]);
    let plain = "metadata_url = \"http://id.acme.example/metadata\"\ntrust_metadata_url = true";
    assert_eq!(wrong(plain), ["metadata_url"]);
    assert_eq!(wrong("metadata_file = \"file:acme.xml\""), [""; 0]);
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
    // where the names of files are all that is wrong, each is told
    let both = format!(
        "{sso}certificates = [\"file:nonsense.pem\", \"file:nowhere.pem\"]\nkey = \"file:nonsense.pem\""
    );
    let keys: Vec<&str> = build(&both, &files()).err().unwrap().iter().map(|problem| problem.key).collect();
    assert!(keys.contains(&"certificates"), "{keys:?}");
    // one PEM text may hold several, up to sixteen, and one that stands twice is one
    let several = |count: usize| {
        let mut files = files();
        let pem: String =
            (0..count).map(|nth| Key::p256().certified(0, 4_000_000_000 + nth as i64).pem()).collect();
        files.insert("file:several.pem".to_owned(), pem);
        build(&format!("{sso}certificates = [\"file:several.pem\", \"file:several.pem\"]"), &files)
    };
    assert!(several(16).is_ok());
    let problems = several(17).err().unwrap();
    assert!(problems[0].message.contains("more than 16 certificates"), "{problems:?}");
    // however they are spread: the last one would never be tried
    let spread = |key: &str, source: &str, count: i64| {
        let mut files = files();
        let mut metadata = super::metadata::sound();
        metadata.sign = Some(crate::saml::Signature::by(Key::p256()));
        files.insert("file:acme.xml".to_owned(), metadata.xml());
        let names: Vec<String> = (0..count).map(|nth| format!("file:{nth}.pem")).collect();
        files.extend(
            names
                .iter()
                .zip(0..)
                .map(|(name, nth)| (name.clone(), Key::p256().certified(0, 4_000_000_000 + nth).pem())),
        );
        build(&format!("{source}\n{key} = {names:?}"), &files)
    };
    for (key, source) in [("certificates", sso), ("metadata_certificates", "metadata_file = \"acme.xml\"")] {
        assert!(spread(key, source, 16).is_ok(), "{key}");
        let problems = spread(key, source, 17).err().unwrap();
        assert_eq!((problems.len(), problems[0].key), (1, key), "{problems:?}");
        assert!(problems[0].message.contains("17 certificates, and 16 are the most"), "{problems:?}");
    }
    // two keys of ours are two
    let own =
        |next: &str| build(&format!("{BY_HAND}key = \"file:own.pem\"\nnext_key = \"file:{next}\""), &files());
    assert!(own("own-next.pem").is_ok());
    let mut again = files();
    again.insert("file:own-copy.pem".to_owned(), again["file:own.pem"].clone());
    let copied = format!("{BY_HAND}key = \"file:own.pem\"\nnext_key = \"file:own-copy.pem\"");
    let problems = build(&copied, &again).err().unwrap();
    assert_eq!((problems[0].key, problems.len()), ("next_key", 1));
    assert!(problems[0].message.contains("same key"), "{problems:?}");
    // a certificate may stand in the settings themselves
    let inline = format!("{sso}certificates = ['''{}''']", files()["file:idp.pem"]);
    Bench::new(&inline);
}

#[test]
fn a_folder_is_beside_the_file_that_names_it() {
    let folder = |path: &str| {
        let mut provider = provider(&format!("{BY_HAND}keep_disagreements = \"{path}\"")).unwrap();
        provider.kind.relate(std::path::Path::new("/etc/broker"));
        format!("{:?}", provider.kind)
    };
    assert!(folder("kept").contains("\"/etc/broker/kept\""), "{}", folder("kept"));
    assert!(folder("/var/kept").contains("\"/var/kept\""), "{}", folder("/var/kept"));
}
