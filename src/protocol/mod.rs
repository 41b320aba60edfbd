//! Downstream requests, parsed once into types.

pub mod authorization;
pub mod bearer;
pub mod claims;
pub mod logout;
pub mod parameters;
pub mod pkce;
pub mod prompt;
pub mod request_object;
pub mod response_mode;
pub mod scope;
pub mod token;

pub use authorization::AuthorizationRequest;
pub use claims::ClaimsRequest;
pub use logout::LogoutRequest;
pub use parameters::{MAX_MESSAGE, Parameters};
pub use pkce::Challenge;
pub use prompt::Prompt;
pub use response_mode::ResponseMode;
pub use scope::Scope;
pub use token::TokenRequest;
