//! What went wrong, told three ways: a standard code to the client, a safe sentence to the person,
//! and everything to the operator, under one reference id.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

macro_rules! oauth_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $meaning:literal;)*) => {
        /// The standard error codes that a client may see, and the one table of their HTTP statuses.
        ///
        /// RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1, RFC 7009 §2.2.1, RFC 8707 §2, OIDC Core §3.1.2.6,
        /// OIDC Core Unmet Authentication Requirements, RFC 9101 §6, RFC 9470, RFC 7591 §3.2.2.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum OAuthCode { $($(#[$doc])* $variant,)* }
        impl OAuthCode {
            /// The code on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
            /// The HTTP status when the code is the answer itself and not a redirect.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }
            /// What it means, for the makers of an application; plain ASCII without quotes and backslashes, as
            /// RFC 6749 §5.2 wants it.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
            /// All codes, for documentation and tests.
            pub const ALL: &'static [OAuthCode] = &[$(OAuthCode::$variant,)*];
        }
    };
}

oauth_codes! {
    /// A parameter is missing, repeated, malformed, or does not go with another.
    InvalidRequest = "invalid_request", 400,
        "a parameter is missing, repeated or malformed, or does not go with another";
    /// Client authentication failed.
    InvalidClient = "invalid_client", 401, "the client could not be authenticated";
    /// The code, refresh token or assertion does not hold.
    InvalidGrant = "invalid_grant", 400,
        "the code or token is wrong, expired, used up, or not of this client";
    /// The client may not use this grant or endpoint.
    UnauthorizedClient = "unauthorized_client", 400, "the client is not registered for this";
    /// The grant type is not offered.
    UnsupportedGrantType = "unsupported_grant_type", 400, "this grant type is not offered";
    /// The response type is not offered.
    UnsupportedResponseType = "unsupported_response_type", 400, "this response type is not offered; use code";
    /// The scope is malformed or exceeds what was granted.
    InvalidScope = "invalid_scope", 400, "the scope is malformed, or more than was granted";
    /// The resource is unknown or not allowed (RFC 8707).
    InvalidTarget = "invalid_target", 400, "the resource is unknown, or the client may not ask for it";
    /// The person or a policy said no.
    AccessDenied = "access_denied", 403, "the person or a policy said no";
    /// `prompt=none` and nobody is signed in (OIDC Core §3.1.2.6).
    LoginRequired = "login_required", 400, "nobody is signed in, or not in the way that was asked for";
    /// `prompt=none` and consent is due.
    ConsentRequired = "consent_required", 400, "the person has not allowed this app yet";
    /// `prompt=none` and some page is due.
    InteractionRequired = "interaction_required", 400, "the person must be shown a page";
    /// `prompt=none` and a choice among accounts is due.
    AccountSelectionRequired = "account_selection_required", 400, "the person must choose an account";
    /// The demanded authentication was not reached.
    UnmetAuthenticationRequirements = "unmet_authentication_requirements", 400,
        "the sign-in does not reach what was asked for";
    /// The request object does not hold (RFC 9101 §6).
    InvalidRequestObject = "invalid_request_object", 400,
        "the request object is malformed, wrongly signed, over, or not meant for us";
    /// The request URI is unknown, over or used, or nothing usable lies there (RFC 9101 §6, RFC 9126 §7.3).
    InvalidRequestUri = "invalid_request_uri", 400,
        "the request URI is unknown, over or used up, or nothing usable lies there";
    /// Request objects are not offered (OIDC Core §3.1.2.6).
    RequestNotSupported = "request_not_supported", 400, "request objects are not offered";
    /// Request URIs are not offered.
    RequestUriNotSupported = "request_uri_not_supported", 400, "request URIs are not offered";
    /// Registration during the request is not offered.
    RegistrationNotSupported = "registration_not_supported", 400,
        "registration in the request is not offered";
    /// A registered address cannot be used (RFC 7591 §3.2.2).
    InvalidRedirectUri = "invalid_redirect_uri", 400, "an address cannot be registered";
    /// A member of a registration cannot be used (RFC 7591 §3.2.2).
    InvalidClientMetadata = "invalid_client_metadata", 400, "a member of the registration cannot be used";
    /// The access token does not hold (RFC 6750 §3.1).
    InvalidToken = "invalid_token", 401, "the access token is missing, wrong, expired or revoked";
    /// The access token lacks a scope (RFC 6750 §3.1).
    InsufficientScope = "insufficient_scope", 403, "the access token lacks a scope";
    /// The token type cannot be revoked here (RFC 7009 §2.2.1).
    UnsupportedTokenType = "unsupported_token_type", 400, "tokens of this type cannot be revoked here";
    /// Something failed on our side.
    ServerError = "server_error", 500, "something failed on our side";
    /// We, or the provider, are overloaded or away.
    TemporarilyUnavailable = "temporarily_unavailable", 503,
        "we are overloaded, or something that we need is away; try again";
    /// Too many requests from one source.
    SlowDown = "slow_down", 429, "too many requests; wait a moment";
}

