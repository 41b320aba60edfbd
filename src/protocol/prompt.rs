//! What the client wants the person to be asked (OIDC Core §3.1.2.1 `prompt`).

use crate::failure::Failure;
use serde::{Deserialize, Serialize};

/// The parsed `prompt` parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Show nothing: answer or fail.
    pub none: bool,
    /// Prove yourself again.
    pub login: bool,
    /// Ask for consent even if it is remembered.
    pub consent: bool,
    /// Let the person choose the account.
    pub select_account: bool,
}

impl Prompt {
    /// Parses the values, divided by spaces.
    ///
    /// # Errors
    /// `authorize.prompt`: `none` beside another value, or a value that we do not offer (OpenID Connect
    /// Prompt Create §4.1 tells to refuse it rather than to guess).
    pub fn parse(text: Option<&str>) -> Result<Self, Failure> {
        let mut prompt = Self::default();
        for value in text.unwrap_or_default().split(' ').filter(|v| !v.is_empty()) {
            match value {
                "none" => prompt.none = true,
                "login" => prompt.login = true,
                "consent" => prompt.consent = true,
                "select_account" => prompt.select_account = true,
                _ => {
                    return Err(Failure::invalid_request("authorize.prompt", "a prompt that is not offered"));
                }
            }
        }
        if prompt.none && (prompt.login || prompt.consent || prompt.select_account) {
            return Err(Failure::invalid_request("authorize.prompt", "prompt=none beside another value"));
        }
        Ok(prompt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oauth_026_none_stands_alone() {
        for bad in ["none login", "consent none", "none none select_account", "create", "NONE"] {
            assert!(Prompt::parse(Some(bad)).is_err(), "{bad}");
        }
        assert!(Prompt::parse(Some("none")).unwrap().none);
        let both = Prompt::parse(Some("login consent")).unwrap();
        assert!(both.login && both.consent && !both.none);
        assert_eq!(Prompt::parse(None).unwrap(), Prompt::default());
    }
}
