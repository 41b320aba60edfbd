//! Single logout in both directions, by redirect and by form (SAML Profiles §4.4, Bindings §3.4, §3.5): the provider's
//! word that somebody has signed out there, our answer, our own request, and the provider's answer to that.
//!
//! Every message is signed, theirs and ours (Profiles §4.4.4.1, §4.4.4.2). A message by redirect is signed over the
//! octets of the query, one by form within itself.

mod message;
#[cfg(test)]
mod tests;

use super::aside::aside;
use super::metadata::idp::{Address, Described};
use super::open::{self, Trust};
use super::profile::NameId;
use super::signature::query::{self, Kind};
use super::{Addresses, Saml, ns, shape, xml};
use crate::context::Context;
use crate::failure::Failure;
use crate::outbound::cached::Suspicion;
use crate::sessions::UpstreamName;
use crate::upstream::checks::{Checks, clean, refused};
use crate::upstream::{
    Begun, CallbackMethod, Departure, LogoutHeard, LogoutMessage, LogoutNotice, LogoutOutcome, LogoutWish,
    Named, Replay, Trace,
};
use message::{Asked, Expected, Head};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What must be remembered of our request until it is answered.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    id: String,
}

/// What our answer to the provider's request needs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    in_response_to: String,
    relay_state: Option<String>,
    address: String,
}

/// A message as it came, read but not believed yet.
#[derive(Clone)]
struct Received {
    kind: Kind,
    method: CallbackMethod,
    /// The query as it came, which is what is signed in a redirect.
    query: String,
    /// The XML.
    bytes: Vec<u8>,
    relay_state: Option<String>,
}

/// What a message said.
enum Said {
    Asked(Asked),
    Answered(LogoutOutcome),
}

impl Saml {
    /// Validates what reached our logout address. What names another provider than this one's is told apart from a
    /// signature that does not hold, since it comes of an address that was mixed up.
    pub(super) async fn logout_heard(
        &self,
        context: &Context,
        message: &LogoutMessage,
        trace: &mut Trace,
    ) -> Result<LogoutHeard, Failure> {
        let mut checks = Checks::new(trace);
        let checks = &mut checks;
        if !self.signs_out() {
            let failure = Failure::invalid_request("upstream.logout_request", "single logout is off");
            return Err(
                checks.fail(failure.expected("`single_logout`, and a `key` to sign with", "neither, or one"))
            );
        }
        let (kind, value) = only(message, checks)?;
        let remembered = match kind {
            Kind::Request => None,
            // Nothing is opened that nobody here waits for.
            Kind::Response => Some(remembered(message, checks)?),
        };
        let (received, issuer) =
            received(message, kind, value).await.map_err(|failure| checks.fail(failure))?;
        self.addressed(issuer, checks).map_err(|failure| checks.fail(failure))?;
        let text = self.verified(context, &received, checks).await?;
        let ours = Addresses::beside_logout(&message.address);
        let entity_id = self.our_entity_id(&ours.callback);
        let asked = match self.said(context, message, text, remembered, checks).await? {
            Said::Asked(asked) => asked,
            Said::Answered(outcome) => return Ok(LogoutHeard::Answer(outcome)),
        };
        // Profiles §4.4.4.2: a request is answered. One that cannot be ends nothing.
        let described = self.describe(context).await.map_err(|failure| checks.fail(failure))?;
        self.answer_address(&described).map_err(|failure| checks.fail(failure))?;
        let reply = Reply {
            in_response_to: asked.id.clone(),
            relay_state: received.relay_state,
            address: message.address.clone(),
        };
        let reply = serde_json::to_vec(&reply)
            .map_err(|error| Failure::internal("saml.state", "a reply cannot be written").caused_by(error))?;
        Ok(LogoutHeard::Notice(LogoutNotice {
            identity: None,
            name: Some(Named {
                key: message::key(&asked.name, &self.settings.entity_id, &entity_id),
                until: asked.ends,
            }),
            issuer: self.settings.entity_id.clone(),
            // by the clock by which it says when somebody proved who they are
            issued: asked.issued,
            sessions: asked.sessions,
            replay: Replay {
                what: format!("logout:{}", asked.id),
                until: asked.until,
                reason: "saml.replay",
            },
            reply: Some(reply),
        }))
    }

    /// Refuses what says that it comes from another provider.
    fn addressed(&self, issuer: Option<String>, checks: &mut Checks<'_>) -> Result<(), Failure> {
        let own = &self.settings.entity_id;
        match issuer {
            Some(issuer) if issuer != *own => {
                Err(refused("provider.mismatch", "the message says that it comes from another provider")
                    .expected(own, clean(&issuer)))
            }
            _ => {
                checks.note("provider.mismatch", own, "the same, or none");
                Ok(())
            }
        }
    }

