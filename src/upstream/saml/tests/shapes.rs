//! What is signed stands in its place, and nothing else could be taken for it.

use super::super::support::{Encryption, KeyInfo, Signature, Tree, edit, outer};
use super::*;

/// A sound message, with the response or the assertion signed, after an edit that must find its place.
fn edited(signed: (bool, bool), change: impl FnOnce(&mut Tree<'_>) -> Option<()>) -> String {
    let mut script = script();
    script.signed(signed.0, signed.1);
    let mut xml = script.xml();
    accepted(&xml);
    edit(&mut xml, change).expect("the edit finds its place");
    xml
}

const ASSERTION: (bool, bool) = (true, false);
const RESPONSE: (bool, bool) = (false, true);

/// The assertion of a message, unsigned, with another ID and name.
fn evil(xml: &str) -> String {
    let mut evil = outer(xml, "Response/Assertion").unwrap();
    edit(&mut evil, |tree| tree.remove("Assertion/Signature"));
    edit(&mut evil, |tree| tree.set_attribute("Assertion", "ID", "_evil")).unwrap();
    evil.replace("alice-persistent", "mallory")
}

#[test]
fn signature_wrapping_in_all_its_forms_is_refused() {
    // A copy of the response around the original, which stands behind the signature or in it.
    let xml = edited(RESPONSE, |_| Some(()));
    for place in ["Response/Signature", "Response"] {
        let mut forged = xml.clone();
        edit(&mut forged, |tree| tree.set_attribute("Response", "ID", "_evil")).unwrap();
        let mut original = xml.clone();
        edit(&mut original, |tree| tree.remove("Response/Signature")).unwrap();
        edit(&mut forged, |tree| tree.append(place, &original)).unwrap();
        refused_for("saml.sig.wrapped", &forged);
    }
    // The signed assertion stands beside a forged one, before and behind it.
    let xml = edited(ASSERTION, |_| Some(()));
    let forged = evil(&xml);
    refused_for(
        "saml.assertion.count",
        &edited(ASSERTION, |tree| tree.before("Response/Assertion", &forged)),
    );
    refused_for("saml.assertion.count", &edited(ASSERTION, |tree| tree.after("Response/Assertion", &forged)));
    refused_for(
        "saml.assertion.count",
        &edited(ASSERTION, |tree| {
            tree.after("Response/Issuer", &format!("<samlp:Extensions>{forged}</samlp:Extensions>"))
        }),
    );
    for nested in
        ["Response/Assertion/Subject", "Response/Assertion/AttributeStatement/Attribute/AttributeValue"]
    {
        refused_for("saml.assertion.count", &edited(ASSERTION, |tree| tree.append(nested, &forged)));
    }
    // The forged assertion has the signature, the original stands in it, behind it, or in another place.
    let original = outer(&xml, "Response/Assertion").unwrap();
    let mut bare = original.clone();
    edit(&mut bare, |tree| tree.remove("Assertion/Signature")).unwrap();
    let takes_over = |place: &str, what: &str| {
        edited(ASSERTION, |tree| {
            tree.set_attribute("Response/Assertion", "ID", "_evil")?;
            tree.set("Response/Assertion/Subject/NameID", "mallory")?;
            tree.append(place, what)
        })
    };
    refused_for("saml.sig.wrapped", &takes_over("Response", &bare));
    refused_for("saml.sig.wrapped", &takes_over("Response/Assertion/Signature", &bare));
    refused_for(
        "saml.sig.wrapped",
        &takes_over("Response/Assertion/Signature", &format!("<ds:Object>{bare}</ds:Object>")),
    );
    refused_for("saml.sig.wrapped", &takes_over("Response/Assertion/Signature/KeyInfo", &bare));
    let elsewhere = edited(ASSERTION, |tree| {
        tree.replace("Response/Assertion", &forged)?;
        tree.after("Response/Issuer", &format!("<samlp:Extensions>{original}</samlp:Extensions>"))
    });
    refused_for("saml.sig.wrapped", &elsewhere);
}

#[test]
fn a_signature_has_one_place() {
    let moved = |change: &dyn Fn(&mut Tree<'_>, &str) -> Option<()>| {
        edited(RESPONSE, |tree| {
            let signature = tree.remove("Response/Signature")?;
            change(tree, &signature)
        })
    };
    accepted(&moved(&|tree, s| tree.after("Response/Issuer", s)));
    refused_for("saml.sig.wrapped", &moved(&|tree, s| tree.append("Response", s)));
    refused_for("saml.sig.wrapped", &moved(&|tree, s| tree.after("Response/Assertion", s)));
    refused_for("saml.sig.wrapped", &moved(&|tree, s| tree.after("Response/Assertion/Issuer", s)));
    refused_for("saml.sig.wrapped", &moved(&|tree, s| tree.append("Response/Status", s)));
    refused_for("saml.message.shape", &moved(&|tree, s| tree.prepend("Response", s)));
    // behind an issuer that is not the first, and behind a first that is not the issuer
    refused_for(
        "saml.sig.wrapped",
        &moved(&|tree, s| {
            tree.after("Response/Issuer", s)?;
            tree.before("Response/Issuer", "<samlp:Extensions/>")
        }),
    );
    refused_for(
        "saml.sig.wrapped",
        &moved(&|tree, s| tree.before("Response/Issuer", &format!("<samlp:Extensions/>{s}"))),
    );
    refused_for("saml.sig.count", &moved(&|tree, s| tree.after("Response/Issuer", &format!("{s}{s}"))));
}

#[test]
fn another_message_is_no_response() {
    let whole = |xml: &str, reason: &str| refused_for(reason, xml);
    whole(
        "<samlp:LogoutResponse xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\"/>",
        "saml.message.type",
    );
    whole("<Response xmlns=\"urn:oasis:names:tc:SAML:1.0:protocol\"/>", "saml.message.type");
    whole("<Response/>", "saml.message.type");
    let xml = edited(ASSERTION, |_| Some(()));
    whole(&outer(&xml, "Response/Assertion").unwrap(), "saml.message.type");
    for inner in
        ["<samlp:LogoutRequest/>", "<m:EntityDescriptor xmlns:m=\"urn:oasis:names:tc:SAML:2.0:metadata\"/>"]
    {
        let extended = edited(ASSERTION, |tree| {
            tree.after("Response/Issuer", &format!("<samlp:Extensions>{inner}</samlp:Extensions>"))
        });
        refused_for("saml.message.type", &extended);
    }
    // Extensions that are none of SAML's are nobody's business.
    accepted(&edited(ASSERTION, |tree| {
        tree.after("Response/Issuer", "<samlp:Extensions><x xmlns=\"urn:x\">y</x></samlp:Extensions>")
    }));
}

#[test]
fn parts_of_an_assertion_stand_in_an_assertion_and_in_order() {
    for (place, what) in [
        ("Response/Status", "<saml:Subject><saml:NameID>mallory</saml:NameID></saml:Subject>"),
        ("Response/Status", "<saml:AttributeStatement/>"),
        ("Response/Issuer", "<saml:Issuer>x</saml:Issuer>"),
    ] {
        let reason = if what.contains("Issuer") { "saml.message.shape" } else { "saml.sig.wrapped" };
        refused_for(reason, &edited(ASSERTION, |tree| tree.after(place, what)));
    }
    refused_for(
        "saml.sig.wrapped",
        &edited(ASSERTION, |tree| tree.append("Response/Status", "<saml:NameID>mallory</saml:NameID>")),
    );
    refused_for(
        "saml.message.shape",
        &edited(ASSERTION, |tree| tree.after("Response/Status", "<x xmlns=\"urn:x\"/>")),
    );
    refused_for("saml.message.shape", &edited(ASSERTION, |tree| tree.after("Response/Status", "text")));
    for (place, what) in [
        ("Response/Assertion/Subject", "<saml:Subject/>"),
        ("Response/Assertion/Conditions", "<saml:Subject/>"),
        ("Response/Assertion/Conditions", "<saml:Conditions/>"),
        ("Response/Assertion/AuthnStatement", "<saml:Conditions/>"),
        ("Response/Assertion/AuthnStatement", "<saml:Evil/>"),
        ("Response/Assertion/AuthnStatement", "<Subject/>"),
        ("Response/Assertion/AuthnStatement", "<AuthnStatement xmlns=\"urn:x\"/>"),
        ("Response/Assertion/AuthnStatement", "text"),
    ] {
        refused_for("saml.message.shape", &edited(ASSERTION, |tree| tree.after(place, what)));
    }
}

#[test]
fn every_id_is_there_once() {
    for (place, attribute) in [
        ("Response/Assertion/Subject", "ID"),
        ("Response/Status", "Id"),
        ("Response/Status/StatusCode", "id"),
        ("Response/Issuer", "AssertionID"),
    ] {
        let id = "_twice";
        let twin = edited(ASSERTION, |tree| tree.set_attribute("Response", "ID", id));
        accepted(&twin);
        let twice = edited(ASSERTION, |tree| {
            tree.set_attribute("Response", "ID", id)?;
            tree.set_attribute(place, attribute, id)
        });
        refused_for("saml.id.duplicate", &twice);
    }
    for id in ["", "1a", "a b", "a:b", "#a", "é"] {
        let mut script = script();
        script.assertion.id = Some("_good".to_owned());
        let xml = script.xml().replace("ID=\"_good\"", &format!("ID=\"{id}\""));
        refused_for("saml.id.format", &xml);
    }
}

#[test]
fn a_signature_refers_to_its_parent_and_nothing_else() {
    let uri = "Response/Assertion/Signature/SignedInfo/Reference";
    for (value, reason) in [
        ("", "saml.ref.uri"),
        ("#", "saml.ref.uri"),
        ("#xpointer(id('x'))", "saml.ref.uri"),
        ("#xpointer(/)", "saml.ref.uri"),
        ("#element(/1/2)", "saml.ref.uri"),
        ("http://127.0.0.1/", "saml.ref.uri"),
        ("file:///etc/passwd", "saml.ref.uri"),
        ("cid:x", "saml.ref.uri"),
        ("x", "saml.ref.uri"),
        ("#_other", "saml.sig.wrapped"),
    ] {
        refused_for(reason, &edited(ASSERTION, |tree| tree.set_attribute(uri, "URI", value)));
    }
    refused_for("saml.ref.uri", &edited(ASSERTION, |tree| tree.remove_attribute(uri, "URI")));
    refused_for(
        "saml.sig.malformed",
        &edited(ASSERTION, |tree| tree.set_attribute(uri, "Type", "urn:x#Manifest")),
    );
    let xml = edited(ASSERTION, |_| Some(()));
    let reference = outer(&xml, uri).unwrap();
    refused_for("saml.sig.references", &edited(ASSERTION, |tree| tree.after(uri, &reference)));
    refused_for("saml.sig.references", &edited(ASSERTION, |tree| tree.remove(uri).map(drop)));
}

#[test]
fn a_signature_has_its_parts_once_and_nothing_besides() {
    let at = |path: &str| format!("Response/Assertion/Signature{path}");
    let xml = edited(ASSERTION, |_| Some(()));
    let info = outer(&xml, &at("/SignedInfo")).unwrap();
    let value = outer(&xml, &at("/SignatureValue")).unwrap();
    let method = outer(&xml, &at("/SignedInfo/SignatureMethod")).unwrap();
    for (path, what) in [
        ("/SignedInfo", info.as_str()),
        ("/SignatureValue", info.as_str()),
        ("/SignatureValue", value.as_str()),
        ("/KeyInfo", "<ds:KeyInfo/>"),
        ("/KeyInfo", "<x xmlns=\"urn:x\"/>"),
        ("/SignedInfo/SignatureMethod", method.as_str()),
        ("/SignedInfo/Reference/DigestMethod", "<ds:DigestValue/>"),
        ("/SignedInfo/Reference/DigestValue", "<ds:DigestValue/>"),
        ("/SignedInfo", "text"),
    ] {
        refused_for("saml.sig.malformed", &edited(ASSERTION, |tree| tree.after(&at(path), what)));
    }
    for path in [
        "/SignedInfo",
        "/SignatureValue",
        "/SignedInfo/SignatureMethod",
        "/SignedInfo/CanonicalizationMethod",
    ] {
        refused_for("saml.sig.malformed", &edited(ASSERTION, |tree| tree.remove(&at(path)).map(drop)));
    }
    for inside in [
        "<ds:RetrievalMethod URI=\"http://127.0.0.1/\"/>",
        "<d:KeyInfoReference xmlns:d=\"http://www.w3.org/2009/xmldsig11#\" URI=\"#x\"/>",
        "<e:EncryptedKey xmlns:e=\"http://www.w3.org/2001/04/xmlenc#\"/>",
        "<x xmlns=\"urn:x\"/>",
    ] {
        refused_for("saml.sig.malformed", &edited(ASSERTION, |tree| tree.append(&at("/KeyInfo"), inside)));
    }
    for inside in ["<ds:Object/>", "<ds:Manifest/>", "<saml:Subject/>", "<samlp:Status/>"] {
        refused_for("saml.sig.wrapped", &edited(ASSERTION, |tree| tree.append(&at("/KeyInfo"), inside)));
        refused_for("saml.sig.wrapped", &edited(ASSERTION, |tree| tree.append(&at(""), inside)));
    }
    for path in [
        "",
        "/SignedInfo",
        "/SignatureValue",
        "/SignedInfo/CanonicalizationMethod",
        "/SignedInfo/SignatureMethod",
        "/SignedInfo/Reference/Transforms",
        "/SignedInfo/Reference/Transforms/Transform",
        "/SignedInfo/Reference/Transforms/Transform[2]",
    ] {
        let named = edited(ASSERTION, |tree| tree.set_attribute(&at(path), "Other", "x"));
        refused_for("saml.sig.malformed", &named);
    }
    // the same parts under other names
    for (name, reason) in [
        ("CanonicalizationMethod", "saml.sig.malformed"),
        ("SignatureMethod", "saml.sig.malformed"),
        ("Reference/Transforms", "saml.transform"),
        ("Reference/DigestMethod", "saml.sig.malformed"),
        ("Reference/DigestValue", "saml.sig.malformed"),
    ] {
        let path = at(&format!("/SignedInfo/{name}"));
        let part = outer(&xml, &path).unwrap();
        let other = part.replace(name.rsplit('/').next().unwrap(), "Another");
        refused_for(reason, &edited(ASSERTION, |tree| tree.replace(&path, &other)));
    }
    let named =
        edited(ASSERTION, |tree| tree.set_attribute(&at("/SignedInfo/Reference/DigestMethod"), "Other", "x"));
    refused_for("saml.sig.malformed", &named);
    // a key in either form that the two editions of XML Signature know, and that counts for nothing
    let bare =
        "<d:DEREncodedKeyValue xmlns:d=\"http://www.w3.org/2009/xmldsig11#\">AAAA</d:DEREncodedKeyValue>";
    accepted(&edited(ASSERTION, |tree| tree.append(&at("/KeyInfo"), bare)));
    let digest = at("/SignedInfo/Reference/DigestValue");
    for bad in ["", "!", "AAAA", "=AAA", "<x/>"] {
        refused_for("saml.sig.malformed", &edited(ASSERTION, |tree| tree.set(&digest, bad)));
    }
    refused_for("saml.sig.malformed", &edited(ASSERTION, |tree| tree.prepend(&digest, "<!--X-->")));
    let value = at("/SignatureValue");
    for bad in ["", " ", "!", "AAA", "AA-_", "AAAA", "<x/>"] {
        refused_for("saml.sig.invalid", &edited(ASSERTION, |tree| tree.set(&value, bad)));
    }
    // White space within the values is not what was signed or digested.
    accepted(&edited(ASSERTION, |tree| tree.change(&value, |v| format!("\n{}\n{}\t", &v[..20], &v[20..]))));
}

/// What the shape itself says of a message, before any verifier looks.
fn shaped(xml: &str) -> Result<(), &'static str> {
    let document = super::super::xml::parse(xml).map_err(|failure| failure.reason)?;
    let seen = super::super::shape::response(&document, &trust(&[Key::rsa()]));
    seen.map(drop).map_err(|failure| failure.reason)
}

