//! Whom an answer is about, and who may bring it (SAML Core §2.2, §2.4).

use crate::bench::{ALICE, Bench, ENTITY_ID, IDP, as_it_is};
use crate::profile::{confirmation, key_of, name};
use crate::saml::{Attribute, Encryption, Key, NameId, Script, edit, uri};

#[tokio::test]
async fn saml_087_the_same_name_by_two_parties() {
    let bench = Bench::new();
    let mut keys = std::collections::BTreeSet::new();
    let changes: &[fn(&mut NameId)] = &[
        |_| {},
        |name| name.value = "bob".to_owned(),
        |name| name.format = Some(uri::UNSPECIFIED.to_owned()),
        |name| name.format = Some(uri::EMAIL.to_owned()),
        |name| name.name_qualifier = Some("https://another.example".to_owned()),
        |name| name.sp_name_qualifier = Some("https://another.example".to_owned()),
        |name| name.value = name.value.to_uppercase(),
    ];
    for change in changes {
        let vouched = bench.accepts(|script| change(name(script))).await;
        assert!(keys.insert(key_of(&vouched)), "{vouched:?}");
    }
    // Core §8.3.7: without qualifiers it is the one with the usual qualifiers
    let plain = key_of(&bench.accepts(as_it_is).await);
    let qualified = bench
        .accepts(|script| {
            name(script).name_qualifier = Some(IDP.to_owned());
            name(script).sp_name_qualifier = Some(ENTITY_ID.to_owned());
        })
        .await;
    assert_eq!(key_of(&qualified), plain);
    // and no format at all is the unspecified one (Core §2.2.2)
    let unspecified = bench.accepts(|script| name(script).format = Some(uri::UNSPECIFIED.to_owned())).await;
    let none = bench.accepts(|script| name(script).format = None).await;
    assert_eq!(key_of(&unspecified), key_of(&none));
}

#[tokio::test]
async fn saml_094_transient_names() {
    let bench = Bench::new();
    let transient = |script: &mut Script| name(script).format = Some(uri::TRANSIENT.to_owned());
    bench.refuses("saml.nameid.format", transient).await;
    bench
        .refuses("saml.nameid.format", |script| {
            name(script).format = Some("urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted".to_owned());
        })
        .await;
    // with an attribute that names the person
    let bench = Bench::with(Key::rsa(), "subject_attribute = \"employee\"");
    let employee = |values: &'static [&'static str]| {
        move |script: &mut Script| {
            name(script).format = Some(uri::TRANSIENT.to_owned());
            script.assertion.attributes.push(Attribute::basic("employee", values));
        }
    };
    let key = key_of(&bench.accepts(employee(&["1001"])).await);
    let again = bench
        .accepts(|script| {
            employee(&["1001"])(script);
            name(script).value = "another-transient".to_owned();
        })
        .await;
    assert_eq!(key, key_of(&again), "the attribute counts, not the name");
    for values in [&[][..], &["1001", "1002"], &[""], &[" "], &["null"]] {
        bench
            .refuses_beside("saml.subject_attribute", employee(&["1001"]), |script| {
                script.assertion.attributes.pop();
                employee(values)(script);
            })
            .await;
    }
    // the format that was asked for, and no other (SAML Core §3.4.1.1, E15)
    for (word, format) in
        [("persistent", uri::PERSISTENT), ("email", uri::EMAIL), ("urn:acme:x", "urn:acme:x")]
    {
        let bench = Bench::with(Key::rsa(), &format!("nameid_format = \"{word}\""));
        let sound = |script: &mut Script| name(script).format = Some(format.to_owned());
        bench.accepts(sound).await;
        for other in [Some(uri::PERSISTENT), Some(uri::EMAIL), None] {
            if other != Some(format) {
                bench
                    .refuses_beside("saml.nameid.format", sound, |script| {
                        name(script).format = other.map(str::to_owned);
                    })
                    .await;
            }
        }
    }
    // what is not specified leaves it to the provider
    let bench = Bench::with(Key::rsa(), "nameid_format = \"unspecified\"");
    bench.accepts(|script| name(script).format = Some(uri::EMAIL.to_owned())).await;
    bench.accepts(|script| name(script).format = None).await;
    // unless the settings say what else is accepted
    let both = "nameid_format = \"persistent\"\nnameid_formats = [\"persistent\", \"email\"]";
    let bench = Bench::with(Key::rsa(), both);
    bench.accepts(|script| name(script).format = Some(uri::EMAIL.to_owned())).await;
    bench.refuses("saml.nameid.format", |script| name(script).format = None).await;
    // only one format is accepted
    let bench = Bench::with(Key::rsa(), "nameid_formats = [\"persistent\"]");
    bench.refuses("saml.nameid.format", |script| name(script).format = Some(uri::EMAIL.to_owned())).await;
    bench.refuses("saml.nameid.format", |script| name(script).format = None).await;
}

