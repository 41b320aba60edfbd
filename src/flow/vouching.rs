//! What a vouched identity becomes: one transaction in which the state is used up and the person becomes an
//! account with a session.

use crate::accounts::reconcile::{Asserted, reconcile_emails};
use crate::accounts::required;
use crate::accounts::{
    Account, AccountEmail, AccountStatus, Assignment, EmailAddress, Given, Identity, Invitation, Profile,
    Provenance, Required, Target,
};
use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::context::Timestamp;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::browser::Browser;
use crate::flow::sessions::{self, SignIn, SignedIn};
use crate::flow::state::{self, Joining, start_again};
use crate::flow::{App, Snapshot, said, upstream_logout};
use crate::ids::{AccountId, ClientId, IdentityId, ProviderId, SessionId};
use crate::linking::{self, Decision, EmailFact};
use crate::sessions::Proof;
use crate::store::{StoreError, Turn, Tx};
use crate::tokens::handle::{BrowserName, Digest, Handle, SessionSecret};
use crate::upstream::identity::ExternalIdentity;
use crate::upstream::registry::Registry;
use crate::upstream::{Entry, Linking, ProfileRefresh, ProviderPolicy, Upstream, Vouched};
use std::collections::BTreeSet;
use std::sync::Arc;

mod facts;
mod record;

/// Everything that the vouching transaction needs: plain data, so that it can be decided again.
#[derive(Clone)]
pub(super) struct Vouching {
    vouched: Vouched,
    policy: ProviderPolicy,
    /// The provider, for what its settings say of names.
    upstream: Arc<dyn Upstream>,
    /// All providers, for those that proved an address before.
    upstreams: Arc<Registry>,
    client: ClientId,
    /// An invitation that the browser brings.
    invitation: Option<Digest>,
    /// An identity that waits for this sign-in.
    joining: Option<Joining>,
    /// Digest of the departure's handle, and until when it must be remembered.
    attempt: (Digest, Timestamp),
    /// What must be known of the person, and what they told.
    required: BTreeSet<Required>,
    given: Given,
    /// When the provider vouched, if its person was asked something since; then the answer is used up already.
    asked_since: Option<Timestamp>,
    session: SignInParts,
    new_account: AccountId,
    new_identity: IdentityId,
    joined_identity: IdentityId,
    now: Timestamp,
}

/// What is known of the session before it is known whose it is.
#[derive(Clone)]
struct SignInParts {
    brought: Option<Digest>,
    browser: Handle<BrowserName>,
    new_id: SessionId,
    idle: std::time::Duration,
    absolute: std::time::Duration,
}

/// Gathers what the transaction needs.
pub(super) fn vouching(
    app: &App,
    snapshot: &Snapshot,
    browser: &Browser,
    entry: &Entry,
    flow: &state::FlowState,
    vouched: Vouched,
    attempt: &Digest,
) -> Vouching {
    let settings = &snapshot.settings;
    Vouching {
        vouched,
        policy: entry.policy.clone(),
        upstream: entry.upstream.clone(),
        upstreams: snapshot.upstreams.clone(),
        client: flow.request.client.clone(),
        invitation: flow.invited(browser),
        joining: flow.joining.clone(),
        attempt: (attempt.clone(), flow.expires_at.plus(settings.sign_in.skew)),
        required: required(snapshot, &entry.policy),
        given: Given::default(),
        asked_since: None,
        session: SignInParts {
            brought: browser.traces().secret,
            browser: browser.name.clone().unwrap_or_else(|| Handle::new(&app.context)),
            new_id: app.context.session_id(),
            idle: settings.sessions.idle,
            absolute: settings.sessions.absolute,
        },
        new_account: app.context.account_id(),
        new_identity: app.context.identity_id(),
        joined_identity: app.context.identity_id(),
        now: app.context.now(),
    }
}

/// What must be known of a provider's people.
fn required(snapshot: &Snapshot, policy: &ProviderPolicy) -> BTreeSet<Required> {
    policy.require.as_ref().unwrap_or(&snapshot.settings.accounts.require).clone()
}