/// A verifier would refuse all of these too, for the signature no longer holds; but no verifier is to see them.
#[test]
fn what_is_no_signature_by_its_shape_reaches_no_verifier() {
    let at = |path: &str| format!("Response/Assertion/Signature{path}");
    let reference = |path: &str| at(&format!("/SignedInfo/Reference{path}"));
    assert_eq!(shaped(&edited(ASSERTION, |_| Some(()))), Ok(()));
    for empty in ["", " ", "\n"] {
        let xml = edited(ASSERTION, |tree| tree.set(&at("/SignatureValue"), empty));
        assert_eq!(shaped(&xml), Err("saml.sig.invalid"), "{empty:?}");
    }
    assert_eq!(
        shaped(&edited(ASSERTION, |tree| tree.set(&at("/SignatureValue"), "AA=="))),
        Ok(()),
        "the twin"
    );
    for (path, reason) in [
        ("", "saml.sig.malformed"),
        ("/DigestMethod", "saml.sig.malformed"),
        ("/DigestValue", "saml.sig.malformed"),
        ("/Transforms", "saml.sig.malformed"),
        ("/Transforms/Transform[1]", "saml.sig.malformed"),
        ("/Transforms/Transform[2]", "saml.sig.malformed"),
    ] {
        for name in ["Other", "Id2"] {
            let xml = edited(ASSERTION, |tree| tree.set_attribute(&reference(path), name, "x"));
            assert_eq!(shaped(&xml), Err(reason), "{path} {name}");
        }
    }
    // A transform by another name, or in no namespace, whatever it says that it does.
    use bergshamra::core::algorithm as a;
    for (nth, algorithm) in [(1, a::ENVELOPED_SIGNATURE), (2, a::EXC_C14N)] {
        let path = reference(&format!("/Transforms/Transform[{nth}]"));
        for (name, outcome) in [
            ("ds:Transform", Ok(())),
            ("ds:Transforms", Err("saml.transform")),
            ("ds:Other", Err("saml.transform")),
            ("Transform", Err("saml.transform")),
        ] {
            let other = format!("<{name} Algorithm=\"{algorithm}\"/>");
            let xml = edited(ASSERTION, |tree| tree.replace(&path, &other));
            assert_eq!(shaped(&xml), outcome, "{nth} {name}");
        }
    }
}

