//! The authentication request (OIDC Core §3.1.2.1).

use super::Oidc;
use super::metadata::Discovered;
use super::settings::{Prompt, ResponseMode, Wish};
use crate::context::Context;
use crate::failure::{Failure, UserMessage};
use crate::upstream::settings::is_language_tag;
use crate::upstream::{BeginRequest, Begun, Departure};
use openidconnect::core::{CoreAuthPrompt, CoreAuthenticationFlow, CoreClient};
use openidconnect::{
    AuthUrl, AuthenticationContextClass, ClientId, CsrfToken, IssuerUrl, JsonWebKeySet, LanguageTag,
    LoginHint, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use url::Url;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What must be remembered until the answer. It is sealed and bound to the browser by the flow.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(super) struct Remembered {
    pub nonce: String,
    pub verifier: Option<String>,
    /// When it began: whoever proves themselves in answer may do it as early as that. In milliseconds.
    #[serde(default)]
    pub begun_at: Option<i64>,
}

impl Remembered {
    /// From what `begin` gave away.
    pub fn parse(state: &[u8]) -> Result<Self, Failure> {
        serde_json::from_slice(state).map_err(|_| {
            let note = "the remembered state of this sign-in cannot be read";
            Failure { user: UserMessage::StartAgain, ..Failure::invalid_request("oidc.state", note) }
        })
    }
}

fn wrong(note: &'static str) -> Failure {
    Failure::internal("oidc.request", note)
}

impl Oidc {
    pub(super) async fn begin(
        &self,
        context: &Context,
        request: &BeginRequest,
        discovered: &Discovered,
    ) -> Result<Begun, Failure> {
        let remembered = Remembered {
            nonce: context.secret_text(),
            verifier: self.settings.pkce.then(|| context.secret_text()),
            begun_at: Some(context.now().0),
        };
        let mut parameters = self.parameters(request, &remembered, &discovered.authorization_endpoint)?;
        // Signed first: a pushed request may be an object too (RFC 9126 §3). Whatever is not left is in there, and
        // nothing else counts (RFC 9101 §6.3).
        if let Some(alg) = discovered.request_alg {
            parameters = self.sign_request(context, alg, &parameters)?;
        }
        if let Some(endpoint) = &discovered.push {
            parameters = self.push(context, discovered, endpoint, parameters).await?;
        }
        let mut url = discovered.authorization_endpoint.clone();
        url.query_pairs_mut().extend_pairs(parameters);
        let state = serde_json::to_vec(&remembered)
            .map(Zeroizing::new)
            .map_err(|error| wrong("the state cannot be written").caused_by(error))?;
        Ok(Begun { departure: Departure::RedirectTo(url), state })
    }

    /// The parameters of the request.
    fn parameters(
        &self,
        request: &BeginRequest,
        remembered: &Remembered,
        endpoint: &Url,
    ) -> Result<Vec<(String, String)>, Failure> {
        let issuer = IssuerUrl::new(self.settings.issuer.text.clone())
            .map_err(|error| wrong("the issuer is no address").caused_by(error))?;
        let callback = RedirectUrl::new(request.callback.clone())
            .map_err(|error| wrong("our callback is no address").caused_by(error))?;
        // what the endpoint's own address says already is no part of the request
        let mut bare = endpoint.clone();
        bare.set_query(None);
        let client =
            CoreClient::new(ClientId::new(self.settings.client_id.clone()), issuer, JsonWebKeySet::default())
                .set_auth_uri(AuthUrl::from_url(bare));

        let (state, nonce) = (request.state.clone(), remembered.nonce.clone());
        let mut wanted = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .set_redirect_uri(Cow::Owned(callback))
            .add_scopes(
                self.settings.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new),
            );
        if let Some(verifier) = &remembered.verifier {
            let verifier = PkceCodeVerifier::new(verifier.clone());
            wanted = wanted.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        }
        if self.settings.response_mode == ResponseMode::FormPost {
            wanted = wanted.add_extra_param("response_mode", "form_post");
        }
        // What an application wishes goes on only where the provider's settings let it (OIDC-069).
        let passes = |wish: Wish| self.settings.pass.contains(&wish);
        if passes(Wish::Prompt) {
            let prompts: &[(Prompt, CoreAuthPrompt)] =
                match (request.silent, request.force_authentication, request.select_account) {
                    (true, ..) => &[(Prompt::None, CoreAuthPrompt::None)],
                    (_, true, true) => &[
                        (Prompt::Login, CoreAuthPrompt::Login),
                        (Prompt::SelectAccount, CoreAuthPrompt::SelectAccount),
                    ],
                    (_, true, false) => &[(Prompt::Login, CoreAuthPrompt::Login)],
                    (_, false, true) => &[(Prompt::SelectAccount, CoreAuthPrompt::SelectAccount)],
                    (_, false, false) => &[],
                };
            let most = if self.settings.one_prompt { 1 } else { prompts.len() };
            let known = prompts.iter().filter(|(prompt, _)| self.settings.prompts.contains(prompt));
            let prompts = known.take(most);
            wanted = prompts.fold(wanted, |wanted, (_, prompt)| wanted.add_prompt(prompt.clone()));
        }
        if passes(Wish::MaxAge) {
            // max_age makes the provider say auth_time (OIDC Core §2), which a forced sign-in needs for proof
            let age = request.force_authentication.then_some(std::time::Duration::ZERO).or(request.max_age);
            if let Some(age) = age {
                wanted = wanted.set_max_age(age);
            }
        }
        if passes(Wish::LoginHint)
            && let Some(hint) = request.login_hint.as_ref().filter(|hint| is_plain(hint, 255))
        {
            wanted = wanted.set_login_hint(LoginHint::new(hint.clone()));
        }
        if passes(Wish::UiLocales)
            && let Some(own) = &self.settings.language_param
        {
            if let Some((name, value)) = own.of(&request.ui_locales) {
                wanted = wanted.add_extra_param(name, value);
            }
        } else if passes(Wish::UiLocales) {
            for locale in request.ui_locales.iter().filter(|tag| is_language_tag(tag)).take(8) {
                wanted = wanted.add_ui_locale(LanguageTag::new(locale.clone()));
            }
        }
        if passes(Wish::AcrValues) {
            let values = request.acr_values.iter().filter(|acr| is_plain(acr, 255) && !acr.contains(' '));
            for acr in values.take(8) {
                wanted = wanted.add_auth_context_value(AuthenticationContextClass::new(acr.clone()));
            }
        }

        let (url, ..) = wanted.url();
        let pairs = url.query_pairs().into_owned();
        let mut pairs: Vec<_> = pairs.filter(|(name, _)| self.settings.nonce || name != "nonce").collect();
        // No parameter stands there twice (RFC 6749 §3.1): what this sign-in wants goes before what every one wants.
        let own = self.settings.authorize_params.iter();
        let own: Vec<_> = own.filter(|(name, _)| !pairs.iter().any(|(said, _)| said == *name)).collect();
        pairs.extend(own.into_iter().map(|(name, value)| (name.clone(), value.clone())));
        Ok(pairs)
    }
}

fn is_plain(text: &str, most: usize) -> bool {
    !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_and_language_tags_go_into_the_address() {
        assert!(is_plain("jane@id.example", 255) && is_plain(&"x".repeat(255), 255));
        assert!(!is_plain("", 255) && !is_plain(&"x".repeat(256), 255) && !is_plain("a\nb", 255));
        assert!(is_language_tag("de") && is_language_tag("zh-Hant-TW") && is_language_tag(&"a".repeat(35)));
        assert!(!is_language_tag("") && !is_language_tag(&"a".repeat(36)));
        assert!(!is_language_tag("de_CH") && !is_language_tag("de fr") && !is_language_tag("d\u{e9}"));
    }
}
