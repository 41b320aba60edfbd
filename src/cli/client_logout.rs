//! The options of `countersign client add` about the end of sessions, and where a sign-in begins.

use crate::clients::Client;
use crate::clients::metadata::LogoutChannels;
use clap::Args;

/// How it is told that a session ended, and where a sign-in begins
#[derive(Args)]
#[command(next_help_heading = "Starting and signing out")]
pub struct Logout {
    /// Where a sign-in that somebody else starts begins (OIDC Core §4); the link /apps/ID leads there
    #[arg(long, value_name = "URL")]
    pub initiate_login_uri: Option<String>,
    /// Where it is told, from server to server, that a session ended
    #[arg(long, value_name = "URL")]
    backchannel_logout_uri: Option<String>,
    /// It must know which session of the person ended
    #[arg(long, requires = "backchannel_logout_uri")]
    backchannel_logout_session_required: bool,
    /// What a browser loads when it signs out; on the host of a redirect URI
    #[arg(long, value_name = "URL")]
    frontchannel_logout_uri: Option<String>,
    /// `iss` and `sid` must be added to it
    #[arg(long, requires = "frontchannel_logout_uri")]
    frontchannel_logout_session_required: bool,
}

impl Logout {
    /// What they say of a client's logout.
    pub fn channels(self) -> LogoutChannels {
        LogoutChannels {
            backchannel_uri: self.backchannel_logout_uri,
            backchannel_session_required: self.backchannel_logout_session_required,
            frontchannel_uri: self.frontchannel_logout_uri,
            frontchannel_session_required: self.frontchannel_logout_session_required,
        }
    }
}

/// What `countersign client show` says of them; what is empty is left out.
pub fn facts(client: &Client) -> Vec<(&'static str, String)> {
    vec![
        ("starts at", client.sign_in.initiate_login_uri.clone().unwrap_or_default()),
        ("back-channel", client.logout.backchannel_uri.clone().unwrap_or_default()),
        ("front-channel", client.logout.frontchannel_uri.clone().unwrap_or_default()),
    ]
}
