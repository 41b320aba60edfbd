//! Downstream requests, parsed once into types.

pub mod authorization;
pub mod parameters;
pub mod pkce;
pub mod prompt;
pub mod scope;

pub use authorization::AuthorizationRequest;
pub use parameters::Parameters;
pub use pkce::Challenge;
pub use prompt::Prompt;
pub use scope::Scope;
