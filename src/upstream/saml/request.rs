//! The request (SAML Core §3.4.1), by redirect (SAML Bindings §3.4) or POST (§3.5).

use super::keys::OwnKey;
use super::metadata::idp::{Address, Described, unusable};
use super::profile::EMAIL_ADDRESS;
use super::settings::{Binding, Comparison, Wish};
use super::signature::query::{self, Kind};
use super::{Saml, ns, open};
use crate::accounts::email::EmailAddress;
use crate::context::{Context, Timestamp};
use crate::failure::{Failure, UserMessage};
use crate::upstream::{BeginRequest, Begun, Departure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use serde::{Deserialize, Serialize};
use std::io;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

/// The most bytes of a RelayState (SAML Bindings §3.4.3).
const MOST_RELAY_STATE: usize = 80;
/// Contexts that are asked for at once.
const MOST_CONTEXTS: usize = 8;

/// What must be remembered until the answer. It is sealed and bound to the browser by the flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Remembered {
    /// The request's ID, which the answer must name.
    pub id: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// A new proof was demanded.
    pub force_authn: bool,
    /// Contexts of the settings of which the answer must show one; any where there is none.
    pub contexts: Vec<String>,
}

impl Remembered {
    /// From what `begin` gave away.
    pub fn parse(state: &[u8]) -> Result<Self, Failure> {
        serde_json::from_slice(state).map_err(|_| {
            let note = "the remembered state of this sign-in cannot be read";
            Failure { user: UserMessage::StartAgain, ..Failure::invalid_request("saml.state", note) }
        })
    }
}

impl Saml {
    pub(super) fn begin(
        &self,
        context: &Context,
        request: &BeginRequest,
        described: &Described,
    ) -> Result<Begun, Failure> {
        let address = self.departure(described)?;
        let (asked, accepted) = self.contexts(request);
        let passes = |wish: Wish| self.settings.pass.contains(&wish);
        // SAML has no greatest age: where one counts, only a new proof is surely young enough
        let force_authn = self.settings.force_authn
            || (request.force_authentication && passes(Wish::Prompt))
            || (request.max_age.is_some() && passes(Wish::MaxAge));
        let remembered = Remembered {
            // 160 random bits (SAML Core §1.3.4 asks for 128 at least); an ID begins with no digit
            id: format!("_{}", super::hex(&context.bytes::<20>())),
            made_at: context.now(),
            force_authn,
            contexts: accepted,
        };
        let wrong = |note: &'static str| Failure::internal("saml.request", note);
        let text = self
            .write(request, address, &remembered, &asked)
            .map_err(|error| wrong("the request cannot be written").caused_by(error))?;
        let state = serde_json::to_vec(&remembered)
            .map(Zeroizing::new)
            .map_err(|error| wrong("the state cannot be written").caused_by(error))?;
        let departure = self.send(address, Kind::Request, &text, &request.state)?;
        Ok(Begun { departure, state })
    }

    /// The message (SAML Core §3.4.1), its children in the order of the schema.
    fn write(
        &self,
        request: &BeginRequest,
        address: &Address,
        remembered: &Remembered,
        asked: &[String],
    ) -> io::Result<String> {
        let mut out = Writer::new(Vec::new());
        let mut root = BytesStart::new("samlp:AuthnRequest");
        root.push_attribute(("xmlns:samlp", ns::PROTOCOL));
        root.push_attribute(("xmlns:saml", ns::ASSERTION));
        root.push_attribute(("ID", remembered.id.as_str()));
        root.push_attribute(("Version", "2.0"));
        root.push_attribute(("IssueInstant", remembered.made_at.rfc3339().as_str()));
        root.push_attribute(("Destination", address.location.written.as_str()));
        root.push_attribute(("AssertionConsumerServiceURL", request.callback.as_str()));
        root.push_attribute(("ProtocolBinding", Binding::Post.uri()));
        if remembered.force_authn {
            root.push_attribute(("ForceAuthn", "true"));
        }
        if request.silent && self.settings.pass.contains(&Wish::Prompt) {
            root.push_attribute(("IsPassive", "true"));
        }
        out.write_event(Event::Start(root))?;
        let issuer = self.our_entity_id(&request.callback);
        out.create_element("saml:Issuer").write_text_content(BytesText::new(&issuer))?;
        let format = self.settings.nameid_format.as_ref().map(|format| ("Format", format.uri()));
        if let Some(hint) = self.hint(request) {
            out.create_element("saml:Subject").write_inner_content(|out| {
                // Core §3.4.1.4: it may have another format than the name that is asked for, and it has the one that it is
                // of; an address under the format of an opaque name would be nobody
                let address = EmailAddress::parse(hint).is_ok();
                let format = address.then_some(("Format", EMAIL_ADDRESS));
                let name = out.create_element("saml:NameID").with_attributes(format);
                name.write_text_content(BytesText::new(hint)).map(drop)
            })?;
        }
        out.create_element("samlp:NameIDPolicy")
            .with_attributes(format)
            .with_attribute(("AllowCreate", "true"))
            .write_empty()?;
        if !asked.is_empty() {
            let comparison = match self.settings.authn_context_comparison {
                Comparison::Exact => "exact",
                Comparison::Minimum => "minimum",
                Comparison::Better => "better",
                Comparison::Maximum => "maximum",
            };
            out.create_element("samlp:RequestedAuthnContext")
                .with_attribute(("Comparison", comparison))
                .write_inner_content(|out| {
                    for context in asked {
                        let class = out.create_element("saml:AuthnContextClassRef");
                        class.write_text_content(BytesText::new(context))?;
                    }
                    Ok(())
                })?;
        }
        out.write_event(Event::End(BytesEnd::new("samlp:AuthnRequest")))?;
        String::from_utf8(out.into_inner()).map_err(io::Error::other)
    }