/// A signed message whose signature was made with another template.
fn signed_with(change: impl FnOnce(&mut Signature)) -> String {
    let mut signature = Signature::by(Key::rsa());
    change(&mut signature);
    let mut script = script();
    script.sign_assertion = Some(signature);
    script.xml()
}

#[test]
fn algorithms_are_those_of_the_list() {
    use bergshamra::core::algorithm as a;
    for (method, digest) in
        [(a::RSA_SHA256, a::SHA512), (a::RSA_SHA384, a::SHA384), (a::RSA_SHA512, a::SHA256)]
    {
        accepted(&signed_with(|s| {
            s.method = method.to_owned();
            s.digest = digest.to_owned();
        }));
    }
    let narrow = Trust { algorithms: [a::RSA_SHA512].into(), ..trust(&[Key::rsa()]) };
    refused_by("saml.alg", &signed_with(|_| ()), &narrow);
    refused_for("saml.alg", &signed_with(|s| s.method = a::RSA_PSS_SHA256.to_owned()));
    refused_for("saml.alg", &signed_with(|s| s.digest = a::SHA1.to_owned()));
    refused_for(
        "saml.alg",
        &signed_with(|s| {
            s.method = a::HMAC_SHA256.to_owned();
            s.hmac = Some(Key::rsa().der().to_vec());
        }),
    );
    for method in [
        "",
        "urn:x",
        a::RSA_SHA1,
        a::RSA_SHA224,
        a::ECDSA_SHA1,
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
    ] {
        let path = "Response/Assertion/Signature/SignedInfo/SignatureMethod";
        refused_for("saml.alg", &edited(ASSERTION, |tree| tree.set_attribute(path, "Algorithm", method)));
    }
    for path in ["SignatureMethod", "Reference/DigestMethod"] {
        let path = format!("Response/Assertion/Signature/SignedInfo/{path}");
        refused_for("saml.alg", &edited(ASSERTION, |tree| tree.append(&path, "<x xmlns=\"urn:x\"/>")));
    }
}

