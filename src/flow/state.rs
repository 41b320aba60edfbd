//! The state of a sign-in in progress. It is sealed into a cookie of the browser that began it; only a handle
//! travels. Before a provider has vouched it leaves no trace in the database, so strangers cannot fill it.
//!
//! The handle's first 16 characters name the cookie, and the seal is bound to them. Each departure to a
//! provider gets a handle of its own (a sibling) as its `state`, so an answer fits one departure only.

use crate::accounts::{EmailAddress, Given, IdentityKey, PersonName, Required};
use crate::context::Timestamp;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::App;
use crate::flow::browser::{Browser, Changes, FlowCookie};
use crate::ids::{AccountId, IdentityId, ProviderId, SessionId};
use crate::protocol::{AuthorizationRequest, ClaimsRequest};
use crate::store::StoreError;
use crate::tokens::handle::{Digest, Flow, Handle};
use crate::upstream::identity::Waiting;
use crate::upstream::{Entry, Vouched};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The purposes under which something of this kind is sealed, so that none passes for another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose {
    /// For the browser's cookie.
    pub cookie: &'static str,
    /// For the database, where it is too large for a cookie.
    pub row: &'static str,
}
/// Those of flows.
const FLOW: Purpose = Purpose { cookie: "flow", row: "flow.pending" };
/// The largest cookie, in bytes; browsers keep 4 KiB with name and attributes (RFC 6265 §6.1).
const LARGEST: usize = 3 * 1024;
/// For how long after its end a flow still leads back to the application.
const LATE: Duration = Duration::from_secs(24 * 3600);
/// Within which so many rows may be made for one address; no row lives longer.
const WINDOW: Duration = Duration::from_secs(3600);
/// What stands before the key of a flow that was too large for a cookie.
const ROW: &str = "row.";

/// Everything about one sign-in in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlowState {
    /// The whole handle.
    handle: String,
    /// What the application asked for.
    pub request: AuthorizationRequest,
    /// The provider that the application named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp_hint: Option<String>,
    /// Only this person will do, by the `sub` that the application knows; from a verified `id_token_hint`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Digest of the invitation that the browser had when it left for a provider: an answer by POST from another site
    /// brings no cookie of ours but the flow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<String>,
    /// It began with an answer that nobody here had asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unasked: bool,
    /// A provider was tried, or the person wants the list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub list_wanted: bool,
    /// An identity that waits to be joined to an account whose owner must first sign in the old way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joining: Option<Joining>,
    /// Digest of the pushed request that it began with, which is used up when a code is issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<String>,
    /// How far it has come.
    pub stage: Stage,
}

/// An identity that a provider vouched for within this sign-in, and the account that it waits for. It is
/// bound to both, and to the browser and the sign-in by where it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joining {
    /// The account whose owner was asked for proof.
    pub owner: AccountId,
    /// The identity.
    pub key: IdentityKey,
    /// What people recognise it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When its provider vouched for it.
    pub vouched_at: Timestamp,
}

/// How far a sign-in has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nobody is signed in for it yet.
    Choosing,
    /// The browser is at a provider.
    Away(Box<Away>),
    /// A provider has vouched; the person is asked for what it did not tell.
    Asking(Box<Asking>),
    /// A session meets its demand: made for it, or found to fit.
    Settled {
        /// The session.
        session: SessionId,
        /// By which identity the proof in it was made that meets the demand.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<IdentityId>,
        /// Whether they agreed to the request.
        consented: bool,
    },
    /// It was answered. What is left leads people back to the application.
    Finished,
}

/// A departure to a provider.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Away {
    /// Which provider.
    pub provider: ProviderId,
    /// Its issuer as the settings wrote it: what was asked of one is nothing for another that takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Digest of the handle that travels as its `state`.
    pub attempt: String,
    /// What the provider's kind must remember, base64url.
    pub state: String,
    /// When the browser left.
    pub left_at: Timestamp,
}

/// What a provider vouched for, and what its person is asked and has told since. It lives only as long as the
/// sign-in, sealed for its browser like all of the flow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asking {
    /// Who the provider says they are.
    identity: Waiting,
    /// Whether the provider's claim filter lets a new account be made.
    passes_filter: bool,
    /// What was passed over.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    remarks: BTreeSet<String>,
    /// Digest of the departure's handle: it can be ended once, and codes are bound to it.
    pub attempt: String,
    /// When the provider vouched.
    pub vouched_at: Timestamp,
    /// Digest of the provider's settings by which it was believed.
    settings: String,
    /// What is asked.
    pub wanted: BTreeSet<Required>,
    /// The name that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<PersonName>,
    /// The address that was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailAddress>,
    /// What is known of it.
    #[serde(default)]
    pub proof: CodeProof,
}

