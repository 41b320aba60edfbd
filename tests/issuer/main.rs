//! Our issuer from outside: a whole broker on a port, asked over HTTP. Each attack stands beside a valid twin
//! that differs only in the attack and succeeds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/ear.rs"]
mod ear;

mod apps;
mod assertions;
mod audit;
mod authorize;
mod backchannel;
mod browsers;
mod claims;
mod codes;
mod form_post;
mod frontchannel;
mod house;
mod logout;
mod machines;
mod pairwise;
mod public;
#[path = "../support/publisher.rs"]
mod publisher;
mod pushed;
mod races;
mod refresh;
mod registration;
mod request_objects;
mod requests;
mod resources;
#[path = "../support/standin.rs"]
mod standin;
mod tenants;
mod userinfo;
