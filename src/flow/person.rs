//! What a provider did not tell and the configuration requires: the person is asked, once the provider has vouched
//! and before there is an account or a session. An address is proved by a code ([`super::email_code`]).
//!
//! All that was told waits in the browser's sealed flow. Nothing shows whether an address belongs to anybody here
//! until its owner has brought a code back from it.

use crate::accounts::required::has_email;
use crate::accounts::{EmailAddress, PersonName, Required};
use crate::clients::Client;
use crate::clients::redirect::ValidatedRedirect;
use crate::failure::{Failure, OAuthCode, UserMessage};
use crate::flow::browser::{Browser, Changes};
use crate::flow::callback::{open_provider, signed_in, turned_away};
use crate::flow::email_code::{self, Guess, Sending};
use crate::flow::refusals::{self, Concerning, Refused};
use crate::flow::state::{self, Asking, CodeProof, FlowState, Stage, start_again};
use crate::flow::vouching::{Settled, vouch, vouching};
use crate::flow::{App, Outcome, Snapshot, Step, resume};
use crate::ids::ReferenceId;
use crate::upstream::{Entry, Trace};
use std::sync::Arc;

/// What the page asks, as plain data.
#[derive(Debug)]
pub struct Question {
    /// The sign-in in progress.
    pub flow: FlowState,
    /// The application.
    pub client: Arc<Client>,
    /// Where it can be told that the person gave up.
    pub redirect: ValidatedRedirect,
    /// The name of the provider that vouched.
    pub provider: String,
    /// What the person is asked for now.
    pub asked: Asked,
    /// What was wrong with the last answer.
    pub trouble: Trouble,
}

/// What a person is asked for.
#[derive(Debug)]
pub enum Asked {
    /// What is missing; each with what the field begins with.
    Details {
        /// The name.
        name: Option<String>,
        /// The address.
        email: Option<String>,
    },
    /// The code that was sent to this address.
    Code {
        /// The address.
        email: EmailAddress,
    },
}

/// What was wrong with the last answer, field by field.
#[derive(Debug, Default)]
pub struct Trouble {
    /// With the name.
    pub name: Option<NameTrouble>,
    /// With the address.
    pub email: Option<EmailTrouble>,
    /// With the code.
    pub code: Option<CodeTrouble>,
    /// Under which it was recorded, if it was.
    pub reference: Option<ReferenceId>,
}

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameTrouble {
    /// There is none.
    Empty,
    /// It is too long, has no letter, or has signs that cannot be seen.
    Unfit,
}

/// What is wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailTrouble {
    /// There is none.
    Empty,
    /// It is no address, or none that every mail server takes.
    Malformed,
    /// The mail server takes no mail to it.
    Undeliverable,
    /// Its owner, who has just proved it, has another account here.
    Taken,
    /// Too many codes were sent.
    TooMany,
}

/// What is wrong with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeTrouble {
    /// It is not eight digits.
    Malformed,
    /// It is another one; so many tries are left.
    Wrong(u32),
    /// The one that was sent works no more: it has ended, was used, or was guessed at too often.
    Over,
    /// Too many codes were sent.
    TooMany,
}

/// The question, or a place where the browser should be.
#[derive(Debug)]
pub enum Asks {
    /// To be shown.
    Show(Box<Question>),
    /// To be shown with what was wrong.
    Again(Box<Question>, Changes),
    /// Go on from there.
    Elsewhere(Box<Outcome>),
}

/// What the person answered: the fields of the form.
#[derive(Debug, Default)]
pub struct Answer {
    /// The button.
    pub action: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The address.
    pub email: Option<String>,
    /// The code.
    pub code: Option<String>,
}

/// A sign-in that waits for its person, with all that belongs to it.
struct Waiting {
    flow: FlowState,
    asking: Asking,
    entry: Entry,
    client: Arc<Client>,
    redirect: ValidatedRedirect,
}

