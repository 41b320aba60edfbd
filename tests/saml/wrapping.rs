//! Wrapping: what is signed is not what would be read. Beside the rows of the corpus, the variants that the literature
//! knows.

use crate::bench::{Bench, as_it_is, both_signed, response_signed};
use crate::saml::mutations::{World, mutate};
use crate::saml::{Idp, Key, Script, Signature, edit, inner, resign};

/// What mutations know, with another person's genuine assertion.
pub fn world(bench: &Bench) -> World {
    let open = "_somebody-elses-request";
    let mut stolen = Script::sound(
        bench.now(),
        &bench.idp.entity_id,
        crate::bench::ENTITY_ID,
        crate::bench::CALLBACK,
        open,
        bench.idp.key(),
    );
    stolen.assertion.name_id.as_mut().unwrap().value = "bob-persistent".to_owned();
    World { canary: bench.canary.origin.clone(), idp: bench.idp.key(), stolen: stolen.sealed_assertion() }
}

/// Each mutation of a message that signs like this is refused for this reason.
pub async fn each(bench: &Bench, prepare: fn(&mut Script), reason: &str, names: &[&str]) {
    let world = world(bench);
    for name in names {
        println!("{name}");
        bench.refuses_forged(reason, prepare, |xml| assert!(mutate(name, xml, &world), "{name}")).await;
    }
}

#[tokio::test]
async fn saml_001_xsw1() {
    let bench = Bench::with(Key::rsa(), "signed = \"response\"");
    each(&bench, response_signed, "saml.sig.wrapped", &["xsw1"]).await;
    let bench = Bench::with(Key::rsa(), "signed = \"both\"");
    each(&bench, both_signed, "saml.sig.wrapped", &["xsw1"]).await;
}

#[tokio::test]
async fn saml_002_xsw2() {
    let bench = Bench::with(Key::rsa(), "signed = \"response\"");
    each(&bench, response_signed, "saml.sig.wrapped", &["xsw2"]).await;
    let bench = Bench::with(Key::rsa(), "signed = \"both\"");
    each(&bench, both_signed, "saml.sig.wrapped", &["xsw2"]).await;
}

#[tokio::test]
async fn saml_003_xsw3() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.assertion.count",
        &["xsw3", "evil assertion last", "evil assertion after the issuer"],
    )
    .await;
    each(&bench, as_it_is, "saml.id.duplicate", &["xsw3 with the same id"]).await;
}

#[tokio::test]
async fn xsw4_the_evil_assertion_around_the_signed_one() {
    each(&Bench::new(), as_it_is, "saml.sig.wrapped", &["xsw4"]).await;
}

#[tokio::test]
async fn saml_005_xsw5() {
    each(&Bench::new(), as_it_is, "saml.sig.wrapped", &["xsw5"]).await;
}

#[tokio::test]
async fn saml_006_xsw6() {
    each(&Bench::new(), as_it_is, "saml.sig.wrapped", &["xsw6"]).await;
}

#[tokio::test]
async fn saml_007_xsw7() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.assertion.count",
        &[
            "xsw7",
            "evil assertion in advice",
            "evil assertion in status detail",
            "evil assertion in an attribute value",
            "evil assertion in confirmation data",
            "evil assertion in an element of nobody",
        ],
    )
    .await;
}

#[tokio::test]
async fn xsw8_the_original_in_an_object_of_the_signature() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.sig.wrapped", &["xsw8", "evil assertion in key info"]).await;
}

#[tokio::test]
async fn an_assertion_of_another_namespace_is_none() {
    each(&Bench::new(), as_it_is, "saml.message.shape", &["evil assertion in another namespace"]).await;
}

#[tokio::test]
async fn saml_009_prepended_assertion() {
    let bench = Bench::with(Key::rsa(), "signed = \"assertion\"");
    each(&bench, as_it_is, "saml.assertion.count", &["xsw3", "stolen assertion first"]).await;
    each(&bench, as_it_is, "saml.id.duplicate", &["assertion twice"]).await;
}

#[tokio::test]
async fn saml_010_wrapped_by_a_real_user() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.sig.wrapped",
        &["original in a second response", "stolen assertion in evil"],
    )
    .await;
    // what was really signed for somebody else, for another request, in this response
    each(&bench, as_it_is, "saml.in_response_to", &["stolen assertion"]).await;
}

#[tokio::test]
async fn saml_011_duplicate_id() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.id.duplicate", &["same id elsewhere", "same id as Id elsewhere"]).await;
    let bench = Bench::with(Key::rsa(), "signed = \"response\"");
    each(&bench, both_signed, "saml.id.duplicate", &["same id elsewhere", "same id as Id elsewhere"]).await;
}

#[tokio::test]
async fn saml_013_identity_outside_the_signed_subtree() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.sig.wrapped",
        &["second subject in the response", "second attributes in the response"],
    )
    .await;
    // within the signed part it is a change like any other
    each(&bench, as_it_is, "saml.message.shape", &["second subject in the assertion"]).await;
}