    /// Where the request goes.
    fn departure<'a>(&self, described: &'a Described) -> Result<&'a Address, Failure> {
        described.sso_by(self.settings.request_binding).ok_or_else(|| {
            let wanted = self.settings.request_binding.map_or("any", Binding::uri);
            unusable("saml.metadata.role", "the provider takes no requests by the binding of the settings")
                .expected(wanted, "not in its metadata")
        })
    }

    /// The contexts to ask for, and those of which an answer must show one: those of the settings. What an application
    /// wishes goes on only where `acr_map` knows what the provider calls it, and is no demand (OIDC Core §3.1.2.1,
    /// §5.5.1.1); an essential one is held against the session, whatever kind of provider it is from.
    fn contexts(&self, request: &BeginRequest) -> (Vec<String>, Vec<String>) {
        let settings = &self.settings;
        if !settings.authn_context.is_empty() {
            let accepted = settings.authn_context.iter().chain(&settings.authn_context_accepted);
            return (settings.authn_context.clone(), accepted.cloned().collect());
        }
        if !settings.pass.contains(&Wish::AcrValues) || self.common.acr_map.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let plain =
            |text: &&String| !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control);
        let wished: Vec<String> =
            request.acr_values.iter().filter(plain).take(MOST_CONTEXTS).cloned().collect();
        (wished, Vec::new())
    }

    /// Whom the application has in mind (`Subject`, SAML Core §3.4.1), where the settings let it be told.
    fn hint<'a>(&self, request: &'a BeginRequest) -> Option<&'a str> {
        let hint = request.login_hint.as_ref().filter(|_| self.settings.pass.contains(&Wish::LoginHint))?;
        let plain = !hint.is_empty() && hint.len() <= 255 && !hint.chars().any(char::is_control);
        plain.then_some(hint.as_str())
    }

    /// Sends a request of ours through the browser, signed where the settings say so.
    pub(super) fn send(
        &self,
        address: &Address,
        kind: Kind,
        text: &str,
        relay_state: &str,
    ) -> Result<Departure, Failure> {
        let wrong = |note: &'static str| Failure::internal("saml.request", note);
        if relay_state.len() > MOST_RELAY_STATE {
            return Err(wrong("the handle is too long for a RelayState"));
        }
        if self.settings.signs_requests() {
            return self.send_signed(address, kind, text, relay_state);
        }
        pack(address, kind, text, relay_state, None)
    }

    /// Sends a message of ours through the browser, signed.
    pub(super) fn send_signed(
        &self,
        address: &Address,
        kind: Kind,
        text: &str,
        relay_state: &str,
    ) -> Result<Departure, Failure> {
        let key = self.keys.current.as_deref();
        let key = key.ok_or_else(|| Failure::internal("saml.request", "there is no key to sign with"))?;
        pack(address, kind, text, relay_state, Some(key))
    }
}

/// A message as it travels by the binding of the address.
fn pack(
    address: &Address,
    kind: Kind,
    text: &str,
    relay_state: &str,
    key: Option<&OwnKey>,
) -> Result<Departure, Failure> {
    match address.binding {
        Binding::Redirect => {
            let message = open::deflate(text)?;
            let state = Some(relay_state).filter(|state| !state.is_empty());
            let query = match key {
                Some(key) => query::sign(kind, &message, state, &key.signing)?,
                None => unsigned(kind, &message, state),
            };
            Ok(Departure::RedirectTo(with_query(&address.location.url, &query)))
        }
        Binding::Post => {
            let text = match key {
                Some(key) => key.signing.sign_root(text)?,
                None => text.to_owned(),
            };
            let mut fields = vec![(kind.parameter().to_owned(), STANDARD.encode(text))];
            if !relay_state.is_empty() {
                fields.push(("RelayState".to_owned(), relay_state.to_owned()));
            }
            Ok(Departure::PostForm { action: address.location.url.clone(), fields })
        }
    }
}

/// The query without a signature.
fn unsigned(kind: Kind, message: &str, relay_state: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(kind.parameter(), message);
    if let Some(state) = relay_state {
        query.append_pair("RelayState", state);
    }
    query.finish()
}

/// The address with our parameters behind its own.
fn with_query(location: &Url, query: &str) -> Url {
    let mut url = location.clone();
    let whole = match location.query().filter(|own| !own.is_empty()) {
        Some(own) => format!("{own}&{query}"),
        None => query.to_owned(),
    };
    url.set_query(Some(&whole));
    url
}
