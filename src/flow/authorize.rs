//! The application's request: checked once, then handed to the dispatcher.

use crate::failure::Failure;
use crate::flow::browser::{Browser, WishCookie};
use crate::flow::refusals::Refused;
use crate::flow::state::FlowState;
use crate::flow::{App, Outcome, Snapshot, request, resume};
use crate::jose::{Expected, Expiry, TokenType};
use crate::protocol::authorization::{self, Refusal};
use crate::protocol::{AuthorizationRequest, Parameters};
use crate::tokens::claims::HintClaims;
use crate::tokens::handle::Digest;

/// Begins a sign-in. Where a session fits and nothing is to be asked, it also ends it.
///
/// # Errors
/// [`Refused`], with a redirect as soon as client and redirect URI hold.
pub async fn authorize(
    app: &App,
    browser: &Browser,
    parameters: &Parameters<'_>,
) -> Result<Outcome, Refused> {
    let snapshot = app.now();
    let named =
        parameters.get("client_id").and_then(|id| snapshot.client(id)).map(|client| client.id.clone());
    let effective = request::resolve(app, &snapshot, parameters)
        .await
        .map_err(|refused| refused.of_client(named.as_ref()))?;
    let find = |id: &str| snapshot.find(id);
    let sent = effective.parameters(parameters);
    let validated =
        authorization::parse(sent, effective.arrival, find, &snapshot.offer).map_err(|refusal| {
            let refused = match refusal {
                Refusal::Page(failure) => Refused::from(failure),
                Refusal::Redirect(failure, redirect) => Refused::from(failure).to_client(&redirect),
            };
            refused.of_client(named.as_ref())
        })?;
    let mut request = validated.request;
    let subject = hinted(app, &snapshot, &mut request)
        .map_err(|failure| Refused::from(failure).to_client(&validated.redirect).of_client(named.as_ref()))?;
    let mut flow = FlowState::begin(app, request, snapshot.settings.sign_in.lifetime);
    flow.subject = subject;
    flow.idp_hint = sent.get("idp_hint").map(str::to_owned);
    flow.pushed = effective.pushed.map(|digest| digest.as_str().to_owned());
    let client = Digest::of(flow.request.client.as_str());
    let wish = browser.wish.as_ref().filter(|wish| wish.client == client);
    if let (None, Some(wish)) = (&flow.idp_hint, wish) {
        flow.idp_hint = Some(wish.provider.to_string());
        flow.unasked = true;
    }
    let mut outcome = resume::dispatch(app, &snapshot, browser, flow, false).await?;
    outcome.changes.wish = wish.map(|_| WishCookie::Forget);
    Ok(outcome)
}

/// The person whom an `id_token_hint` names, by the `sub` that the client knows. It may have expired (OIDC Core §3.1.2.1), but it is ours and it
/// was issued to this client, or it is no hint.
///
/// # Errors
/// `authorize.id_token_hint`.
pub fn hinted(
    app: &App,
    snapshot: &Snapshot,
    request: &mut AuthorizationRequest,
) -> Result<Option<String>, Failure> {
    let Some(hint) = request.id_token_hint.take() else { return Ok(None) };
    let refused = |note: &'static str| Failure::invalid_request("authorize.id_token_hint", note);
    let expected = Expected { typ: TokenType::Id, expiry: Expiry::Ignored, now: app.context.now() };
    let claims: HintClaims = snapshot
        .keyring
        .verify(&hint, &expected)
        .map_err(|_| refused("the id_token_hint is no ID token of ours"))?;
    if !claims.aud.contains(request.client.as_str()) {
        return Err(refused("the id_token_hint was issued to another client"));
    }
    Ok(Some(claims.sub))
}