/// The sentences a person may see: a closed set, so that no detail can slip onto a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserMessage {
    /// The application sent a request that we cannot honour.
    AppMisconfigured,
    /// The application is not known, or is switched off.
    UnknownApp,
    /// The sign-in took too long, was finished already, or came from another tab.
    StartAgain,
    /// The answer came to another browser than the one that started.
    OtherBrowser,
    /// The person pressed cancel at the provider.
    Cancelled,
    /// The provider answered that it did not sign the person in.
    ProviderDenied,
    /// The provider did not answer, or answered with an error of its own.
    ProviderUnavailable,
    /// The provider's answer failed a check.
    ProviderAnswerRefused,
    /// What a provider said of a logout failed a check.
    LogoutRefused,
    /// The provider is switched off or unknown.
    ProviderNotOffered,
    /// The account may not sign in (suspended, deleted).
    AccountNotActive,
    /// The provider's policy does not let this person in.
    NotInvited,
    /// An account exists with which this identity may not be joined silently.
    ProofNeeded,
    /// A mail to the person could not be sent.
    MailUnavailable,
    /// The invitation is unknown, used or expired.
    InvitationOver,
    /// The form was not ours or too old.
    FormExpired,
    /// Too many tries.
    TooMany,
    /// The page does not exist.
    NotFound,
    /// Something failed on our side.
    OurFault,
}

