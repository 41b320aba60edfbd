//! Our own metadata for one provider (SAML Metadata §2.4.4): what it needs to know of us.

use crate::context::{Context, Timestamp};
use crate::failure::Failure;
use crate::upstream::saml::keys::OwnKey;
use crate::upstream::saml::settings::{Binding, Encryption};
use crate::upstream::saml::{Addresses, Saml, hex, ns};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use std::io;
use std::time::Duration;

/// Its media type (SAML Metadata, appendix A).
pub(in crate::upstream::saml) const MEDIA_TYPE: &str = "application/samlmetadata+xml";
/// For how long a provider should keep it: `xs:duration`.
const CACHE: &str = "PT1H";
/// For how long we keep it ourselves: each signature costs us more than the request that asks for it.
pub(in crate::upstream::saml) const KEEP: Duration = Duration::from_secs(1800);

/// What we can decrypt, best first (XML Encryption 1.1 §5.1.1).
const CONTENT: [&str; 2] =
    ["http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2009/xmlenc11#aes128-gcm"];
const CBC: [&str; 2] =
    ["http://www.w3.org/2001/04/xmlenc#aes256-cbc", "http://www.w3.org/2001/04/xmlenc#aes128-cbc"];
const TRANSPORT: [&str; 2] =
    ["http://www.w3.org/2009/xmlenc11#rsa-oaep", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"];

impl Saml {
    /// Writes it, signed where we have a key.
    pub(in crate::upstream::saml) fn own_metadata(
        &self,
        context: &Context,
        ours: &Addresses,
    ) -> Result<Vec<u8>, Failure> {
        let id = format!("_{}", hex(&context.bytes::<20>()));
        let text = self.write_own(&id, context.now(), ours).map_err(|error| {
            Failure::internal("saml.own_metadata", "our metadata cannot be written").caused_by(error)
        })?;
        let signed = match &self.keys.current {
            Some(key) => key.signing.sign_root(&text)?,
            None => text,
        };
        Ok(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{signed}").into_bytes())
    }

    fn write_own(&self, id: &str, now: Timestamp, ours: &Addresses) -> io::Result<String> {
        let mut out = Writer::new(Vec::new());
        let mut entity = BytesStart::new("md:EntityDescriptor");
        entity.push_attribute(("xmlns:md", ns::METADATA));
        entity.push_attribute(("ID", id));
        entity.push_attribute(("entityID", self.our_entity_id(&ours.callback).as_str()));
        entity.push_attribute(("cacheDuration", CACHE));
        // what is imported once should not fall dead while its key is good
        let end = self.keys.iter().filter_map(|key| key.certificate.ends()).max().filter(|end| *end > now);
        let end = end.map(|end| Timestamp::from_secs(end.secs()).rfc3339());
        if let Some(end) = &end {
            entity.push_attribute(("validUntil", end.as_str()));
        }
        out.write_event(Event::Start(entity))?;

        let mut role = BytesStart::new("md:SPSSODescriptor");
        role.push_attribute(("AuthnRequestsSigned", flag(self.settings.signs_requests())));
        role.push_attribute(("WantAssertionsSigned", flag(self.settings.policy().signed().assertion)));
        role.push_attribute(("protocolSupportEnumeration", ns::PROTOCOL));
        out.write_event(Event::Start(role))?;
        for key in self.keys.iter() {
            key_descriptor(&mut out, "signing", key, &[])?;
        }
        if self.settings.encryption() != Encryption::Off {
            let cbc: &[&str] = if self.settings.allow_cbc { &CBC } else { &[] };
            let methods: Vec<&str> = CONTENT.iter().chain(cbc).chain(&TRANSPORT).copied().collect();
            // The next key first: whoever takes only one takes the one that stays; we decrypt with both.
            for key in self.keys.next.iter().chain(&self.keys.current) {
                key_descriptor(&mut out, "encryption", key, &methods)?;
            }
        }
        // Where the settings alone say where the provider is, and not where answers go, none could be given.
        let answers = self.settings.sso_url.is_none() || self.settings.slo_url.is_some();
        if self.signs_out() && answers {
            for binding in [Binding::Redirect, Binding::Post] {
                let mut logout = BytesStart::new("md:SingleLogoutService");
                logout.push_attribute(("Binding", binding.uri()));
                logout.push_attribute(("Location", ours.logout.as_str()));
                out.write_event(Event::Empty(logout))?;
            }
        }
        if let Some(format) = &self.settings.nameid_format {
            out.write_event(Event::Start(BytesStart::new("md:NameIDFormat")))?;
            out.write_event(Event::Text(BytesText::new(format.uri())))?;
            out.write_event(Event::End(BytesEnd::new("md:NameIDFormat")))?;
        }
        let mut acs = BytesStart::new("md:AssertionConsumerService");
        acs.push_attribute(("Binding", Binding::Post.uri()));
        acs.push_attribute(("Location", ours.callback.as_str()));
        acs.push_attribute(("index", "0"));
        acs.push_attribute(("isDefault", "true"));
        out.write_event(Event::Empty(acs))?;
        out.write_event(Event::End(BytesEnd::new("md:SPSSODescriptor")))?;
        out.write_event(Event::End(BytesEnd::new("md:EntityDescriptor")))?;
        String::from_utf8(out.into_inner()).map_err(io::Error::other)
    }
}

fn flag(yes: bool) -> &'static str {
    if yes { "true" } else { "false" }
}

/// One key for one use, with what we can decrypt by it.
fn key_descriptor(out: &mut Writer<Vec<u8>>, usage: &str, key: &OwnKey, methods: &[&str]) -> io::Result<()> {
    let mut descriptor = BytesStart::new("md:KeyDescriptor");
    descriptor.push_attribute(("use", usage));
    out.write_event(Event::Start(descriptor))?;
    let mut info = BytesStart::new("ds:KeyInfo");
    info.push_attribute(("xmlns:ds", ns::SIGNATURE));
    out.write_event(Event::Start(info))?;
    out.write_event(Event::Start(BytesStart::new("ds:X509Data")))?;
    out.write_event(Event::Start(BytesStart::new("ds:X509Certificate")))?;
    out.write_event(Event::Text(BytesText::new(&STANDARD.encode(&key.certificate.der))))?;
    for name in ["ds:X509Certificate", "ds:X509Data", "ds:KeyInfo"] {
        out.write_event(Event::End(BytesEnd::new(name)))?;
    }
    for method in methods {
        let mut element = BytesStart::new("md:EncryptionMethod");
        element.push_attribute(("Algorithm", *method));
        out.write_event(Event::Empty(element))?;
    }
    out.write_event(Event::End(BytesEnd::new("md:KeyDescriptor")))
}