/// How far the proof of an address has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeProof {
    /// It was merely told.
    #[default]
    None,
    /// A code went there.
    Sent,
    /// The code came back.
    Proved,
}

fn digest_of(entry: &Entry) -> String {
    Digest::of(&format!("{:?}", entry.settings())).as_str().to_owned()
}

impl Asking {
    /// Puts away what was vouched for.
    pub fn of(vouched: &Vouched, entry: &Entry, attempt: &Digest, now: Timestamp) -> Self {
        Self {
            settings: digest_of(entry),
            identity: Waiting::of(&vouched.identity),
            passes_filter: vouched.passes_filter,
            remarks: vouched.remarks.clone(),
            attempt: attempt.as_str().to_owned(),
            vouched_at: now,
            wanted: BTreeSet::new(),
            name: None,
            email: None,
            proof: CodeProof::None,
        }
    }
    /// What was vouched for, again. The answer itself is used up.
    pub fn vouched(&self) -> Vouched {
        Vouched {
            identity: self.identity.identity(),
            passes_filter: self.passes_filter,
            remarks: self.remarks.clone(),
            replay: None,
        }
    }
    /// Whether the provider would be believed by the same settings now.
    ///
    /// # Errors
    /// `provider.changed`.
    pub fn still_holds(&self, entry: &Entry) -> Result<(), Failure> {
        if digest_of(entry) == self.settings {
            return Ok(());
        }
        let note = "the provider's settings have changed since it vouched for the person";
        Err(start_again("provider.changed", note))
    }
    /// The departure that this belongs to.
    pub fn attempt(&self) -> Digest {
        Digest::from_stored(self.attempt.clone())
    }
    /// What the person told, as far as it counts.
    pub fn given(&self) -> Given {
        let proved = self.proof == CodeProof::Proved;
        Given { name: self.name.clone(), email: self.email.clone().filter(|_| proved) }
    }
}

impl FlowState {
    /// A sign-in that begins now, and its handle.
    pub fn begin(app: &App, request: AuthorizationRequest, lifetime: Duration) -> Self {
        let now = app.context.now();
        Self {
            handle: Handle::<Flow>::new(&app.context).expose().to_owned(),
            request,
            idp_hint: None,
            subject: None,
            begun_at: now,
            expires_at: now.plus(lifetime),
            invitation: None,
            unasked: false,
            list_wanted: false,
            joining: None,
            pushed: None,
            stage: Stage::Choosing,
        }
    }
    /// The handle for links and forms.
    pub fn handle(&self) -> Result<Handle<Flow>, Failure> {
        Handle::parse(&self.handle)
            .ok_or_else(|| Failure::internal("flow.state", "a sealed flow has a broken handle"))
    }
    /// What is used up when the flow is answered.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.handle)
    }
    /// Digest of the invitation that was brought, now or when the browser left for the provider.
    pub fn invited(&self, browser: &Browser) -> Option<Digest> {
        let left_with = || self.invitation.clone().map(Digest::from_stored);
        browser.invitation.as_ref().map(Handle::digest).or_else(left_with)
    }
    /// Whether this session was found to meet its demand.
    pub fn settled_with(&self, session: &SessionId) -> bool {
        matches!(&self.stage, Stage::Settled { session: with, .. } if with == session)
    }
    /// By which identity this session was found to meet its demand.
    pub fn settled_by(&self, session: &SessionId) -> Option<&IdentityId> {
        match &self.stage {
            Stage::Settled { session: with, by, .. } if with == session => by.as_ref(),
            _ => None,
        }
    }
    /// This session meets its demand, by a proof of this identity. Consent that was given with it stands; with another
    /// one, it is due anew.
    pub fn settle(&mut self, session: SessionId, by: IdentityId) {
        let consented = self.settled_with(&session) && self.consented();
        self.stage = Stage::Settled { session, by: Some(by), consented };
    }
    /// The person agreed to the request.
    pub fn agree(&mut self) {
        if let Stage::Settled { consented, .. } = &mut self.stage {
            *consented = true;
        }
    }
    /// Whether the person agreed to the request within this flow.
    pub fn consented(&self) -> bool {
        matches!(self.stage, Stage::Settled { consented: true, .. })
    }
    /// What is left once the flow is answered: enough to lead back to the application.
    pub fn finish(&mut self) {
        self.stage = Stage::Finished;
        self.joining = None;
        self.invitation = None;
        self.request.state = None;
        self.request.nonce = None;
        self.request.challenge = None;
        self.request.login_hint = None;
        self.request.id_token_hint = None;
        self.request.claims = ClaimsRequest::default();
    }
}