impl Waiting {
    /// Of a flow that is at this stage; the provider must be open still.
    async fn of(
        app: &App,
        snapshot: &Snapshot,
        browser: &Browser,
        flow: FlowState,
    ) -> Result<Result<Self, Box<Outcome>>, Refused> {
        let asking = match &flow.stage {
            Stage::Asking(asking) => (**asking).clone(),
            Stage::Finished => {
                let over = start_again("flow.finished", "the sign-in was answered already");
                return Err(Refused::from(over).in_flow(&flow));
            }
            _ => {
                let step = Step::Continue(flow.handle()?);
                return Ok(Err(Box::new(Outcome { step, changes: Changes::none() })));
            }
        };
        let vouched = asking.vouched();
        let provider = vouched.identity.provider();
        let entry = open_provider(snapshot, &flow, provider).map_err(|refused| refused.0.failure);
        let entry = match entry.and_then(|entry| asking.still_holds(&entry).map(|()| entry)) {
            Ok(entry) => entry,
            Err(failure) => return Err(turned_away(app, browser, flow, provider, (failure, None)).await?),
        };
        let (client, redirect) =
            resume::client_of(snapshot, &flow).map_err(|refused| refused.in_flow(&flow))?;
        Ok(Ok(Self { flow, asking, entry, client, redirect }))
    }

    fn wants(&self, what: Required) -> bool {
        self.asking.wanted.contains(&what)
    }

    fn email_is_open(&self) -> bool {
        has_email(&self.asking.wanted) && self.asking.proof != CodeProof::Proved
    }

    /// The question as it stands now. The fields begin with what was told, else with what the provider said.
    fn question(self, trouble: Trouble, typed: Option<&Answer>) -> Box<Question> {
        let identity = self.asking.vouched().identity;
        let asked = match (&self.asking.email, self.asking.proof) {
            (Some(email), CodeProof::Sent) if trouble.email.is_none() => Asked::Code { email: email.clone() },
            _ => {
                let typed_name = typed.and_then(|answer| answer.name.clone());
                let typed_email = typed.and_then(|answer| answer.email.clone());
                let profile = identity.profile();
                let parts = [&profile.given_name, &profile.family_name];
                let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
                let said = (!parts.is_empty()).then(|| parts.join(" "));
                let told = self.asking.name.as_ref().map(|name| name.as_str().to_owned());
                let name = typed_name.or(told).or(said).unwrap_or_default();
                let told = self.asking.email.as_ref().map(|email| email.as_str().to_owned());
                let said = identity.email().map(|email| email.address().as_str().to_owned());
                let email = typed_email.or(told).or(said).unwrap_or_default();
                Asked::Details {
                    name: self.wants(Required::Name).then_some(name),
                    email: self.email_is_open().then_some(email),
                }
            }
        };
        Box::new(Question {
            provider: self.entry.display.name,
            flow: self.flow,
            client: self.client,
            redirect: self.redirect,
            asked,
            trouble,
        })
    }

    /// Keeps what was told.
    async fn keep(&mut self, app: &App, browser: &Browser) -> Result<Changes, Failure> {
        self.flow.stage = Stage::Asking(Box::new(self.asking.clone()));
        state::keep(app, browser, &self.flow, false).await
    }

    /// Records what went wrong.
    async fn record(&self, app: &App, browser: &Browser, failure: &Failure) -> ReferenceId {
        let about = Concerning {
            provider: Some(&self.entry.id),
            client: Some(&self.flow.request.client),
            source: &browser.source,
            steps: &[],
        };
        refusals::record(app, failure, about).await
    }

    /// The page again, with what was wrong; what was told is kept.
    async fn again(
        mut self,
        app: &App,
        browser: &Browser,
        mut trouble: Trouble,
        failure: Option<Failure>,
        typed: Option<&Answer>,
    ) -> Result<Asks, Refused> {
        if let Some(failure) = failure {
            trouble.reference = Some(self.record(app, browser, &failure).await);
        }
        let changes = self.keep(app, browser).await?;
        Ok(Asks::Again(self.question(trouble, typed), changes))
    }

    /// The page anew, by its address.
    async fn onward(mut self, app: &App, browser: &Browser) -> Result<Asks, Refused> {
        let changes = self.keep(app, browser).await?;
        Ok(Asks::Elsewhere(Box::new(Outcome { step: Step::Details(self.flow.handle()?), changes })))
    }
}