impl UserMessage {
    /// A heading of a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::AppMisconfigured => "This link from the app does not work",
            Self::UnknownApp => "We do not know this app",
            Self::StartAgain => "This sign-in is no longer open",
            Self::OtherBrowser => "This sign-in began in another browser",
            Self::Cancelled => "You cancelled the sign-in",
            Self::ProviderDenied => "The provider did not sign you in",
            Self::ProviderUnavailable => "The provider did not answer",
            Self::ProviderAnswerRefused => "We could not accept the provider's answer",
            Self::LogoutRefused => "We could not accept this sign-out",
            Self::ProviderNotOffered => "This way to sign in is not offered",
            Self::AccountNotActive => "This account cannot sign in",
            Self::NotInvited => "You do not have access yet",
            Self::ProofNeeded => "You may already have an account",
            Self::MailUnavailable => "We could not send you a mail",
            Self::InvitationOver => "This invitation is no longer valid",
            Self::FormExpired => "This form is no longer valid",
            Self::TooMany => "Too many tries",
            Self::NotFound => "There is no such page",
            Self::OurFault => "Something went wrong on our side",
        }
    }
    /// What happened and what to do, in a sentence or two.
    pub fn text(self) -> &'static str {
        match self {
            Self::AppMisconfigured => {
                "The app sent a request that we cannot use. Go back to the app and try again; if it stays, tell the app's makers the reference below."
            }
            Self::UnknownApp => {
                "The app that sent you here is not registered with us, or it was switched off."
            }
            Self::StartAgain => "It took too long, or it was finished already. Start again; nothing is lost.",
            Self::OtherBrowser => {
                "A sign-in must end in the browser in which it began, and this one knows nothing of it (any more). Go back to the app and start there."
            }
            Self::Cancelled => "Nothing was shared. You can try again or choose another way to sign in.",
            Self::ProviderDenied => {
                "It said that the sign-in was cancelled or not allowed there. Try again, choose another way to sign in, or ask those who look after your account there."
            }
            Self::ProviderUnavailable => {
                "It may be busy or away. Try again in a moment, or choose another way to sign in."
            }
            Self::ProviderAnswerRefused => {
                "The answer did not pass our checks, so we did not sign you in. Try again; if it stays, give your administrator the reference below."
            }
            Self::LogoutRefused => {
                "What the provider sent did not pass our checks, so nothing was changed here. You can sign out on our start page; if this stays, give your administrator the reference below."
            }
            Self::ProviderNotOffered => "Choose another way to sign in.",
            Self::AccountNotActive => {
                "Your account is suspended or was removed. Your administrator can tell you more."
            }
            Self::NotInvited => {
                "Sign-in worked, but this service is not open to your account. Ask your administrator for access."
            }
            Self::ProofNeeded => "Sign in first the way you did before; then both can be joined.",
            Self::MailUnavailable => {
                "Our mail service may be busy or away. Try again in a moment: what you entered is kept. If it stays, give your administrator the reference below."
            }
            Self::InvitationOver => {
                "It was used already, has expired, or its address was copied incompletely. Ask for a new one."
            }
            Self::FormExpired => "Go back and try again.",
            Self::TooMany => "Wait a moment, then try again.",
            Self::NotFound => "Check the address, or go back to the app you came from.",
            Self::OurFault => {
                "Try again in a moment. If it stays, give your administrator the reference below."
            }
        }
    }
}

/// What the operator needs to know. It has no `Display`: it cannot reach a page by accident.
///
/// Never put secrets, tokens or whole messages in it.
#[derive(Debug, Clone, Default)]
pub struct Detail {
    /// What failed, in a sentence.
    pub note: Cow<'static, str>,
    /// What the check expected, redacted.
    pub expected: Option<String>,
    /// What it received, redacted.
    pub received: Option<String>,
}