/// Opens the flow of a handle that came back in a link or form of ours.
///
/// # Errors
/// `flow.handle` where the text is no handle; `browser_binding` where this browser did not begin it;
/// `flow.expired`, `flow.epoch`. Nothing is used up by any of them.
pub async fn open(
    app: &App,
    browser: &Browser,
    handle: Option<&str>,
) -> Result<FlowState, (Failure, Option<FlowState>)> {
    let none = |failure| (failure, None);
    let Some(handle) = handle.and_then(Handle::<Flow>::parse) else {
        return Err(none(start_again("flow.handle", "the handle is missing or malformed")));
    };
    let flow = open_cookie(app, browser, handle.short()).await.map_err(none)?;
    let flow = flow.ok_or_else(|| none(other_browser()))?;
    if !same(&flow.handle, handle.expose()) {
        return Err(none(other_browser()));
    }
    if let Err(over) = in_time(app, &flow) {
        return Err((over, Some(flow)));
    }
    Ok(flow)
}

/// Whether a sign-in may still go on.
fn in_time(app: &App, flow: &FlowState) -> Result<(), Failure> {
    // The database may have forgotten that it was answered.
    if flow.begun_at < app.now().epoch {
        return Err(start_again("flow.epoch", "the sign-in began before a new epoch"));
    }
    if app.context.now() >= flow.expires_at {
        return Err(start_again("flow.expired", "the sign-in took longer than is allowed"));
    }
    Ok(())
}

/// Opens the flow of a provider's answer: the departure whose `state` it carries.
///
/// # Errors
/// `oidc.state` where the state is missing, malformed, or the departure is over; `browser_binding` where
/// this browser did not depart; `flow.expired`, `flow.epoch`. Nothing is used up by any of them.
pub async fn open_answer(
    app: &App,
    browser: &Browser,
    state: Option<&str>,
) -> Result<(FlowState, Away, Digest), (Failure, Option<FlowState>)> {
    let none = |failure| (failure, None);
    let Some(attempt) = state.and_then(Handle::<Flow>::parse) else {
        return Err(none(start_again("oidc.state", "the answer's state is missing or malformed")));
    };
    let flow = open_cookie(app, browser, attempt.short()).await.map_err(none)?;
    let flow = flow.ok_or_else(|| none(other_browser()))?;
    let Stage::Away(away) = &flow.stage else {
        let over =
            start_again("oidc.state", "no departure is open: the answer was used, or the person went on");
        return Err((over, Some(flow)));
    };
    let digest = attempt.digest();
    if !same(&away.attempt, digest.as_str()) {
        let other = start_again("oidc.state", "the answer belongs to an earlier departure");
        return Err((other, Some(flow)));
    }
    if let Err(over) = in_time(app, &flow) {
        return Err((over, Some(flow)));
    }
    let away = (**away).clone();
    Ok((flow, away, digest))
}

/// Opens the cookie of a short name, whatever its stage; `None` where there is none that we sealed.
async fn open_cookie(app: &App, browser: &Browser, short: &str) -> Result<Option<FlowState>, Failure> {
    let plain = unsealed(app, browser, FLOW, short).await?;
    Ok(plain.and_then(|plain| serde_json::from_slice(&plain).ok()))
}

/// How many sign-ins this browser has at a provider that began with an answer which nobody had asked for, and left since.
///
/// # Errors
/// When the store fails.
pub(super) async fn unasked_away(
    app: &App,
    browser: &Browser,
    provider: &ProviderId,
    since: Timestamp,
) -> Result<usize, Failure> {
    let mut count = 0;
    for short in browser.flows.keys() {
        let Some(flow) = open_cookie(app, browser, short).await?.filter(|flow| flow.unasked) else {
            continue;
        };
        if let Stage::Away(away) = &flow.stage
            && away.provider == *provider
            && away.left_at >= since
        {
            count += 1;
        }
    }
    Ok(count)
}

/// What was sealed for this browser under a short name and for this purpose; `None` where there is nothing, or
/// nothing that we sealed.
///
/// # Errors
/// When the store fails.
pub(super) async fn unsealed(
    app: &App,
    browser: &Browser,
    purpose: Purpose,
    short: &str,
) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let Some(value) = browser.flows.get(short) else { return Ok(None) };
    if let Some(key) = value.strip_prefix(ROW) {
        let digest = Digest::of(key);
        let now = app.context.now();
        let row = app.store.read::<_, StoreError, _>(move |tx| tx.pending(&digest, now)).await?;
        return Ok(row.and_then(|sealed| app.sealer.open(purpose.row, key.as_bytes(), &sealed)));
    }
    let Ok(sealed) = URL_SAFE_NO_PAD.decode(value) else { return Ok(None) };
    Ok(app.sealer.open(purpose.cookie, short.as_bytes(), &sealed))
}