#[test]
fn transforms_are_the_enveloped_signature_and_exclusive_canonicalisation() {
    use bergshamra::core::algorithm as a;
    let list = |uris: &[&str]| {
        let uris: Vec<String> = uris.iter().map(|u| (*u).to_owned()).collect();
        signed_with(|s| s.transforms = uris)
    };
    accepted(&list(&[a::ENVELOPED_SIGNATURE, a::EXC_C14N]));
    for uris in [
        &[a::ENVELOPED_SIGNATURE] as &[&str],
        &[a::ENVELOPED_SIGNATURE, a::C14N],
        &[a::ENVELOPED_SIGNATURE, a::EXC_C14N_WITH_COMMENTS],
        &[a::ENVELOPED_SIGNATURE, a::ENVELOPED_SIGNATURE, a::EXC_C14N],
    ] {
        refused_for("saml.transform", &list(uris));
    }
    let transforms = "Response/Assertion/Signature/SignedInfo/Reference/Transforms";
    for uri in [a::XSLT, a::XPATH, a::XPATH2, a::BASE64, "urn:x", ""] {
        let path = format!("{transforms}/Transform[2]");
        refused_for("saml.transform", &edited(ASSERTION, |tree| tree.set_attribute(&path, "Algorithm", uri)));
        let extra = format!("<ds:Transform Algorithm=\"{uri}\"/>");
        refused_for("saml.transform", &edited(ASSERTION, |tree| tree.append(transforms, &extra)));
    }
    refused_for("saml.transform", &edited(ASSERTION, |tree| tree.remove(transforms).map(drop)));
    for c14n in [a::C14N, a::EXC_C14N_WITH_COMMENTS, a::C14N11] {
        refused_for("saml.transform", &signed_with(|s| s.c14n = c14n.to_owned()));
    }
    accepted(&signed_with(|s| s.inclusive = "xs xsi".to_owned()));
    accepted(&signed_with(|s| s.inclusive = "#default saml ds xs unknown".to_owned()));
    accepted(&signed_with(|s| s.inclusive = "x ".repeat(32)));
    for list in ["a:b", "1", &"x ".repeat(33)] {
        refused_for("saml.transform", &signed_with(|s| s.inclusive = list.to_owned()));
    }
}