#[tokio::test]
async fn saml_014_ancestor_attack() {
    let bench = Bench::new();
    each(&bench, as_it_is, "saml.sig.wrapped", &["stolen assertion in evil"]).await;
    // the unsigned ancestor contradicts what is signed, or the pending sign-in
    each(&bench, as_it_is, "saml.destination", &["another destination"]).await;
    each(&bench, as_it_is, "saml.issuer", &["another issuer"]).await;
    each(&bench, as_it_is, "saml.in_response_to", &["another request"]).await;
    each(&bench, as_it_is, "saml.unsolicited", &["no request"]).await;
    each(&bench, as_it_is, "saml.version", &["version 1.1", "no version"]).await;
    each(&bench, as_it_is, "saml.issue_instant", &["issued long ago"]).await;
    // where the response is signed, any change breaks its signature
    let bench = Bench::with(Key::rsa(), "signed = \"response\"");
    each(
        &bench,
        response_signed,
        "saml.sig.invalid",
        &[
            "another destination",
            "another issuer",
            "another request",
            "no destination",
            "version 1.1",
            "another person",
        ],
    )
    .await;
}

#[tokio::test]
async fn saml_022_the_position_of_a_signature_decides_nothing() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.sig.wrapped",
        &[
            "signature after the assertion",
            "signature of the assertion on the response",
            "signature last in the assertion",
            "signature in extensions",
            "signature in status detail",
            "signature in advice",
        ],
    )
    .await;
    each(&bench, as_it_is, "saml.message.shape", &["signature before the issuer"]).await;
}

#[tokio::test]
async fn saml_023_a_signed_response_is_no_signed_assertion() {
    let bench = Bench::with(Key::rsa(), "signed = \"assertion\"");
    bench.refuses_beside("saml.sig.assertion_required", both_signed, response_signed).await;
    let bench = Bench::with(Key::rsa(), "signed = \"both\"");
    bench.refuses_beside("saml.sig.assertion_required", both_signed, response_signed).await;
    bench
        .refuses_beside("saml.sig.response_required", both_signed, |script| script.signed(true, false))
        .await;
    let bench = Bench::with(Key::rsa(), "signed = \"response\"");
    bench
        .refuses_beside("saml.sig.response_required", response_signed, |script| script.signed(true, false))
        .await;
    bench.accepts(both_signed).await;
    let bench = Bench::with(Key::rsa(), "signed = \"either\"");
    bench.accepts(response_signed).await;
    bench.accepts(both_signed).await;
    bench.accepts(as_it_is).await;
}

#[tokio::test]
async fn whatever_is_signed_beside_what_must_be_holds_too() {
    for (settings, broken) in [
        ("signed = \"assertion\"", "Response/Signature/SignatureValue"),
        ("signed = \"response\"", "Response/Assertion/Signature/SignatureValue"),
        ("signed = \"either\"", "Response/Signature/SignatureValue"),
        ("signed = \"either\"", "Response/Assertion/Signature/SignatureValue"),
    ] {
        let bench = Bench::with(Key::rsa(), settings);
        // the inner signature is signed by the outer one, which is made again by an insider who has no key for it
        bench
            .refuses_forged("saml.sig.invalid", both_signed, |xml| {
                let other = inner(xml, "Response/Assertion/Signature/SignatureValue").unwrap();
                let reversed: String = other.trim_end_matches('=').chars().rev().collect();
                let padding = &other[other.trim_end_matches('=').len()..];
                edit(xml, |tree| tree.set(broken, &format!("{reversed}{padding}"))).unwrap();
                if broken.contains("Assertion") {
                    resign(xml, "Response", &Signature::by(Key::rsa())).unwrap();
                }
            })
            .await;
    }
}

#[tokio::test]
async fn saml_025_other_signed_xml_of_the_provider() {
    let bench = Bench::new();
    let idp: &Idp = &bench.idp;
    let signature = Signature::by(idp.key());
    let mut metadata = idp.metadata();
    metadata.sign = Some(signature.clone());
    let metadata = metadata.xml();
    let logout =
        crate::saml::LogoutResponse::sound(bench.now(), &idp.entity_id, crate::bench::CALLBACK, "_x")
            .signed(&signature);
    let name = crate::saml::NameId::persistent("alice-persistent");
    let request = idp.logout(bench.now(), crate::bench::CALLBACK, name, &[]).signed(&signature);
    for other in [&metadata, &logout, &request] {
        bench.refuses_forged("saml.message.type", as_it_is, |xml| *xml = other.clone()).await;
        // and in places where something else is read
        for place in ["Response/Status", "Response/Assertion"] {
            bench
                .refuses_forged("saml.message.type", as_it_is, |xml| {
                    edit(xml, |tree| tree.before(place, other)).unwrap();
                })
                .await;
        }
    }
    each(
        &bench,
        as_it_is,
        "saml.message.type",
        &["bare assertion", "response in a SOAP envelope", "response in an artifact response"],
    )
    .await;
}

#[tokio::test]
async fn one_issuer_and_one_status() {
    let bench = Bench::new();
    each(
        &bench,
        as_it_is,
        "saml.message.shape",
        &["second issuer", "second status", "unknown element", "text between elements"],
    )
    .await;
    each(&bench, as_it_is, "saml.assertion.count", &["no assertion"]).await;
    each(&bench, as_it_is, "saml.id.format", &["no response id", "response id of digits"]).await;
    each(&bench, as_it_is, "saml.status", &["another status", "no status"]).await;
}