impl Vouching {
    /// The person told this; the provider had vouched at that time.
    pub(super) fn answered(mut self, given: Given, vouched_at: Timestamp) -> Self {
        self.given = given;
        self.asked_since = Some(vouched_at);
        self
    }
    /// An address that the person holds with proof, and whose proof it is.
    fn email(&self) -> EmailFact<'_> {
        let identity = &self.vouched.identity;
        match (identity.verified_email(), &self.given.email, identity.email()) {
            (Some(verified), ..) => EmailFact::Verified(verified),
            (None, Some(address), _) => EmailFact::ByCode(address),
            (None, None, Some(email)) if self.policy.authoritative_for.contains(email.address().domain()) => {
                EmailFact::Unverified
            }
            (None, None, Some(_)) => EmailFact::ForeignDomain,
            (None, None, None) => EmailFact::None,
        }
    }
    fn proved(&self) -> Option<&EmailAddress> {
        match self.email() {
            EmailFact::Verified(email) => Some(email.address()),
            EmailFact::ByCode(address) => Some(address),
            _ => None,
        }
    }
    /// Whether the person, if they are new, will be asked for an address.
    fn will_prove(&self) -> bool {
        let said = self.vouched.identity.email().is_some();
        self.proved().is_none()
            && (self.required.contains(&Required::VerifiedEmail)
                || (self.required.contains(&Required::Email) && !said))
    }
}

/// What the browser takes along, and which session it has.
pub(super) struct Entrance {
    /// The session's new secret.
    pub secret: Handle<SessionSecret>,
    /// The browser's name.
    pub browser: Handle<BrowserName>,
    /// The session.
    pub session: SignedIn,
}

/// What came of it.
pub(super) enum Settled {
    /// The person is signed in.
    SignedIn(Entrance),
    /// The person must first tell this. Nothing is written of them.
    Missing(BTreeSet<Required>),
}