#[test]
fn canonicalisation_has_a_list_of_prefixes_and_no_other_parameter() {
    let list =
        "Response/Assertion/Signature/SignedInfo/Reference/Transforms/Transform[2]/InclusiveNamespaces";
    let changed = |change: &dyn Fn(&mut Tree<'_>) -> Option<()>| {
        let mut xml = signed_with(|s| s.inclusive = "xs".to_owned());
        edit(&mut xml, change).expect("the edit finds its place");
        xml
    };
    let one = outer(&changed(&|_| Some(())), list).unwrap();
    refused_for("saml.transform", &changed(&|tree| tree.after(list, &one)));
    refused_for("saml.transform", &changed(&|tree| tree.after(list, "<x xmlns=\"urn:x\"/>")));
    refused_for("saml.transform", &changed(&|tree| tree.set(list, "x")));
    let other = one.replace("InclusiveNamespaces", "Another");
    refused_for("saml.transform", &changed(&|tree| tree.replace(list, &other)));
    refused_for("saml.sig.malformed", &changed(&|tree| tree.set_attribute(list, "Other", "x")));
}

#[test]
fn in_another_message_there_is_one_signature_and_no_assertion() {
    use crate::upstream::saml::{ns, shape};
    let read = |inside: &str| {
        let text = format!(
            "<samlp:LogoutRequest xmlns:samlp=\"{}\" xmlns:saml=\"{}\" xmlns:ds=\"{}\" ID=\"_a\">\
             <saml:Issuer>x</saml:Issuer><samlp:Extensions>{inside}</samlp:Extensions></samlp:LogoutRequest>",
            ns::PROTOCOL,
            ns::ASSERTION,
            ns::SIGNATURE
        );
        let document = roxmltree::Document::parse(&text).unwrap();
        let read = shape::message(&document, ns::PROTOCOL, "LogoutRequest", &trust(&[Key::rsa()]));
        read.map_err(|failure| failure.reason)
    };
    assert_eq!(read(""), Ok(None));
    assert_eq!(read("<ds:Signature/>"), Err("saml.sig.wrapped"));
    assert_eq!(read("<saml:Assertion ID=\"_b\"/>"), Err("saml.message.type"));
}