    /// The text of the message, once its signature holds; with newer keys, asked for rarely, if none that we know
    /// signed it.
    async fn verified(
        &self,
        context: &Context,
        received: &Received,
        checks: &mut Checks<'_>,
    ) -> Result<String, Failure> {
        let described = self.describe(context).await.map_err(|failure| checks.fail(failure))?;
        let (mut steps, mut outcome) = opened(received.clone(), self.trust(&described)).await;
        if outcome.as_ref().is_err_and(|failure| failure.reason == "saml.sig.invalid") {
            match self.newer(context, &described, Suspicion::Unasked).await {
                Ok(Some(newer)) => (steps, outcome) = opened(received.clone(), self.trust(&newer)).await,
                Ok(None) => {}
                Err(failure) => outcome = Err(failure),
            }
        }
        checks.append(&steps);
        let text = outcome.map_err(|failure| checks.fail(failure))?;
        checks.note("saml.signature", "signed by the provider", element(received.kind));
        Ok(text)
    }

    /// What the message says, held against what it must be about.
    async fn said(
        &self,
        context: &Context,
        message: &LogoutMessage,
        text: String,
        remembered: Option<Remembered>,
        checks: &mut Checks<'_>,
    ) -> Result<Said, Failure> {
        let (issuer, address) = (self.settings.entity_id.clone(), message.address.clone());
        let (now, skew) = (context.now(), self.settings.skew);
        let looked = aside(move || {
            let mut steps = Trace::default();
            let mut checks = Checks::new(&mut steps);
            let expected = Expected { issuer: &issuer, address: &address, now, skew };
            let said =
                xml::parse_canonical(&text).map_err(|failure| checks.fail(failure)).and_then(|document| {
                    let root = document.root_element();
                    match remembered {
                        Some(Remembered { id }) => {
                            message::response(root, &id, &expected, &mut checks).map(Said::Answered)
                        }
                        None => message::request(root, &expected, &mut checks).map(Said::Asked),
                    }
                });
            Ok((steps, said))
        });
        let (steps, said) = looked.await.map_err(|failure| checks.fail(failure))?;
        checks.append(&steps);
        said
    }

    /// Our signed answer to a LogoutRequest, with its RelayState as it came (Bindings §3.4.3, §3.5.3).
    pub(super) async fn logout_answer(
        &self,
        context: &Context,
        reply: &[u8],
        outcome: LogoutOutcome,
    ) -> Result<Departure, Failure> {
        let reply: Reply = serde_json::from_slice(reply)
            .map_err(|error| Failure::internal("saml.state", "a reply cannot be read").caused_by(error))?;
        let described = self.describe(context).await?;
        let address = self.answer_address(&described)?;
        // SAML Metadata §2.2.2: answers may go elsewhere
        let location = address.response_location.as_ref().unwrap_or(&address.location);
        let head = Head {
            id: &new_id(context),
            now: context.now(),
            destination: &location.written,
            issuer: &self.our_entity_id(&Addresses::beside_logout(&reply.address).callback),
        };
        let text = message::write_response(head, &reply.in_response_to, outcome).map_err(unwritten)?;
        let address = Address { location: location.clone(), ..address.clone() };
        let state = reply.relay_state.as_deref().unwrap_or_default();
        self.send_signed(&address, Kind::Response, &text, state)
    }

    /// Sends the browser to the provider to sign out there: if it has an address for that, the settings want it, we
    /// can sign, and the session says whom it means.
    pub(super) async fn logout_begun(
        &self,
        context: &Context,
        wish: &LogoutWish,
    ) -> Result<Option<Begun>, Failure> {
        let Some(name) = wish.name.as_deref().and_then(message::written) else { return Ok(None) };
        if !self.signs_out() {
            return Ok(None);
        }
        let described = self.describe(context).await?;
        let Some(address) = self.logout_address(&described) else { return Ok(None) };
        let id = new_id(context);
        let head = Head {
            id: &id,
            now: context.now(),
            destination: &address.location.written,
            issuer: &self.our_entity_id(&Addresses::beside_logout(&wish.address).callback),
        };
        let text = message::write_request(head, &name, wish.session.as_deref()).map_err(unwritten)?;
        let departure = self.send_signed(address, Kind::Request, &text, &wish.state)?;
        let state = serde_json::to_vec(&Remembered { id }).map_err(|error| {
            Failure::internal("saml.state", "a logout cannot be written").caused_by(error)
        })?;
        Ok(Some(Begun { departure, state: Zeroizing::new(state) }))
    }

    /// Whether single logout is wanted, and possible: its messages are signed.
    pub(super) fn signs_out(&self) -> bool {
        self.settings.single_logout && self.keys.current.is_some()
    }