#[test]
fn a_provider_names_people_still_in_the_formats_that_are_accepted() {
    let still = |more: &str, format: &str| Bench::with(Key::rsa(), more).entry.upstream.still_names(format);
    let qualified = format!("{} sp_name_qualifier=https%3A%2F%2Fx.example", uri::PERSISTENT);
    for (more, yes, no) in [
        ("", &[uri::PERSISTENT, uri::EMAIL, uri::UNSPECIFIED, &qualified][..], &["attribute:uid", ""][..]),
        ("nameid_format = \"persistent\"", &[uri::PERSISTENT, &qualified], &[uri::EMAIL, "attribute:uid"]),
        ("nameid_format = \"email\"", &[uri::EMAIL], &[uri::PERSISTENT, &qualified]),
        ("nameid_format = \"unspecified\"", &[uri::EMAIL, uri::PERSISTENT], &["attribute:uid"]),
        (
            "nameid_format = \"email\"\nnameid_formats = [\"email\", \"persistent\"]",
            &[uri::EMAIL, uri::PERSISTENT, &qualified],
            &[uri::UNSPECIFIED],
        ),
        (
            "subject_attribute = \"uid\"",
            &["attribute:uid"],
            &[uri::PERSISTENT, &qualified, "attribute:mail", "attribute:uid2", ""],
        ),
    ] {
        for format in yes {
            assert!(still(more, format), "{more}: {format}");
        }
        for format in no {
            assert!(!still(more, format), "{more}: {format}");
        }
    }
}

#[tokio::test]
async fn saml_095_odd_names() {
    let bench = Bench::new();
    let long = "x".repeat(257);
    let huge = "x".repeat(10_240);
    for odd in [
        "",
        " ",
        "\n",
        "\u{a0}",
        " alice",
        "alice ",
        "al\nice",
        "al\tice",
        "null",
        "undefined",
        "al\u{85}ice",
        &long,
        &huge,
        "<x xmlns=\"\"/>alice",
    ] {
        println!("{odd:?}");
        bench.refuses("saml.nameid.value", |script| name(script).value = odd.to_owned()).await;
    }
    bench.refuses_forged("saml.xml.encoding", as_it_is, |xml| *xml = xml.replace(ALICE, "al\0ice")).await;
    bench.refuses_forged("saml.xml.malformed", as_it_is, |xml| *xml = xml.replace(ALICE, "al&#0;ice")).await;
    bench.accepts(|script| name(script).value = "x".repeat(256)).await;
    bench.accepts(|script| name(script).value = "Zoë O'Neil 😀".to_owned()).await;
}

fn attribute(name: &str, value: &str) -> Attribute {
    let values = vec![value.to_owned()];
    Attribute { name: name.to_owned(), name_format: None, friendly_name: None, values }
}

/// Two names that look alike are two people; the first and the last of each range, and what stands beside it.
#[tokio::test]
async fn saml_095_names_that_nobody_can_tell_apart() {
    let bench = Bench::new();
    for unseen in [
        0xad, 0x34f, 0x600, 0x605, 0x61c, 0x6dd, 0x70f, 0x890, 0x891, 0x8e2, 0x115f, 0x1160, 0x17b4, 0x17b5,
        0x180b, 0x180f, 0x200b, 0x200d, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2060, 0x206f, 0x3164,
        0xe000, 0xf8ff, 0xfe00, 0xfe0f, 0xfeff, 0xffa0, 0xfff0, 0xfff8, 0xfff9, 0xfffb, 0x110bd, 0x110cd,
        0x13430, 0x1343f, 0x1bca0, 0x1bca3, 0x1d173, 0x1d17a, 0xe0000, 0xe0061, 0xe0fff, 0xf0000, 0xffffd,
        0x100000, 0x10fffd,
    ] {
        let value = format!("al{}ice", char::from_u32(unseen).unwrap());
        let (outcome, trace) = bench.sign_in(|script| name(script).value.clone_from(&value), |_| {}).await;
        bench.refused(outcome, &trace, "saml.nameid.value");
    }
    for seen in [
        0xae, 0x34e, 0x350, 0x5ff, 0x606, 0x61b, 0x61d, 0x6dc, 0x6de, 0x70e, 0x710, 0x88f, 0x892, 0x8e1,
        0x8e3, 0x115e, 0x1161, 0x17b3, 0x17b6, 0x180a, 0x1810, 0x2010, 0x2027, 0x202f, 0x205f, 0x2070,
        0x3163, 0x3165, 0xd7ff, 0xf900, 0xfdff, 0xfe10, 0xfefe, 0xff00, 0xff9f, 0xffa1, 0xffef, 0xfffc,
        0x110bc, 0x110be, 0x110cc, 0x110ce, 0x1342f, 0x13440, 0x1bc9f, 0x1bca4, 0x1d172, 0x1d17b, 0xdffff,
        0xe1000, 0xeffff,
    ] {
        let value = format!("al{}ice", char::from_u32(seen).unwrap());
        bench.accepts(|script| name(script).value.clone_from(&value)).await;
    }
    // the same of an attribute that tells people apart
    let keyed = Bench::with(Key::rsa(), "subject_attribute = \"uid\"");
    for (value, taken) in [("al\u{e9}ice", true), ("al\u{ad}ice", false)] {
        let (outcome, trace) =
            keyed.sign_in(|script| script.assertion.attributes.push(attribute("uid", value)), |_| {}).await;
        if taken {
            assert!(outcome.is_ok());
        } else {
            keyed.refused(outcome, &trace, "saml.subject_attribute");
        }
    }
}