#[test]
fn in_what_was_encrypted_a_signature_stands_in_its_place() {
    use crate::upstream::saml::{ns, shape};
    let read = |inside: &str| {
        let text = format!(
            "<saml:EncryptedAssertion xmlns:saml=\"{}\" xmlns:ds=\"{}\"><saml:Assertion ID=\"_a\">\
             <saml:Issuer>x</saml:Issuer><saml:Subject>{inside}</saml:Subject></saml:Assertion>\
             </saml:EncryptedAssertion>",
            ns::ASSERTION,
            ns::SIGNATURE
        );
        let document = roxmltree::Document::parse(&text).unwrap();
        shape::decrypted(&document, &trust(&[Key::rsa()])).map_err(|failure| failure.reason)
    };
    assert_eq!(read(""), Ok(None));
    assert_eq!(read("<ds:Signature/>"), Err("saml.sig.wrapped"));
}

#[test]
fn certificates_in_the_message_never_count() {
    let forged = |info: KeyInfo| {
        signed_with(|s| {
            s.key = Key::attacker();
            s.key_info = info;
        })
    };
    for info in [KeyInfo::Own, KeyInfo::None, KeyInfo::Of(Key::rsa())] {
        refused_for("saml.sig.invalid", &forged(info));
    }
    for info in
        [KeyInfo::None, KeyInfo::Of(Key::attacker()), KeyInfo::Raw("<ds:KeyName>x</ds:KeyName>".to_owned())]
    {
        accepted(&signed_with(|s| s.key_info = info));
    }
}

#[test]
fn what_anybody_can_encrypt_for_us_is_worth_nothing() {
    let xml = edited(ASSERTION, |_| Some(()));
    let injected = Encryption::to(Key::service().der()).assertion(&evil(&xml));
    refused_for(
        "saml.sig.assertion_required",
        &edited(ASSERTION, |tree| tree.after("Response/Assertion", &injected)),
    );
    let alone = edited(ASSERTION, |tree| tree.replace("Response/Assertion", &injected));
    let failure = opened(&alone, &trust(&[Key::rsa()]), &encrypted::service()).unwrap_err();
    assert_eq!(failure.reason, "saml.sig.assertion_required");
    let nested = Encryption::to(Key::service().der()).assertion(&injected);
    let nested = edited(ASSERTION, |tree| tree.replace("Response/Assertion", &nested));
    let failure = opened(&nested, &trust(&[Key::rsa()]), &encrypted::service()).unwrap_err();
    assert_eq!(failure.reason, "saml.enc.malformed");
    let inside = edited(ASSERTION, |tree| {
        tree.replace("Response/Assertion", &injected)?;
        tree.append("Response/EncryptedAssertion", &injected)
    });
    refused_for("saml.enc.malformed", &inside);
}