    /// Where logouts go at the provider: by the binding of the settings if it has that, else by the other one.
    fn logout_address<'a>(&self, described: &'a Described) -> Option<&'a Address> {
        described.slo_by(self.settings.request_binding).or_else(|| described.slo_by(None))
    }

    /// The same for our answers, which must go somewhere.
    fn answer_address<'a>(&self, described: &'a Described) -> Result<&'a Address, Failure> {
        self.logout_address(described).ok_or_else(|| {
            refused("saml.metadata.role", "the provider has no address for answers to its logouts")
                .expected("a SingleLogoutService in its metadata, or `slo_url`", "none")
        })
    }

    /// What a session remembers of the name that an answer gave.
    pub(super) fn logout_name(&self, name: &NameId, entity_id: &str) -> Option<UpstreamName> {
        message::remembered(name, &self.settings.entity_id, entity_id)
    }
}

fn new_id(context: &Context) -> String {
    // 160 random bits (SAML Core §1.3.4); an ID begins with no digit
    format!("_{}", super::hex(&context.bytes::<20>()))
}

fn unwritten(error: std::io::Error) -> Failure {
    Failure::internal("saml.request", "a message cannot be written").caused_by(error)
}

fn element(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => "LogoutRequest",
        Kind::Response => "LogoutResponse",
    }
}

/// The one message, still encoded.
fn only<'a>(message: &'a LogoutMessage, checks: &mut Checks<'_>) -> Result<(Kind, &'a str), Failure> {
    let value = |kind: Kind| message.parameters.get(kind.parameter());
    match (value(Kind::Request), value(Kind::Response)) {
        (Some(value), None) => Ok((Kind::Request, value)),
        (None, Some(value)) => Ok((Kind::Response, value)),
        (both, _) => {
            let received = if both.is_some() { "both" } else { "none" };
            let failure = Failure::invalid_request("upstream.logout_request", "there is not one message");
            Err(checks.fail(failure.expected("SAMLRequest or SAMLResponse", received)))
        }
    }
}

/// Reads the message by the binding of the method, and whom it says it comes from. Anybody can send one that inflates to
/// all that a message may be, so this is done aside too.
async fn received(
    message: &LogoutMessage,
    kind: Kind,
    value: &str,
) -> Result<(Received, Option<String>), Failure> {
    let (method, value) = (message.method, value.to_owned());
    let query = message.query.clone();
    let relay_state = message.parameters.get("RelayState").cloned();
    aside(move || {
        let bytes = match method {
            CallbackMethod::Get => open::inflate(&value)?,
            CallbackMethod::Post => open::decode_form(&value)?,
        };
        let issuer = {
            let document = xml::parse(xml::decode(&bytes, &xml::MESSAGE)?)?;
            message::claimed_issuer(document.root_element())
        };
        Ok((Received { kind, method, query, bytes, relay_state }, issuer))
    })
    .await
}

/// The request of ours that a LogoutResponse answers, if this browser left for it.
fn remembered(message: &LogoutMessage, checks: &mut Checks<'_>) -> Result<Remembered, Failure> {
    let open = message.pending.as_ref().and_then(|state| serde_json::from_slice(state).ok());
    open.ok_or_else(|| {
        let failure = refused("saml.in_response_to", "this browser waits for no answer to a logout");
        checks.fail(failure.expected("an answer to a logout that this browser took there", "another one"))
    })
}

/// Verifies the signature of a message, by redirect over the raw query, by form within it.
/// Gives what held of it, step by step.
async fn opened(received: Received, trust: Trust) -> (Trace, Result<String, Failure>) {
    let outcome = aside(move || {
        let mut steps = Trace::default();
        let checks = &mut Checks::new(&mut steps);
        let whole = (ns::PROTOCOL, element(received.kind));
        let text = match received.method {
            CallbackMethod::Post => open::verify_root(&received.bytes, &xml::MESSAGE, whole, &trust, checks),
            CallbackMethod::Get => opened_query(&received, &trust, checks),
        };
        Ok((steps, text))
    });
    outcome.await.unwrap_or_else(|failure| (Trace::default(), Err(failure)))
}

fn opened_query(received: &Received, trust: &Trust, checks: &mut Checks<'_>) -> Result<String, Failure> {
    let signed = query::verify(received.kind, &received.query, trust)?;
    let how = format!("{}, over the query", open::short(signed.algorithm.uri()));
    open::held(element(received.kind), how, signed.by, trust, checks);
    // The signed octets are what counts, however others read the query.
    let bytes = open::inflate(&signed.message)?;
    // An empty parameter counts as one that was not sent.
    let relay_state = signed.relay_state.filter(|state| !state.is_empty());
    if bytes != received.bytes || relay_state != received.relay_state {
        return Err(refused("saml.sig.invalid", "the query is read in two ways"));
    }
    let text = xml::decode(&bytes, &xml::MESSAGE)?;
    let document = xml::parse(text)?;
    // Bindings §3.4.4.1: no signature within a message that travels so
    if shape::message(&document, ns::PROTOCOL, element(received.kind), trust)?.is_some() {
        return Err(refused("saml.message.shape", "a message by redirect is signed within itself"));
    }
    Ok(text.to_owned())
}
