//! Twists of signatures, of the XML's text, and of what is said.

use super::mutations::{MALLORY, Mutation, tree};
use super::{Key, KeyInfo, Signature, inner, outer, redigest, resign, uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const A: &str = "Response/Assertion";
const INFO: &str = "Response/Assertion/Signature/SignedInfo";
const REFERENCE: &str = "Response/Assertion/Signature/SignedInfo/Reference";
const VALUE: &str = "Response/Assertion/Signature/SignatureValue";
const NAME: &str = "Response/Assertion/Subject/NameID";

macro_rules! table {
    ($($name:literal $change:expr;)*) => {
        &[$(Mutation { name: $name, change: $change }),*]
    };
}

/// The bytes of a signature, changed.
fn value(xml: &mut String, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Option<()> {
    let text: String = inner(xml, VALUE)?.split_whitespace().collect();
    let changed = STANDARD.encode(change(STANDARD.decode(text).ok()?));
    tree(xml, |t| t.set(VALUE, &changed))
}

fn transform(xml: &mut String, transform: &str) -> Option<()> {
    tree(xml, |t| t.append(&format!("{REFERENCE}/Transforms"), transform))
}

/// A text in two parts.
fn halves(text: &str) -> [&str; 2] {
    text.split_at_checked(3).map_or([text, ""], |(a, b)| [a, b])
}

pub const SIGNATURES: &[Mutation] = table! {
    "no signature" |x, _| {
        let some = tree(x, |t| t.remove(&format!("{A}/Signature")).map(drop));
        let more = tree(x, |t| t.remove("Response/Signature").map(drop));
        some.or(more)
    };
    "signature without value" |x, _| tree(x, |t| t.set(VALUE, ""));
    "signature without the element of its value" |x, _| tree(x, |t| t.remove(VALUE).map(drop));
    "signature without SignedInfo" |x, _| tree(x, |t| t.remove(INFO).map(drop));
    "signature value of blanks" |x, _| tree(x, |t| t.set(VALUE, "   "));
    "signature value no base64" |x, _| tree(x, |t| t.set(VALUE, "!!!!"));
    "signature value urlsafe" |x, _| {
        let text = inner(x, VALUE)?;
        tree(x, |t| t.set(VALUE, &text.replace('+', "-").replace('/', "_").replace('=', "")))
    };
    "signature value zero" |x, _| value(x, |bytes| vec![0; bytes.len()]);
    "signature value one" |x, _| value(x, |bytes| { let mut one = vec![0; bytes.len()]; if let Some(last) = one.last_mut() { *last = 1; } one });
    "signature value all ones" |x, _| value(x, |bytes| vec![0xff; bytes.len()]);
    "signature value flipped" |x, _| value(x, |mut bytes| { if let Some(one) = bytes.get_mut(7) { *one ^= 1; } bytes });
    "signature value with a zero before" |x, _| value(x, |mut bytes| { bytes.insert(0, 0); bytes });
    "signature value with a zero after" |x, _| value(x, |mut bytes| { bytes.push(0); bytes });
    "signature value short" |x, _| value(x, |mut bytes| { bytes.pop(); bytes });
    "signature value doubled" |x, _| value(x, |bytes| [bytes.clone(), bytes].concat());
    "signature value twice" |x, _| { let one = outer(x, VALUE)?; tree(x, |t| t.after(VALUE, &one)) };
    "comment in the signature value" |x, _| tree(x, |t| t.change(VALUE, |text| format!("<!--x-->{text}")));
    "comment in the digest" |x, _| tree(x, |t| t.change(&format!("{REFERENCE}/DigestValue"), |text| format!("<!--{text}-->{text}")));
    "forged digest behind a comment" |x, _| {
        let old = inner(x, &format!("{REFERENCE}/DigestValue"))?;
        tree(x, |t| t.set(NAME, MALLORY))?;
        redigest(x, A)?;
        tree(x, |t| t.change(&format!("{REFERENCE}/DigestValue"), |new| format!("<!--{new}-->{old}")))
    };
    "digest empty" |x, _| tree(x, |t| t.set(&format!("{REFERENCE}/DigestValue"), ""));
    "digest flipped" |x, _| tree(x, |t| t.change(&format!("{REFERENCE}/DigestValue"), |text| {
        let mut bytes = STANDARD.decode(text).unwrap_or_default();
        if let Some(first) = bytes.first_mut() { *first ^= 1; }
        STANDARD.encode(bytes)
    }));
    "digest short" |x, _| tree(x, |t| t.change(&format!("{REFERENCE}/DigestValue"), |text| {
        let mut bytes = STANDARD.decode(text).unwrap_or_default();
        bytes.truncate(20);
        STANDARD.encode(bytes)
    }));
    "digest twice" |x, _| { let one = outer(x, &format!("{REFERENCE}/DigestValue"))?; tree(x, |t| t.after(&format!("{REFERENCE}/DigestValue"), &one)) };
    "digest with a child" |x, _| tree(x, |t| t.append(&format!("{REFERENCE}/DigestValue"), "<x/>"));
    "two references" |x, _| { let one = outer(x, REFERENCE)?; tree(x, |t| t.after(REFERENCE, &one)) };
    "no reference" |x, _| tree(x, |t| t.remove(REFERENCE).map(drop));
    "two SignedInfo" |x, _| { let one = outer(x, INFO)?; tree(x, |t| t.after(INFO, &one)) };
    "evil SignedInfo first" |x, _| {
        let one = outer(x, INFO)?;
        tree(x, |t| t.set(NAME, MALLORY))?;
        redigest(x, A)?;
        tree(x, |t| t.after(INFO, &one))
    };
    "evil SignedInfo last" |x, _| {
        let one = outer(x, INFO)?;
        tree(x, |t| t.set(NAME, MALLORY))?;
        redigest(x, A)?;
        tree(x, |t| t.before(INFO, &one))
    };
    "object in the signature" |x, _| tree(x, |t| t.append(&format!("{A}/Signature"), "<ds:Object>x</ds:Object>"));
    "manifest" |x, w| {
        let canary = &w.canary;
        tree(x, |t| t.append(&format!("{A}/Signature"), &format!(r#"<ds:Object><ds:Manifest Id="m"><ds:Reference URI="{canary}/m"/></ds:Manifest></ds:Object>"#)))
    };
    "reference to the canary" |x, w| tree(x, |t| t.set_attribute(REFERENCE, "URI", &format!("{}/x", w.canary)));
    "reference to a file" |x, _| tree(x, |t| t.set_attribute(REFERENCE, "URI", "file:///etc/passwd"));
    "reference to an attachment" |x, _| tree(x, |t| t.set_attribute(REFERENCE, "URI", "cid:x"));
    "reference to the document" |x, _| tree(x, |t| t.set_attribute(REFERENCE, "URI", ""));
    "reference without URI" |x, _| tree(x, |t| t.remove_attribute(REFERENCE, "URI"));
    "reference by xpointer" |x, _| { let id = super::attribute(x, A, "ID")?; tree(x, |t| t.set_attribute(REFERENCE, "URI", &format!("#xpointer(id('{id}'))"))) };
    "reference by xpointer to the root" |x, _| tree(x, |t| t.set_attribute(REFERENCE, "URI", "#xpointer(/)"));
    "reference to another id" |x, _| tree(x, |t| t.set_attribute(REFERENCE, "URI", "#_other"));
    "reference to the response" |x, _| { let id = super::attribute(x, "Response", "ID")?; tree(x, |t| t.set_attribute(REFERENCE, "URI", &format!("#{id}"))) };
    "reference with an escape" |x, _| { let id = super::attribute(x, A, "ID")?; tree(x, |t| t.set_attribute(REFERENCE, "URI", &id.replacen('_', "#%5f", 1))) };
    "transform xslt" |x, w| transform(x, &format!(r#"<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><xsl:copy-of select="document('{}/x')"/></xsl:template></xsl:stylesheet></ds:Transform>"#, w.canary));
    "transform xpath" |x, _| transform(x, r#"<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">not(ancestor-or-self::saml:NameID)</ds:XPath></ds:Transform>"#);
    "transform xpath filter 2" |x, _| transform(x, r#"<ds:Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"><f:XPath xmlns:f="http://www.w3.org/2002/06/xmldsig-filter2" Filter="subtract">//*[local-name()='NameID']</f:XPath></ds:Transform>"#);
    "transform base64" |x, _| transform(x, r#"<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#base64"/>"#);
    "transform exclusive again" |x, _| transform(x, r#"<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>"#);
    "no transforms" |x, _| tree(x, |t| t.remove(&format!("{REFERENCE}/Transforms")).map(drop));
    "c14n inclusive" |x, _| tree(x, |t| t.set_attribute(&format!("{INFO}/CanonicalizationMethod"), "Algorithm", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"));
    "c14n with comments" |x, _| tree(x, |t| t.set_attribute(&format!("{INFO}/CanonicalizationMethod"), "Algorithm", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"));
    "c14n of nobody" |x, _| tree(x, |t| t.set_attribute(&format!("{INFO}/CanonicalizationMethod"), "Algorithm", "urn:x"));
    "method rsa-sha1" |x, _| tree(x, |t| t.set_attribute(&format!("{INFO}/SignatureMethod"), "Algorithm", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"));
    "method hmac" |x, _| tree(x, |t| t.set_attribute(&format!("{INFO}/SignatureMethod"), "Algorithm", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"));
    "method none" |x, _| tree(x, |t| t.set_attribute(&format!("{INFO}/SignatureMethod"), "Algorithm", ""));
    "digest method md5" |x, _| tree(x, |t| t.set_attribute(&format!("{REFERENCE}/DigestMethod"), "Algorithm", "http://www.w3.org/2001/04/xmldsig-more#md5"));
    "key info of the attacker" |x, _| tree(x, |t| t.set(&format!("{A}/Signature/KeyInfo"), &format!("<ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>", Key::attacker().b64())));
    "key info gone" |x, _| tree(x, |t| t.remove(&format!("{A}/Signature/KeyInfo")).map(drop));
    "key info twice" |x, _| { let one = outer(x, &format!("{A}/Signature/KeyInfo"))?; tree(x, |t| t.after(&format!("{A}/Signature/KeyInfo"), &one)) };
    "key info with a retrieval method" |x, w| tree(x, |t| t.set(&format!("{A}/Signature/KeyInfo"), &format!(r#"<ds:RetrievalMethod URI="{}/key" Type="http://www.w3.org/2000/09/xmldsig#rawX509Certificate"/>"#, w.canary)));
    "key info with a name" |x, _| tree(x, |t| t.set(&format!("{A}/Signature/KeyInfo"), "<ds:KeyName>../../etc/passwd</ds:KeyName>"));
    "signed by the attacker" |x, _| { tree(x, |t| t.set(NAME, MALLORY))?; resign(x, A, &Signature::by(Key::attacker())) };
    "signed by the attacker, certificate of the provider" |x, w| {
        tree(x, |t| t.set(NAME, MALLORY))?;
        resign(x, A, &Signature { key_info: KeyInfo::Of(w.idp.clone()), ..Signature::by(Key::attacker()) })
    };
    "signed by hmac with the certificate" |x, w| {
        tree(x, |t| t.set(NAME, MALLORY))?;
        resign(x, A, &Signature { hmac: Some(w.idp.der().to_vec()), method: "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256".to_owned(), ..Signature::by(Key::attacker()) })
    };
    "changed, digest fits" |x, _| { tree(x, |t| t.set(NAME, MALLORY))?; redigest(x, A) };
};

pub const TEXTS: &[Mutation] = table! {
    "comment in the NameID" |x, _| tree(x, |t| t.change(NAME, |name| halves(name).join("<!-- x -->")));
    "comment somewhere" |x, _| tree(x, |t| t.prepend("Response", "<!-- x -->"));
    "comment after the end" |x, _| { x.push_str("<!-- x -->"); Some(()) };
    "processing instruction in the NameID" |x, _| tree(x, |t| t.change(NAME, |name| halves(name).join("<?x y?>")));
    "processing instruction before" |x, _| { x.insert_str(0, "<?xml-stylesheet href=\"x.xsl\"?>"); Some(()) };
    "section in the NameID" |x, _| tree(x, |t| t.change(NAME, |name| format!("{}<![CDATA[{}]]>", halves(name)[0], halves(name)[1])));
    "doctype" |x, _| { x.insert_str(0, "<!DOCTYPE x>"); Some(()) };
    "doctype with an entity" |x, _| {
        tree(x, |t| t.set(NAME, "&e;"))?;
        x.insert_str(0, &format!("<!DOCTYPE x [<!ENTITY e \"{MALLORY}\">]>"));
        Some(())
    };
    "doctype with the canary" |x, w| { x.insert_str(0, &format!("<!DOCTYPE x SYSTEM \"{}/x.dtd\">", w.canary)); Some(()) };
    "character reference in the NameID" |x, _| tree(x, |t| t.change(NAME, |name| name.replace('e', "&#101;")));
    "declaration" |x, _| { x.insert_str(0, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"); Some(()) };
    "declaration of another encoding" |x, _| { x.insert_str(0, "<?xml version=\"1.0\" encoding=\"UTF-7\"?>"); Some(()) };
    "blank before" |x, _| { x.insert(0, '\n'); Some(()) };
    "blank after" |x, _| { x.push('\n'); Some(()) };
    "text after" |x, _| { x.push('x'); Some(()) };
    "second root" |x, _| { x.push_str("<x/>"); Some(()) };
    "truncated" |x, _| { x.truncate(x.len().checked_sub(3)?); Some(()) };
    "relative namespace" |x, _| tree(x, |t| t.tag(A, r#"xmlns:r="relative/path""#));
    "relative namespace in the response" |x, _| tree(x, |t| t.tag("Response", r#"xmlns:r="1""#));
    "id in another namespace" |x, _| tree(x, |t| t.tag(A, r#"xmlns:x="urn:x" x:ID="_evil""#));
    "xml:id" |x, _| tree(x, |t| t.tag(A, r#"xml:id="_evil""#));
    "Id beside ID" |x, _| tree(x, |t| t.tag(A, r#"Id="_evil""#));
    "same id elsewhere" |x, _| { let id = super::attribute(x, A, "ID")?; tree(x, |t| t.set_attribute("Response", "ID", &id)) };
    "same id as Id elsewhere" |x, _| { let id = super::attribute(x, A, "ID")?; tree(x, |t| t.tag("Response/Status", &format!("Id=\"{id}\""))) };
    "xml:base" |x, _| tree(x, |t| t.tag(A, r#"xml:base="http://evil.example/""#));
    "xml:lang" |x, _| tree(x, |t| t.tag("Response", r#"xml:lang="en""#));
    "schemaLocation" |x, w| tree(x, |t| t.tag("Response", &format!(r#"xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x {}/x.xsd""#, w.canary)));
    "xinclude" |x, w| tree(x, |t| t.append(&format!("{A}/AttributeStatement/Attribute/AttributeValue"), &format!(r#"<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{}/x" parse="text"/>"#, w.canary)));
    "other prefix declared" |x, _| tree(x, |t| t.tag("Response", r#"xmlns:other="urn:other""#));
    "default namespace declared" |x, _| tree(x, |t| t.tag("Response", r#"xmlns="urn:oasis:names:tc:SAML:2.0:assertion""#));
    "prefix of the assertion bound elsewhere" |x, _| { *x = x.replacen(&format!("xmlns:saml=\"{}\"", uri::ASSERTION), "xmlns:saml=\"urn:x\"", 1); Some(()) };
    "colons in a name" |x, _| { *x = x.replace("samlp:Status>", "samlp:x:Status>"); Some(()) };
    "blanks in a tag" |x, _| { *x = x.replacen("<samlp:Status>", "<samlp:Status  \n>", 1); Some(()) };
    "crlf in the response" |x, _| { *x = x.replacen("<samlp:Status>", "\r\n<samlp:Status>", 1); Some(()) };
    "text between elements" |x, _| tree(x, |t| t.before("Response/Status", "x"));
    "unknown element" |x, _| tree(x, |t| t.before("Response/Status", r#"<x:y xmlns:x="urn:x"/>"#));
    "unknown attribute" |x, _| tree(x, |t| t.tag("Response", r#"Foo="bar""#));
};

pub const CLAIMS: &[Mutation] = table! {
    "another person" |x, _| tree(x, |t| t.set(NAME, MALLORY));
    "another address" |x, _| tree(x, |t| t.set(&format!("{A}/AttributeStatement/Attribute/AttributeValue"), "mallory@acme.example"));
    "another audience" |x, _| tree(x, |t| t.set(&format!("{A}/Conditions/AudienceRestriction/Audience"), "https://evil.example"));
    "another destination" |x, _| tree(x, |t| t.set_attribute("Response", "Destination", "https://evil.example/acs"));
    "no destination" |x, _| tree(x, |t| t.remove_attribute("Response", "Destination"));
    "another request" |x, _| tree(x, |t| t.set_attribute("Response", "InResponseTo", "_other"));
    "no request" |x, _| tree(x, |t| t.remove_attribute("Response", "InResponseTo"));
    "another issuer" |x, _| tree(x, |t| t.set("Response/Issuer", "https://evil.example"));
    "no issuer" |x, _| tree(x, |t| t.remove("Response/Issuer").map(drop));
    "another status" |x, _| tree(x, |t| t.set_attribute("Response/Status/StatusCode", "Value", "urn:oasis:names:tc:SAML:2.0:status:Responder"));
    "no status" |x, _| tree(x, |t| t.remove("Response/Status").map(drop));
    "version 1.1" |x, _| tree(x, |t| t.set_attribute("Response", "Version", "1.1"));
    "no version" |x, _| tree(x, |t| t.remove_attribute("Response", "Version"));
    "issued long ago" |x, _| tree(x, |t| t.set_attribute("Response", "IssueInstant", "2001-01-01T00:00:00Z"));
    "another response id" |x, _| tree(x, |t| t.set_attribute("Response", "ID", "_another"));
    "no response id" |x, _| tree(x, |t| t.remove_attribute("Response", "ID"));
    "response id of digits" |x, _| tree(x, |t| t.set_attribute("Response", "ID", "123"));
    "no conditions" |x, _| tree(x, |t| t.remove(&format!("{A}/Conditions")).map(drop));
    "no authn statement" |x, _| tree(x, |t| t.remove(&format!("{A}/AuthnStatement")).map(drop));
    "no confirmation" |x, _| tree(x, |t| t.remove(&format!("{A}/Subject/SubjectConfirmation")).map(drop));
    "signed by the provider, for another audience" |x, w| {
        tree(x, |t| t.set(&format!("{A}/Conditions/AudienceRestriction/Audience"), "https://other.example"))?;
        resign(x, A, &Signature::by(w.idp.clone()))
    };
    "signed by the provider, without audience" |x, w| {
        tree(x, |t| t.remove(&format!("{A}/Conditions/AudienceRestriction")).map(drop))?;
        resign(x, A, &Signature::by(w.idp.clone()))
    };
    "signed by the provider, expired" |x, w| {
        tree(x, |t| t.set_attribute(&format!("{A}/Conditions"), "NotOnOrAfter", "2001-01-01T00:00:00Z"))?;
        resign(x, A, &Signature::by(w.idp.clone()))
    };
    "signed by the provider, for another request" |x, w| {
        tree(x, |t| t.set_attribute(&format!("{A}/Subject/SubjectConfirmation/SubjectConfirmationData"), "InResponseTo", "_other"))?;
        resign(x, A, &Signature::by(w.idp.clone()))
    };
    "signed by the provider, for another recipient" |x, w| {
        tree(x, |t| t.set_attribute(&format!("{A}/Subject/SubjectConfirmation/SubjectConfirmationData"), "Recipient", "https://other.example/acs"))?;
        resign(x, A, &Signature::by(w.idp.clone()))
    };
    "signed by the provider, another issuer" |x, w| {
        tree(x, |t| t.set(&format!("{A}/Issuer"), "https://evil.example"))?;
        resign(x, A, &Signature::by(w.idp.clone()))
    };
    "signed by the provider again" |x, w| resign(x, A, &Signature::by(w.idp.clone()));
    "signed by the provider, with its next key" |x, _| resign(x, A, &Signature::by(Key::rsa_next()));
    "signed by the provider, the response too" |x, w| {
        if outer(x, "Response/Signature").is_some() { return None; }
        *x = super::try_sign(x, &Signature::by(w.idp.clone()))?;
        Some(())
    };
};
