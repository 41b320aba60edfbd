//! Refusals: what a person meets who is not let through, and the ring in which operators find out why.

use crate::audit::Refusal;
use crate::clients::redirect::ValidatedRedirect;
use crate::failure::{Failure, RECORDED, shown};
use crate::flow::App;
use crate::flow::browser::Changes;
use crate::flow::state::FlowState;
use crate::ids::{ClientId, ProviderId, ReferenceId};
use crate::store::StoreError;
use crate::upstream::{Step, Trace};

/// A transition that was refused.
#[derive(Debug)]
pub struct Refused(pub Box<Inner>);

/// The parts of [`Refused`].
#[derive(Debug)]
pub struct Inner {
    /// Why.
    pub failure: Failure,
    /// The steps of validation up to it.
    pub trace: Trace,
    /// The provider that it concerns.
    pub provider: Option<ProviderId>,
    /// The client that it concerns, where there is no flow yet.
    pub client: Option<ClientId>,
    /// The sign-in in progress, for the ways on.
    pub flow: Option<FlowState>,
    /// Where the application may be told. Without it, only the person is.
    pub redirect: Option<ValidatedRedirect>,
    /// What the browser takes along all the same.
    pub changes: Changes,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self(Box::new(Inner {
            failure,
            trace: Trace::default(),
            provider: None,
            client: None,
            flow: None,
            redirect: None,
            changes: Changes::none(),
        }))
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Failure::from(error).into()
    }
}

impl From<(Failure, Option<FlowState>)> for Refused {
    fn from((failure, flow): (Failure, Option<FlowState>)) -> Self {
        let mut refused = Self::from(failure);
        refused.0.flow = flow;
        refused
    }
}

impl Refused {
    /// The application is told, at its redirect URI.
    #[must_use]
    pub fn to_client(mut self, redirect: &ValidatedRedirect) -> Self {
        self.0.redirect = Some(redirect.clone());
        self
    }
    /// The sign-in that was refused.
    #[must_use]
    pub fn in_flow(mut self, flow: &FlowState) -> Self {
        self.0.flow = Some(flow.clone());
        self
    }
    /// The provider that it concerns.
    #[must_use]
    pub fn at(mut self, provider: &ProviderId) -> Self {
        self.0.provider = Some(provider.clone());
        self
    }
    /// The client that it concerns.
    #[must_use]
    pub fn of_client(mut self, client: Option<&ClientId>) -> Self {
        self.0.client = client.cloned();
        self
    }
    /// The steps of validation. The last is the one that failed: what was decided after the checks is a step too.
    #[must_use]
    pub fn traced(mut self, mut trace: Trace) -> Self {
        if trace.steps().iter().all(|step| step.passed) {
            let (failure, detail) = (&self.0.failure, &self.0.failure.detail);
            let expected = detail.expected.clone().unwrap_or_else(|| "to be let in".to_owned());
            let received = detail.received.clone().unwrap_or_else(|| detail.note.to_string());
            trace.step(failure.reason, expected, received, false);
        }
        self.0.trace = trace;
        self
    }
    /// What the browser takes along all the same.
    #[must_use]
    pub fn with(mut self, changes: Changes) -> Self {
        self.0.changes.then(changes);
        self
    }
    /// The client that it concerns.
    pub fn client(&self) -> Option<&ClientId> {
        self.0.flow.as_ref().map(|flow| &flow.request.client).or(self.0.client.as_ref())
    }
}

/// What a refusal concerns, for the record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Concerning<'a> {
    /// The provider.
    pub provider: Option<&'a ProviderId>,
    /// The client.
    pub client: Option<&'a ClientId>,
    /// The prefix of the address that it came from.
    pub source: &'a str,
    /// The steps of validation.
    pub steps: &'a [Step],
}

/// A step as it may stand in the record.
fn recorded(step: &Step) -> Step {
    let text = |text: &str| shown(text, RECORDED);
    Step {
        check: step.check.clone(),
        expected: text(&step.expected),
        received: text(&step.received),
        ..*step
    }
}

/// Records a refusal in the ring, the log and the metrics, and gives the reference under which it is found.
///
/// It never fails: an answer must not depend on whether its refusal could be kept.
pub async fn record(app: &App, failure: &Failure, about: Concerning<'_>) -> ReferenceId {
    let refusal = Refusal {
        reference: app.context.reference_id(),
        at: app.context.now(),
        source: about.source.to_owned(),
        reason: failure.reason.to_owned(),
        provider: about.provider.cloned(),
        client: about.client.cloned(),
        expected: failure.detail.expected.clone(),
        received: failure.detail.received.clone(),
        steps: about.steps.iter().map(recorded).collect(),
        note: shown(&failure.detail.note, RECORDED),
    };
    let made = refusal.reference.clone();
    let keep = app.now().settings.limits.refusals_kept;
    let kept = app.store.write(move |tx| -> Result<_, StoreError> { tx.put_refusal(&refusal, keep) }).await;
    let reference = kept.unwrap_or_else(|error| {
        metrics::counter!("countersign_refusals_lost_total").increment(1);
        tracing::warn!(reference = %made, %error, "a refusal could not be kept");
        made
    });
    metrics::counter!("countersign_refusals_total", "reason" => failure.reason).increment(1);
    let source = failure.source.as_ref().map(|source| shown(&source.to_string(), RECORDED));
    if failure.code.status() >= 500 {
        tracing::error!(%reference, reason = failure.reason, note = shown(&failure.detail.note, RECORDED), source, "failed");
    } else {
        tracing::info!(
            %reference,
            reason = failure.reason,
            note = shown(&failure.detail.note, RECORDED),
            provider = about.provider.map(ProviderId::as_str),
            client = about.client.map(ClientId::as_str),
            source,
            "refused"
        );
    }
    reference
}