/// Why the transaction was given up.
enum Undone {
    Store(StoreError),
    Refused(Failure),
    /// The owner of an account must sign in the old way first; then this identity may join it.
    ProofNeeded(Failure, Option<Box<Joining>>),
    /// The person was asked, and must tell more.
    Missing(BTreeSet<Required>),
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// How often a transaction is tried that others came between.
const TRIES: u32 = 3;

/// Runs the vouching transaction; if another one came between (two first sign-ins at once, an unlinking), again on
/// the facts as they are then.
pub(super) async fn vouch(app: &App, request: Vouching) -> Result<Settled, (Failure, Option<Box<Joining>>)> {
    let secret = sessions::new_secret(app);
    let mut tries = 0;
    loop {
        tries += 1;
        let (request, digest) = (request.clone(), secret.digest());
        let browser = request.session.browser.clone();
        let undone = match app.store.write(move |tx| settle(tx, &request, digest)).await {
            Ok(Ok(session)) => return Ok(Settled::SignedIn(Entrance { secret, browser, session })),
            Ok(Err(missing)) => return Ok(Settled::Missing(missing)),
            Err(undone) => undone,
        };
        match undone {
            Undone::Refused(failure) => return Err((failure, None)),
            Undone::ProofNeeded(failure, joining) => return Err((failure, joining)),
            Undone::Missing(missing) => return Ok(Settled::Missing(missing)),
            Undone::Store(StoreError::Conflict(_)) if tries < TRIES => {}
            Undone::Store(error) => return Err((error.into(), None)),
        }
    }
}

/// Uses up the provider's answer, or the right to tell what was missing.
fn use_up(tx: &mut Tx<'_>, request: &Vouching) -> Result<(), Undone> {
    let (attempt, until) = &request.attempt;
    if request.asked_since.is_some() {
        if !tx.use_once("person", attempt, *until)? {
            let note = "what was missing was told already";
            return Err(Undone::Refused(start_again("person.answered", note)));
        }
        return Ok(());
    }
    if let Some(replay) = &request.vouched.replay {
        // The provider's id keeps two providers' values apart.
        let digest = Digest::of(&format!("{}\n{}", request.vouched.identity.provider(), replay.what));
        if !tx.use_once("replay", &digest, replay.until)? {
            let note = "the provider's answer was accepted before";
            return Err(Undone::Refused(start_again(replay.reason, note)));
        }
    }
    if !tx.use_once("state", attempt, *until)? {
        return Err(Undone::Refused(start_again("oidc.state", "the state was used already")));
    }
    Ok(())
}

/// The transaction: use up the answer, load the facts, decide, write; or, inside, what is missing.
fn settle(
    tx: &mut Tx<'_>,
    request: &Vouching,
    secret: Digest,
) -> Result<Result<SignedIn, BTreeSet<Required>>, Undone> {
    let identity = &request.vouched.identity;
    // Of two answers to one browser, the later one sees the session that the earlier one began.
    tx.take_turn(&[request.session.browser.digest()], Turn::Alone)?;
    use_up(tx, request)?;
    if upstream_logout::ended_already(tx, identity, request.now)? {
        let note = "the provider signed the person out before the sign-in was finished";
        return Err(Undone::Refused(start_again("upstream.session_ended", note)));
    }
    if identity.authentication().session_ends.is_some_and(|ends| ends <= request.now) {
        let note = "the provider's session ended while its person was asked";
        return Err(Undone::Refused(start_again("upstream.session_ended", note)));
    }
    let linked = facts::linked(tx, identity.key())?;
    let known = match &linked {
        Some(linked) => tx.account(&linked.account)?.map(|account| facts::known(&account)),
        None => None,
    };
    let holders = facts::holders(tx, request)?;
    let invitation = match &request.invitation {
        Some(digest) => tx.invitation(digest)?,
        None => None,
    };
    let invitation = invitation.filter(|i| {
        // Whoever will be asked for an address may yet prove the one that was invited.
        let proved = if request.will_prove() { i.email.as_ref() } else { request.proved() };
        i.admits(identity.provider(), proved, request.now)
    });
    let decision = linking::decide(&linking::Facts {
        known: known.as_ref(),
        email: request.email(),
        holders: &holders,
        joins_silently: request.policy.linking == Linking::VerifiedEmail,
        admission: facts::admission(&request.vouched, &request.policy, invitation.is_some()),
    });
    if let Decision::Link(account) = &decision {
        tx.hold_account(account)?;
        // what the decision rests on may have changed while we waited
        if facts::holders(tx, request)? != holders {
            return Err(StoreError::Conflict("holders").into());
        }
    }
    let before = match &decision {
        Decision::Existing(id) | Decision::Link(id) => tx.account(id)?,
        _ => None,
    };
    let (profile, emails) = match (&decision, &before) {
        (Decision::Create { proved, .. }, _) => first(request, *proved),
        (_, Some(account)) => refreshed(tx, request, account)?,
        (_, None) => (Profile::default(), Vec::new()),
    };
    let missing = required::missing(&request.required, &profile, &emails);
    let (profile, emails) = required::completed(&request.required, profile, emails, &request.given);
    let signs_in = matches!(decision, Decision::Existing(_) | Decision::Link(_) | Decision::Create { .. });
    if signs_in && !required::missing(&request.required, &profile, &emails).is_empty() {
        // The answer is used up by the first; what was told is not used up by telling half of it.
        return if request.asked_since.is_some() { Err(Undone::Missing(missing)) } else { Ok(Err(missing)) };
    }
    let (account, identity_id) = match decision {
        Decision::Existing(account) => {
            let id = linked.map_or_else(|| request.new_identity.clone(), |linked| linked.id);
            tx.touch_identity(&id, label(identity).as_deref(), request.now)?;
            update(tx, request, before, &missing, profile, emails)?;
            if let Some(joining) = &request.joining
                && joining.owner == account
            {
                join(tx, request, joining)?;
            }
            (account, id)
        }
        Decision::Link(account) => {
            link(tx, request, &account)?;
            linked_now(tx, request, &account, identity.provider(), "link.verified_email")?;
            update(tx, request, before, &missing, profile, emails)?;
            (account, request.new_identity.clone())
        }
        Decision::Create { declined, invited, .. } => {
            create(tx, request, (profile, emails), &missing, declined)?;
            if invited && let Some(invitation) = &invitation {
                welcome(tx, request, invitation)?;
            }
            (request.new_account.clone(), request.new_identity.clone())
        }
        Decision::AskForProof { reason, owner } => {
            let joining = owner.map(|owner| {
                Box::new(Joining {
                    owner,
                    key: identity.key().clone(),
                    label: label(identity),
                    vouched_at: request.asked_since.unwrap_or(request.now),
                })
            });
            return Err(Undone::ProofNeeded(linking::proof_needed(reason), joining));
        }
        Decision::Refuse(refusal) => return Err(Undone::Refused(facts::told(refusal.failure(), request))),
    };
    // Held until the commit: a suspension cannot slip in between decision and session.
    if tx.hold_account(&account)? != Some(AccountStatus::Active) {
        return Err(Undone::Refused(linking::Refusal::NotActive.failure()));
    }
    let changed = record::assign(tx, request, &account)?;
    let signed_in = sessions::sign_in(tx, &session_of(request, &account, identity_id, secret))?;
    let kind = if signed_in.renewed { AuditKind::SessionRenewed } else { AuditKind::SessionStarted };
    let event = AuditEvent::new(request.now, kind, Actor::Person(account.clone()))
        .account(&account)
        .client(&request.client)
        .provider(identity.provider())
        .data(record::changed_and_passed_over(changed, &request.vouched.remarks));
    tx.append_audit(&event)?;
    Ok(Ok(signed_in))
}

fn session_of(request: &Vouching, account: &AccountId, identity: IdentityId, secret: Digest) -> SignIn {
    let external = &request.vouched.identity;
    let said = external.authentication();
    SignIn {
        account: account.clone(),
        proof: Proof {
            provider: external.provider().clone(),
            issuer: external.key().issuer.clone(),
            identity,
            auth_time: said.auth_time.or(request.asked_since).unwrap_or(request.now),
            auth_time_asserted: said.auth_time.is_some(),
            acr: said.acr.clone(),
            amr: said.amr.clone(),
            upstream_session: said.upstream_session.clone(),
            upstream_name: said.upstream_name.clone(),
        },
        brought: request.session.brought.clone(),
        browser: request.session.browser.digest(),
        new_id: request.session.new_id.clone(),
        new_secret: secret,
        now: request.now,
        idle: request.session.idle,
        absolute: said
            .session_ends
            .map_or(request.session.absolute, |ends| request.session.absolute.min(ends.since(request.now))),
    }
}

/// What people recognise an identity by.
fn label(identity: &ExternalIdentity) -> Option<String> {
    let address = identity.email().map(|email| email.address().as_str().to_owned());
    let profile = identity.profile();
    address.or_else(|| profile.preferred_username.clone()).or_else(|| profile.name.clone())
}

fn link(tx: &mut Tx<'_>, request: &Vouching, account: &AccountId) -> Result<(), StoreError> {
    let identity = &request.vouched.identity;
    tx.insert_identity(&Identity {
        id: request.new_identity.clone(),
        account: account.clone(),
        key: identity.key().clone(),
        label: label(identity),
        linked_at: request.now,
        last_used_at: request.now,
    })
}

/// Joins the identity for which this account's owner was asked for proof, which has now come. If it belongs
/// to an account by now, it stays there; if its provider is off or another one by now, or has told since that the person
/// wants nothing more of us, nothing is joined.
fn join(tx: &mut Tx<'_>, request: &Vouching, joining: &Joining) -> Result<(), StoreError> {
    let provider = request.upstreams.get(&joining.key.provider).filter(|entry| entry.policy.enabled);
    if provider.is_none_or(|entry| !entry.settings().kind.may_be_issuer(&joining.key.issuer))
        || upstream_logout::ended_since(tx, &joining.key, joining.vouched_at, request.now)?
    {
        return Ok(());
    }
    if tx.identity(&joining.key)?.is_some() {
        return Ok(());
    }
    tx.insert_identity(&Identity {
        id: request.joined_identity.clone(),
        account: joining.owner.clone(),
        key: joining.key.clone(),
        label: joining.label.clone(),
        linked_at: request.now,
        last_used_at: request.now,
    })?;
    linked_now(tx, request, &joining.owner, &joining.key.provider, "link.proved")
}

/// A new way in: whoever was in by another one must come again, so that nobody who does not know of it goes
/// on unseen (pre-hijacked accounts).
fn linked_now(
    tx: &mut Tx<'_>,
    request: &Vouching,
    account: &AccountId,
    provider: &ProviderId,
    reason: &'static str,
) -> Result<(), StoreError> {
    tx.end_sessions_of(account, request.now)?;
    tx.revoke_grants_of_account(account, request.now)?;
    let event = AuditEvent::new(request.now, AuditKind::IdentityLinked, Actor::Person(account.clone()));
    tx.append_audit(&event.account(account).provider(provider).reason(reason))
}

/// A new account's profile and addresses, as the provider gives them.
fn first(request: &Vouching, proved: bool) -> (Profile, Vec<AccountEmail>) {
    let identity = &request.vouched.identity;
    let proved = proved && identity.verified_email().is_some();
    let asserted = asserted(request, proved);
    let profile = match request.policy.profile_refresh {
        ProfileRefresh::Never => Profile::default(),
        _ => identity.profile().clone(),
    };
    (profile, reconcile_emails(&[], identity.provider(), asserted, true))
}

fn create(
    tx: &mut Tx<'_>,
    request: &Vouching,
    (profile, emails): (Profile, Vec<AccountEmail>),
    missing: &BTreeSet<Required>,
    declined: Option<&'static str>,
) -> Result<(), StoreError> {
    let identity = &request.vouched.identity;
    let account = Account {
        id: request.new_account.clone(),
        status: AccountStatus::Active,
        profile,
        emails,
        created_at: request.now,
        updated_at: request.now,
    };
    tx.insert_account(&account)?;
    link(tx, request, &account.id)?;
    said::note_sign_in(tx, &account.id, identity, &Profile::default(), &account.profile, &account.emails)?;
    let mut event =
        AuditEvent::new(request.now, AuditKind::AccountCreated, Actor::Person(account.id.clone()))
            .account(&account.id)
            .provider(identity.provider())
            .data(by_person(missing));
    if let Some(reason) = declined {
        event = event.reason(reason);
    }
    tx.append_audit(&event)
}

/// What the person told themselves, for the audit record: by its kind alone.
fn by_person(missing: &BTreeSet<Required>) -> serde_json::Value {
    if missing.is_empty() {
        return serde_json::Value::Null;
    }
    serde_json::json!({ "by_person": missing.iter().map(|what| what.as_str()).collect::<Vec<_>>() })
}

/// Uses the invitation up, and gives the new account what it promised.
fn welcome(tx: &mut Tx<'_>, request: &Vouching, invitation: &Invitation) -> Result<(), Undone> {
    if tx.consume_invitation(&invitation.digest, request.now)?.is_none() {
        // Somebody else used it since it was read: no account by it.
        return Err(Undone::Refused(linking::Refusal::NotAdmitted("provider.invitation").failure()));
    }
    for group in &invitation.groups {
        let provenance = Provenance::Admin(invitation.created_by.clone());
        let assignment = Assignment { target: Target::Group(group.clone()), provenance };
        tx.add_assignment(&request.new_account, &assignment, request.now)?;
    }
    let actor = Actor::Person(request.new_account.clone());
    let event = AuditEvent::new(request.now, AuditKind::InvitationUsed, actor);
    tx.append_audit(&event.account(&request.new_account).provider(request.vouched.identity.provider()))?;
    Ok(())
}

/// An account's profile and addresses with what the provider says now. A person with several identities keeps what
/// another one said where this one is silent.
fn refreshed(
    tx: &mut Tx<'_>,
    request: &Vouching,
    account: &Account,
) -> Result<(Profile, Vec<AccountEmail>), StoreError> {
    let identity = &request.vouched.identity;
    let only_identity = tx.identities_of(&account.id)?.iter().all(|other| other.key == *identity.key());
    let profile = match request.policy.profile_refresh {
        ProfileRefresh::Once | ProfileRefresh::Never => account.profile.clone(),
        ProfileRefresh::Always if only_identity => identity.profile().clone().instead_of(&account.profile),
        ProfileRefresh::Always | ProfileRefresh::Keep => identity.profile().clone().or(&account.profile),
    };
    let proved = match identity.verified_email() {
        Some(email) => held_by_nobody_else(tx, email.address(), &account.id)?,
        None => false,
    };
    let emails =
        reconcile_emails(&account.emails, identity.provider(), asserted(request, proved), only_identity);
    Ok((profile, emails))
}

/// The provider's word about the address.
fn asserted(request: &Vouching, proved: bool) -> Option<Asserted<'_>> {
    request.vouched.identity.email().map(|email| Asserted {
        address: email.address(),
        proved,
        foreign: !request.policy.authoritative_for.contains(email.address().domain()),
    })
}

