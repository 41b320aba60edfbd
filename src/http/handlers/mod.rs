//! One file per endpoint: read the request, call one function of `flow`, hand its outcome to `delivery`.

pub mod authorize;
pub mod callback;
pub mod consent;
pub mod discovery;
pub mod home;
pub mod invitation;
pub mod logout;
pub mod program;
pub mod resume;
pub mod sign_in;
pub mod statics;