/// Seals something for this browser under a short name; the cookie's value. What is too large for a cookie
/// becomes a row, of which an address may make so many in an hour: whoever sends large requests on and on fills no database,
/// and stops nobody at another address.
///
/// # Errors
/// `flow.address_full`; when sealing fails, or the row cannot be stored.
pub(super) async fn sealed(
    app: &App,
    browser: &Browser,
    purpose: Purpose,
    short: &str,
    plain: &[u8],
    expires_at: Timestamp,
) -> Result<String, Failure> {
    let sealed = app.sealer.seal(purpose.cookie, short.as_bytes(), plain, &app.context)?;
    let value = URL_SAFE_NO_PAD.encode(sealed);
    if value.len() <= LARGEST {
        return Ok(value);
    }
    // One row for a name: a later state takes the place of the earlier one, if it is still there.
    let earlier = browser.flows.get(short).and_then(|value| value.strip_prefix(ROW)).map(str::to_owned);
    let earlier = earlier.map(|key| (Digest::of(&key), key));
    let replaced = earlier.as_ref().map(|(digest, _)| digest.clone());
    let key = earlier.map_or_else(|| app.context.secret_text(), |(_, key)| key);
    let digest = Digest::of(&key);
    let sealed = app.sealer.seal(purpose.row, key.as_bytes(), plain, &app.context)?;
    let (source, now) = (Digest::of(&browser.source), app.context.now());
    let most = app.now().settings.limits.large_per_address;
    let kept = app
        .store
        .write(move |tx| -> Result<_, StoreError> {
            let replaces = match &replaced {
                Some(earlier) => tx.pending(earlier, now)?.is_some(),
                None => false,
            };
            if !replaces && !tx.spend("flow_row", &source, most, WINDOW, now)? {
                return Ok(false);
            }
            tx.put_pending(&digest, &sealed, expires_at)?;
            Ok(true)
        })
        .await?;
    if !kept {
        let note = "as many large sign-ins began at this address as may in an hour";
        return Err(Failure::new(OAuthCode::SlowDown, "flow.address_full", UserMessage::TooMany, note));
    }
    Ok(format!("{ROW}{key}"))
}

/// Seals a flow for its browser. The oldest of its other flows give way if there are too many.
///
/// # Errors
/// When sealing fails, or a large flow cannot be stored.
pub async fn keep(
    app: &App,
    browser: &Browser,
    flow: &FlowState,
    cross_site: bool,
) -> Result<Changes, Failure> {
    let handle = flow.handle()?;
    let short = handle.short();
    let plain = serde_json::to_vec(flow)
        .map_err(|error| Failure::internal("flow.state", "a flow cannot be written").caused_by(error))?;
    let plain = Zeroizing::new(plain);
    let value = sealed(app, browser, FLOW, short, &plain, flow.expires_at).await?;
    let mut changes = Changes::none();
    for short in surplus(app, browser, short).await {
        changes.flows.insert(short, FlowCookie::Forget);
    }
    // Longer than the flow itself, so that whoever comes too late is led back to the application.
    let lifetime = flow.expires_at.plus(LATE).since(app.context.now());
    changes.flows.insert(short.to_owned(), FlowCookie::Keep { value, lifetime, cross_site });
    Ok(changes)
}

/// The short names of flows that must give way to `current`: those that do not open or are over, then the
/// oldest.
async fn surplus(app: &App, browser: &Browser, current: &str) -> Vec<String> {
    let room = app.now().settings.sign_in.max_open.saturating_sub(1);
    if browser.flows.keys().filter(|short| *short != current).count() <= room {
        return Vec::new();
    }
    let mut others = Vec::new();
    for short in browser.flows.keys().filter(|short| *short != current) {
        let open = open_cookie(app, browser, short).await.ok().flatten();
        let begun = open.filter(|f| !matches!(f.stage, Stage::Finished) && app.context.now() < f.expires_at);
        others.push((begun.map(|f| f.begun_at), short.clone()));
    }
    // Newest first; `None` (of no use any more) sorts last.
    others.sort_by_key(|(begun, _)| std::cmp::Reverse(*begun));
    others.split_off(room.min(others.len())).into_iter().map(|(_, short)| short).collect()
}

pub(super) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// The sign-in is over; the person can start another.
pub fn start_again(reason: &'static str, note: &'static str) -> Failure {
    Failure::new(OAuthCode::InvalidRequest, reason, UserMessage::StartAgain, note)
}

fn other_browser() -> Failure {
    Failure::new(
        OAuthCode::InvalidRequest,
        "browser_binding",
        UserMessage::OtherBrowser,
        "this browser did not begin the sign-in, or has lost its cookie",
    )
}