fn held_by_nobody_else(
    tx: &mut Tx<'_>,
    address: &EmailAddress,
    account: &AccountId,
) -> Result<bool, StoreError> {
    Ok(tx.accounts_by_proved_email(address.canonical())?.iter().all(|other| other == account))
}

/// Writes what changed of an account that exists.
fn update(
    tx: &mut Tx<'_>,
    request: &Vouching,
    before: Option<Account>,
    missing: &BTreeSet<Required>,
    profile: Profile,
    emails: Vec<AccountEmail>,
) -> Result<(), Undone> {
    let Some(account) = before else { return Ok(()) };
    if let Some(address) = request.given.email.as_ref().filter(|_| required::has_email(missing))
        && !held_by_nobody_else(tx, address, &account.id)?
    {
        // The person may be both. They can sign in the other way; nothing is merged behind their back.
        return Err(Undone::Refused(Failure::new(
            OAuthCode::AccessDenied,
            "person.address_taken",
            UserMessage::ProofNeeded,
            "another account holds the address that the person proved by a code",
        )));
    }
    if profile != account.profile {
        tx.update_profile(&account.id, &profile, request.now)?;
    }
    said::note_sign_in(tx, &account.id, &request.vouched.identity, &account.profile, &profile, &emails)?;
    if emails != account.emails {
        tx.replace_emails(&account.id, &emails)?;
    }
    if !missing.is_empty() {
        let actor = Actor::Person(account.id.clone());
        let event = AuditEvent::new(request.now, AuditKind::AccountChanged, actor).account(&account.id);
        tx.append_audit(&event.data(by_person(missing)))?;
    }
    Ok(())
}