/// What to ask within a flow.
///
/// # Errors
/// [`Refused`].
pub async fn ask(app: &App, browser: &Browser, handle: Option<&str>) -> Result<Asks, Refused> {
    let flow = state::open(app, browser, handle).await?;
    match Waiting::of(app, &app.now(), browser, flow).await? {
        Ok(waiting) => Ok(Asks::Show(waiting.question(Trouble::default(), None))),
        Err(elsewhere) => Ok(Asks::Elsewhere(elsewhere)),
    }
}

/// The person answered.
///
/// # Errors
/// [`Refused`]; what can be put right on the page is no error.
pub async fn answer(app: &App, browser: &Browser, flow: FlowState, answer: Answer) -> Result<Asks, Refused> {
    let snapshot = app.now();
    let mut waiting = match Waiting::of(app, &snapshot, browser, flow).await? {
        Ok(waiting) => waiting,
        Err(elsewhere) => return Ok(Asks::Elsewhere(elsewhere)),
    };
    match (answer.action.as_deref(), waiting.asking.proof) {
        (Some("details"), _) => details(app, &snapshot, browser, waiting, answer).await,
        (Some("code"), CodeProof::Sent) => code(app, &snapshot, browser, waiting, answer).await,
        (Some("resend"), CodeProof::Sent) => send(app, &snapshot, browser, waiting).await,
        (Some("change"), CodeProof::Sent) => {
            waiting.asking.proof = CodeProof::None;
            waiting.onward(app, browser).await
        }
        // A page of an earlier step, by Back: the step that is due now.
        (Some("code" | "resend" | "change"), _) => waiting.onward(app, browser).await,
        _ => {
            let failure = Failure::invalid_request("person.action", "the form has no button of ours");
            Err(Refused::from(failure).in_flow(&waiting.flow))
        }
    }
}

/// The person told what is missing.
async fn details(
    app: &App,
    snapshot: &Snapshot,
    browser: &Browser,
    mut waiting: Waiting,
    answer: Answer,
) -> Result<Asks, Refused> {
    let mut trouble = Trouble::default();
    if waiting.wants(Required::Name) {
        let typed = answer.name.as_deref().unwrap_or_default();
        match PersonName::parse(typed) {
            Ok(name) => waiting.asking.name = Some(name),
            Err(_) if typed.trim().is_empty() => trouble.name = Some(NameTrouble::Empty),
            Err(_) => trouble.name = Some(NameTrouble::Unfit),
        }
    }
    if waiting.email_is_open() {
        let typed = answer.email.as_deref().unwrap_or_default().trim();
        match EmailAddress::parse(typed) {
            Ok(address) if address.is_plain() => {
                waiting.asking.email = Some(address);
                waiting.asking.proof = CodeProof::None;
            }
            _ if typed.is_empty() => trouble.email = Some(EmailTrouble::Empty),
            _ => trouble.email = Some(EmailTrouble::Malformed),
        }
    }
    if trouble.name.is_some() || trouble.email.is_some() {
        // Not a mistake of anybody's but the typist's: nothing to record.
        return waiting.again(app, browser, trouble, None, Some(&answer)).await;
    }
    if waiting.email_is_open() {
        return send(app, snapshot, browser, waiting).await;
    }
    finish(app, snapshot, browser, waiting).await
}

/// Sends a code to the address that was told.
async fn send(
    app: &App,
    snapshot: &Snapshot,
    browser: &Browser,
    mut waiting: Waiting,
) -> Result<Asks, Refused> {
    let Some(address) = waiting.asking.email.clone() else { return waiting.onward(app, browser).await };
    let identity = waiting.asking.vouched().identity;
    let sending = Sending {
        attempt: waiting.asking.attempt(),
        address: &address,
        identity: identity.key(),
        source: &browser.source,
        sign_in_ends: waiting.flow.expires_at,
        client: &waiting.client,
    };
    let Err(failure) = email_code::send(app, snapshot, &sending).await else {
        waiting.asking.proof = CodeProof::Sent;
        return waiting.onward(app, browser).await;
    };
    let had_code = waiting.asking.proof == CodeProof::Sent;
    let trouble = match failure.reason {
        "person.codes_spent" if had_code => {
            Trouble { code: Some(CodeTrouble::TooMany), ..Trouble::default() }
        }
        "person.codes_spent" => Trouble { email: Some(EmailTrouble::TooMany), ..Trouble::default() },
        "mail.recipient" => {
            waiting.asking.proof = CodeProof::None;
            Trouble { email: Some(EmailTrouble::Undeliverable), ..Trouble::default() }
        }
        _ => {
            // What was told is kept, so that nothing has to be typed again.
            let changes = waiting.keep(app, browser).await?;
            let refused = Refused::from(failure).at(&waiting.entry.id);
            return Err(refused.in_flow(&waiting.flow).with(changes));
        }
    };
    waiting.again(app, browser, trouble, Some(failure), None).await
}

