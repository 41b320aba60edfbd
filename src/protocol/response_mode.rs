//! How the answer to an authorization request travels (OAuth 2.0 Multiple Response Types §2.1).

use crate::failure::Failure;
use serde::{Deserialize, Serialize};

/// The parsed `response_mode` parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of the redirect URI: the default of the code flow.
    #[default]
    Query,
    /// In a form that the browser posts to the redirect URI (OAuth 2.0 Form Post Response Mode §2).
    FormPost,
}

impl ResponseMode {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Query, Self::FormPost];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
        }
    }
    /// Parses the parameter; absent means the query.
    ///
    /// # Errors
    /// `authorize.response_mode`: any other word, exactly as written.
    pub fn parse(text: Option<&str>) -> Result<Self, Failure> {
        let Some(text) = text else { return Ok(Self::default()) };
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or_else(|| {
            Failure::invalid_request("authorize.response_mode", "a response mode that is not offered")
        })
    }
    /// Whether it is the default, which need not be written.
    pub fn is_query(&self) -> bool {
        *self == Self::Query
    }
}