/// A refusal or an error.
pub struct Failure {
    /// What the client is told.
    pub code: OAuthCode,
    /// The stable word for audit and tests, such as `oidc.id_token.nonce`.
    pub reason: &'static str,
    /// What the person is told.
    pub user: UserMessage,
    /// The parameter or member that it is about, where its name alone helps the makers of an application.
    pub about: Option<&'static str>,
    /// What the operator is told.
    pub detail: Box<Detail>,
    /// The error behind it, for the log.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A refusal with a stable reason and a note for the operator.
    pub fn new(
        code: OAuthCode,
        reason: &'static str,
        user: UserMessage,
        note: impl Into<Cow<'static, str>>,
    ) -> Self {
        let detail = Detail { note: note.into(), expected: None, received: None };
        Self { code, reason, user, about: None, detail: Box::new(detail), source: None }
    }
    /// A request that breaks the protocol; the person sees that the app's link does not work.
    pub fn invalid_request(reason: &'static str, note: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OAuthCode::InvalidRequest, reason, UserMessage::AppMisconfigured, note)
    }
    /// An error of ours.
    pub fn internal(reason: &'static str, note: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OAuthCode::ServerError, reason, UserMessage::OurFault, note)
    }
    /// Everything that helps whoever runs the house, in one line. Never for strangers.
    pub fn for_operator(&self) -> String {
        let mut message = format!("{} ({})", self.detail.note, self.reason);
        if let (Some(expected), Some(received)) = (&self.detail.expected, &self.detail.received) {
            message.push_str(&format!(": expected {expected}, found {received}"));
        }
        if let Some(source) = self.source.as_ref().map(ToString::to_string)
            && source != self.detail.note
        {
            message.push_str(&format!(": {source}"));
        }
        message
    }
    /// `error_description` for the makers of the application: what the code means, the reason, and the
    /// reference by which the operator finds the rest.
    ///
    /// The reason is told only where it speaks of the request itself. Why a client, code or token does not
    /// hold would help those who guess, so that stays with the operator. A client that failed to authenticate
    /// gets no reference either: equal refusals share one, and so it would tell known ids from unknown ones.
    pub fn description(&self, reference: Option<&str>) -> String {
        let of_the_request = self.user == UserMessage::AppMisconfigured
            && !matches!(
                self.code,
                OAuthCode::InvalidClient | OAuthCode::InvalidGrant | OAuthCode::InvalidToken
            );
        let mut text = self.code.meaning().to_owned();
        if of_the_request {
            let about = self.about.map(|name| format!(", {name}")).unwrap_or_default();
            text.push_str(&format!(" ({}{about})", self.reason));
        }
        if let Some(reference) = reference.filter(|_| self.code != OAuthCode::InvalidClient) {
            text.push_str(&format!("; reference {reference}"));
        }
        text
    }
    /// Names the parameter or member that it is about.
    #[must_use]
    pub fn concerning(mut self, name: &'static str) -> Self {
        self.about = Some(name);
        self
    }
    /// Says what was expected and what came, as far as it may stand in a record.
    #[must_use]
    pub fn expected(mut self, expected: impl AsRef<str>, received: impl AsRef<str>) -> Self {
        self.detail.expected = Some(shown(expected.as_ref(), RECORDED));
        self.detail.received = Some(shown(received.as_ref(), RECORDED));
        self
    }
    /// Adds the error behind it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

/// Characters of one text that a record of a refusal keeps: strangers write much of it.
pub const RECORDED: usize = 500;

/// A text as it may stand in a record or a log: at most `most` characters, and nothing that a terminal would obey.
pub fn shown(text: &str, most: usize) -> String {
    let plain = |c: char| match c {
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let mut short: String = text.chars().take(most).map(plain).collect();
    if text.chars().nth(most).is_some() {
        short.push('…');
    }
    short
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("code", &self.code.as_str())
            .field("reason", &self.reason)
            .field("detail", &self.detail)
            .field("source", &self.source.as_ref().map(ToString::to_string))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_their_statuses_are_errors() {
        let mut seen = std::collections::BTreeSet::new();
        for code in OAuthCode::ALL {
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
            assert!((400..600).contains(&code.status()));
        }
    }

    #[test]
    fn a_description_helps_the_makers_of_an_app_and_nobody_who_guesses() {
        for code in OAuthCode::ALL {
            let failure = Failure::new(*code, "pkce.missing", UserMessage::AppMisconfigured, "secret detail");
            let text = failure.expected("a", "b").description(Some("7K2M-9QXD-41RT"));
            // RFC 6749 §5.2: error_description
            assert!(text.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{text}");
            assert!(text.starts_with(code.meaning()), "{text}");
            let findable = *code != OAuthCode::InvalidClient;
            assert_eq!(text.ends_with("; reference 7K2M-9QXD-41RT"), findable, "{text}");
            assert!(!text.contains("secret detail"));
            let tells = !["invalid_client", "invalid_grant", "invalid_token"].contains(&code.as_str());
            assert_eq!(text.contains("(pkce.missing)"), tells, "{text}");
        }
        let person =
            Failure::new(OAuthCode::AccessDenied, "user.disabled", UserMessage::AccountNotActive, "");
        assert_eq!(person.description(None), "the person or a policy said no");
    }
}