/// The person brought a code back.
async fn code(
    app: &App,
    snapshot: &Snapshot,
    browser: &Browser,
    mut waiting: Waiting,
    answer: Answer,
) -> Result<Asks, Refused> {
    let of_code = |code| Trouble { code: Some(code), ..Trouble::default() };
    let Some(address) = waiting.asking.email.clone() else { return waiting.onward(app, browser).await };
    let Some(typed) = email_code::read(answer.code.as_deref().unwrap_or_default()) else {
        return waiting.again(app, browser, of_code(CodeTrouble::Malformed), None, None).await;
    };
    match email_code::guess(app, &waiting.asking.attempt(), &address, &typed).await? {
        Guess::Right => {
            waiting.asking.proof = CodeProof::Proved;
            finish(app, snapshot, browser, waiting).await
        }
        Guess::Wrong { left } => {
            let failure = Failure::new(
                OAuthCode::AccessDenied,
                "person.code",
                UserMessage::FormExpired,
                "the code is not the one that was sent",
            )
            .expected("the code that was sent last", format!("another one; {left} tries are left"));
            let trouble = if left == 0 { CodeTrouble::Over } else { CodeTrouble::Wrong(left) };
            waiting.again(app, browser, of_code(trouble), Some(failure), None).await
        }
        Guess::Over => {
            let failure = Failure::new(
                OAuthCode::AccessDenied,
                "person.code_over",
                UserMessage::FormExpired,
                "the code has ended, was used, or has no try left",
            );
            waiting.again(app, browser, of_code(CodeTrouble::Over), Some(failure), None).await
        }
    }
}

/// Nothing is missing any more: the vouched identity becomes an account with a session after all.
async fn finish(
    app: &App,
    snapshot: &Snapshot,
    browser: &Browser,
    mut waiting: Waiting,
) -> Result<Asks, Refused> {
    let asking = &waiting.asking;
    let (vouched, attempt) = (asking.vouched(), asking.attempt());
    let request = vouching(app, snapshot, browser, &waiting.entry, &waiting.flow, vouched, &attempt)
        .answered(asking.given(), asking.vouched_at);
    match vouch(app, request).await {
        Ok(Settled::SignedIn(entrance)) => {
            let (mut flow, provider) = (waiting.flow, waiting.entry.id);
            let (secret, name) = (entrance.secret.clone(), entrance.browser.clone());
            let mut changes = signed_in(app, browser, &mut flow, &provider, entrance).await?;
            // From here as from a form: the answer to the application, or the next page.
            let browser = Browser { session: Some(secret), name: Some(name), ..browser.clone() };
            match resume::dispatch(app, snapshot, &browser, flow, true).await {
                Ok(outcome) => {
                    changes.then(outcome.changes);
                    Ok(Asks::Elsewhere(Box::new(Outcome { step: outcome.step, changes })))
                }
                Err(mut refused) => {
                    changes.then(std::mem::take(&mut refused.0.changes));
                    Err(refused.with(changes))
                }
            }
        }
        // The configuration wants more by now.
        Ok(Settled::Missing(wanted)) => {
            waiting.asking.wanted = wanted;
            waiting.onward(app, browser).await
        }
        Err((failure, _)) if failure.reason == "person.address_taken" => {
            waiting.asking.proof = CodeProof::None;
            let trouble = Trouble { email: Some(EmailTrouble::Taken), ..Trouble::default() };
            waiting.again(app, browser, trouble, Some(failure), None).await
        }
        Err(why) => {
            let refused = turned_away(app, browser, waiting.flow, &waiting.entry.id, why).await?;
            Err(refused.traced(Trace::default()))
        }
    }
}