#[tokio::test]
async fn whom_it_is_about_is_said_once_and_in_clear() {
    let bench = Bench::new();
    bench.refuses("saml.subject", |script| script.assertion.name_id = None).await;
    bench
        .refuses("saml.subject", |script| {
            script.assertion.name_id = None;
            script.assertion.confirmations.clear();
        })
        .await;
    let base = r#"<saml:BaseID xmlns:x="urn:x" xsi:type="x:Id"/>"#;
    let encrypted = Encryption::to(Key::service().der()).id(&NameId::persistent(ALICE).xml());
    let second = NameId::persistent("mallory").xml();
    for other in [base, &encrypted, &second] {
        // in place of the name, and beside it
        for beside in [false, true] {
            let (outcome, trace) = bench
                .sign_in(
                    |script| {
                        let signature = script.sign_assertion.take().unwrap();
                        let mut assertion = script.assertion.xml();
                        edit(&mut assertion, |tree| {
                            tree.after("Assertion/Subject/NameID", other)?;
                            if !beside {
                                tree.remove("Assertion/Subject/NameID")?;
                            }
                            Some(())
                        })
                        .unwrap();
                        let signed = crate::saml::sign(&assertion, &signature);
                        script.response.after = signed;
                        script.assertion.tag = " data-gone=\"\"".to_owned();
                    },
                    |message| {
                        edit(&mut message.xml, |tree| tree.remove("Response/Assertion")).unwrap();
                    },
                )
                .await;
            if other.contains("mallory") && !beside {
                assert!(outcome.is_ok(), "a name in its place is a name");
                continue;
            }
            bench.refused(outcome, &trace, "saml.subject");
        }
    }
}

#[tokio::test]
async fn at_least_one_confirmation_holds_wholly() {
    let bench = Bench::new();
    bench.refuses("saml.subject_confirmation", |script| script.assertion.confirmations.clear()).await;
    for method in [
        "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key",
        "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches",
        "urn:oasis:names:tc:SAML:1.0:cm:bearer",
        "",
        "urn:oasis:names:tc:SAML:2.0:cm:bearer ",
    ] {
        bench
            .refuses("saml.subject_confirmation", |script| confirmation(script).method = method.to_owned())
            .await;
    }
    bench.refuses("saml.subject_confirmation", |script| confirmation(script).data = false).await;
    bench
        .refuses("saml.subject_confirmation", |script| {
            confirmation(script).more = NameId::persistent("proxy").xml();
        })
        .await;
    // each wrong in another respect: together they are not one that holds
    bench
        .refuses("saml.recipient", |script| {
            let mut other = confirmation(script).clone();
            confirmation(script).recipient = Some("https://other.example".to_owned());
            other.not_on_or_after = None;
            script.assertion.confirmations.push(other);
        })
        .await;
    // one that does not hold beside one that does (Profiles §4.1.4.3: any)
    for first in [false, true] {
        bench
            .accepts(|script| {
                let mut other = confirmation(script).clone();
                other.recipient = Some("https://other.example".to_owned());
                script.assertion.confirmations.insert(usize::from(!first), other);
            })
            .await;
    }
    // where the browser is seen from says nothing
    bench.accepts(|script| confirmation(script).address = Some("203.0.113.7".to_owned())).await;
}

#[tokio::test]
async fn attributes_say_what_they_say_and_nothing_else() {
    let bench = Bench::new();
    // one name twice, by entity, in another case: nobody may pick one of two
    for attribute in [
        Attribute::basic("email", &["mallory@acme.example"]),
        Attribute::basic("em&#97;il", &["mallory@acme.example"]),
    ] {
        let (outcome, trace) =
            bench.sign_in(|script| script.assertion.attributes.push(attribute.clone()), |_| {}).await;
        match outcome {
            Ok(vouched) => assert!(!format!("{:?}", vouched.identity).contains("mallory"), "{vouched:?}"),
            Err(failure) => {
                assert!(failure.reason.starts_with("saml.attribute"), "{failure:?} {:?}", trace.steps())
            }
        }
    }
}
