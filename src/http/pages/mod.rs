//! Pages: plain data in, HTML out. Nothing is decided here.
//!
//! No page needs JavaScript and none carries anything inline, so that [`content_security_policy`] can
//! forbid it. Texts from outside pass through [`parts::shown`] and the escaper of the templates; addresses
//! are of the type [`Href`], which cannot be a script.

mod brands;
mod parts;
mod texts;

pub use parts::{
    AboutLink, AppLink, Brand, Field, Frame, Href, Icon, Notice, ProviderButton, ScopeLine, Search,
    SignInForm, Way, form_target, initial, sentence, shown,
};
pub use texts::{ENGLISH, Texts};

use crate::failure::UserMessage;
use crate::ids::ReferenceId;
use askama::Template;

/// A page that can be answered with.
pub trait Page: Send {
    /// The page as HTML.
    ///
    /// # Errors
    /// [`askama::Error`] when formatting fails, which only a broken template does.
    fn render(&self) -> Result<String, askama::Error>;
    /// Where the page's forms may lead beside our own origin: sources for `form-action`.
    fn form_targets(&self) -> &[String] {
        &[]
    }
    /// Whether its forms post to our own origin.
    fn posts_home(&self) -> bool {
        true
    }
    /// Whether it loads a script of ours.
    fn has_script(&self) -> bool {
        false
    }
    /// What it loads in frames: sources for `frame-src`.
    fn frame_sources(&self) -> &[String] {
        &[]
    }
    /// Who may show it in a frame: sources for `frame-ancestors`.
    fn frame_ancestors(&self) -> &[String] {
        &[]
    }
}

/// The page's Content-Security-Policy (CSP Level 3): nothing inline, nothing foreign, forms only to its own
/// targets, frames only of its own sources.
pub fn content_security_policy(page: &dyn Page) -> String {
    let mut policy = String::from("default-src 'none'; style-src 'self'; img-src 'self' data:; ");
    if page.has_script() {
        policy.push_str("script-src 'self'; ");
    }
    // A source that is not one word could add a directive of its own: it is left out.
    let frames: Vec<&str> =
        page.frame_sources().iter().filter(|s| is_source(s)).map(String::as_str).collect();
    if !frames.is_empty() {
        policy.push_str(&format!("frame-src {}; ", frames.join(" ")));
    }
    policy.push_str("form-action");
    let targets = page.form_targets().iter().map(String::as_str).filter(|target| is_source(target));
    let home = page.posts_home().then_some("'self'");
    let mut sources = home.into_iter().chain(targets).peekable();
    if sources.peek().is_none() {
        policy.push_str(" 'none'");
    }
    for source in sources {
        policy.push(' ');
        policy.push_str(source);
    }
    policy.push_str("; frame-ancestors");
    let mut ancestors = page.frame_ancestors().iter().filter(|source| is_source(source)).peekable();
    if ancestors.peek().is_none() {
        policy.push_str(" 'none'");
    }
    for source in ancestors {
        policy.push(' ');
        policy.push_str(source);
    }
    policy.push_str("; base-uri 'none'");
    policy
}

/// `scheme:` or `scheme://host[:port]`, as [`form_target`] makes them.
fn is_source(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        && !matches!(scheme, "javascript" | "data" | "blob" | "filesystem");
    let placed = match rest.strip_prefix("//") {
        Some(authority) => !authority.is_empty() && authority.chars().all(host),
        None => rest.is_empty(),
    };
    named && placed
}

macro_rules! page {
    (
        $name:ident $(, targets $($targets:ident).+)? $(, script $script:literal)? $(, home $home:literal)?
        $(, ancestors $ancestors:ident)?
    ) => {
        impl Page for $name {
            fn render(&self) -> Result<String, askama::Error> {
                Template::render(self)
            }
            $(fn form_targets(&self) -> &[String] {
                &self.$($targets).+
            })?
            $(fn has_script(&self) -> bool {
                $script
            })?
            $(fn posts_home(&self) -> bool {
                $home
            })?
            $(fn frame_ancestors(&self) -> &[String] {
                &self.$ancestors
            })?
        }
    };
}

mod filters {
    /// Shows a name ([`super::shown`]); the escaper comes after it.
    #[askama::filter_fn]
    pub fn shown(text: &str, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::shown(text))
    }
    /// Shows a sentence ([`super::sentence`]); the escaper comes after it.
    #[askama::filter_fn]
    pub fn sentence(text: &str, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(super::sentence(text))
    }
}

/// The list of providers.
#[derive(Debug, Template)]
#[template(path = "chooser.html")]
pub struct ChooserPage {
    /// Around it.
    pub frame: Frame,
    /// The app that the person signs in to.
    pub app_name: String,
    /// The buttons.
    pub form: SignInForm,
    /// What went wrong before, if anything did.
    pub notice: Option<Notice>,
    /// What the app says of itself.
    pub about: Vec<AboutLink>,
    /// Back to the app with `access_denied`.
    pub cancel: Option<Way>,
}
page!(ChooserPage, targets form.targets);

/// May the app use the account? It posts `flow`, `csrf` and `decision`, which is `allow` or `deny`.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub struct ConsentPage {
    /// Around it.
    pub frame: Frame,
    /// Who asks.
    pub app_name: String,
    /// Who is asked: an address or a name.
    pub account: String,
    /// What is asked for.
    pub scopes: Vec<ScopeLine>,
    /// The host that the answer goes to, so that a false app is noticed.
    pub destination: Option<String>,
    /// What the app says of itself.
    pub about: Vec<AboutLink>,
    /// Where it posts.
    pub action: Href,
    /// The handle of the sign-in.
    pub flow: String,
    /// The form's token.
    pub csrf: String,
    /// Where it may lead ([`form_target`]): the app.
    pub targets: Vec<String>,
}
page!(ConsentPage, targets targets);

/// What a provider did not tell and the house requires. It posts `flow`, `csrf`, `action` (which is `details`), and
/// the fields that it has.
#[derive(Debug, Template)]
#[template(path = "details.html")]
pub struct DetailsPage {
    /// Around it.
    pub frame: Frame,
    /// The app that the person signs in to.
    pub app_name: String,
    /// The provider that did not tell.
    pub provider: String,
    /// The name, if it is asked for.
    pub name: Option<TextField>,
    /// The address, if it is asked for.
    pub email: Option<TextField>,
    /// What an operator can look up.
    pub reference: Option<ReferenceId>,
    /// Where it posts.
    pub action: Href,
    /// The handle of the sign-in.
    pub flow: String,
    /// The form's token.
    pub csrf: String,
    /// The list of providers.
    pub ways: Href,
    /// Back to the app with `access_denied`.
    pub cancel: Option<Way>,
    /// Where it may lead ([`form_target`]): the app.
    pub targets: Vec<String>,
}
page!(DetailsPage, targets targets);

/// A field that a person fills in.
#[derive(Debug)]
pub struct TextField {
    /// What stands in it.
    pub value: String,
    /// What is wrong with it.
    pub wrong: Option<String>,
}

/// The code that was mailed. It posts `flow`, `csrf`, `code`, and `action`: `code`, `resend` or `change`.
#[derive(Debug, Template)]
#[template(path = "code.html")]
pub struct CodePage {
    /// Around it.
    pub frame: Frame,
    /// The app that the person signs in to.
    pub app_name: String,
    /// Where the code went.
    pub email: String,
    /// For how many minutes it works.
    pub minutes: String,
    /// What was wrong with the last one.
    pub wrong: Option<String>,
    /// What an operator can look up.
    pub reference: Option<ReferenceId>,
    /// Where it posts.
    pub action: Href,
    /// The handle of the sign-in.
    pub flow: String,
    /// The form's token.
    pub csrf: String,
    /// Back to the app with `access_denied`.
    pub cancel: Option<Way>,
    /// Where it may lead ([`form_target`]): the app.
    pub targets: Vec<String>,
}
page!(CodePage, targets targets);

/// Something did not work. There is always a way on.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// Around it.
    pub frame: Frame,
    /// A few words.
    pub title: String,
    /// What happened and what to do.
    pub text: String,
    /// What an operator can look up.
    pub reference: Option<ReferenceId>,
    /// The same step again.
    pub retry: Option<Href>,
    /// Back to the app.
    pub back_to_app: Option<AppLink>,
    /// Other providers, where the sign-in is still open.
    pub other_ways: Option<SignInForm>,
    /// Our start page, where nothing else leads on.
    pub home: Option<Href>,
}

impl ErrorPage {
    /// The page of a message, without ways on.
    pub fn of(frame: Frame, message: UserMessage, reference: Option<ReferenceId>) -> Self {
        Self {
            frame,
            title: message.title().to_owned(),
            text: message.text().to_owned(),
            reference,
            retry: None,
            back_to_app: None,
            other_ways: None,
            home: None,
        }
    }
}

impl Page for ErrorPage {
    fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }
    fn form_targets(&self) -> &[String] {
        self.other_ways.as_ref().map_or(&[], |form| &form.targets)
    }
}

/// The sign-in is over, expired, or belongs to another browser; one button begins a new one.
#[derive(Debug, Template)]
#[template(path = "start_again.html")]
pub struct StartAgainPage {
    /// Around it.
    pub frame: Frame,
    /// A few words.
    pub title: String,
    /// What happened.
    pub text: String,
    /// What an operator can look up.
    pub reference: Option<ReferenceId>,
    /// Begins a new sign-in: the app's own start, or the request anew.
    pub start: Option<Href>,
    /// Back to the app.
    pub back_to_app: Option<AppLink>,
    /// Our start page, where nothing else leads on.
    pub home: Option<Href>,
}
page!(StartAgainPage);

/// Sign out? For a logout request that does not prove who asks (OIDC RP-Initiated Logout §2).
#[derive(Debug, Template)]
#[template(path = "logout.html")]
pub struct LogoutConfirmPage {
    /// Around it.
    pub frame: Frame,
    /// Who is signed in.
    pub account: Option<String>,
    /// Where it posts.
    pub action: Href,
    /// The form's token.
    pub csrf: String,
    /// The request's own parameters, sent again.
    pub fields: Vec<Field>,
    /// What was wrong with the request, if anything was.
    pub notice: Option<Notice>,
    /// Where the person goes on to afterwards: the app's name and the host.
    pub onward: Option<(String, String)>,
    /// Where *Stay signed in* leads.
    pub stay: Option<Href>,
    /// Where it may lead ([`form_target`]).
    pub targets: Vec<String>,
}
page!(LogoutConfirmPage, targets targets);

/// Signed out. Where other apps must notice in the browser (OIDC Front-Channel Logout 1.0), it loads their
/// pages out of sight; then it leads on, if there is a way on.
#[derive(Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOutPage {
    /// Around it.
    pub frame: Frame,
    /// The provider where a session may go on.
    pub provider: Option<String>,
    /// What was wrong with the request, if anything was.
    pub notice: Option<Notice>,
    /// The apps that are signed out in this browser: what is loaded for each.
    pub apps: Vec<AppLink>,
    /// Their origins ([`form_target`]).
    pub sources: Vec<String>,
    /// Back to the app.
    pub back_to_app: Option<AppLink>,
    /// On to a provider, before everything else.
    pub leaving: Option<Leaving>,
    /// Whether it goes there by itself.
    pub by_itself: bool,
    /// Who may show it in a frame: the provider that signs its people out by frames.
    pub ancestors: Vec<String>,
}

/// From the signed-out page on to a provider.
#[derive(Debug)]
pub struct Leaving {
    /// The provider.
    pub name: String,
    /// Whether it is to sign out there too; else the provider asked, and gets its answer.
    pub to_sign_out: bool,
    /// How.
    pub way: Way,
    /// Where the form leads ([`form_target`]); none for a link.
    pub targets: Vec<String>,
}

impl SignedOutPage {
    /// After how many seconds the page goes on without a script: with frames, so long that they have begun.
    /// Browsers count from when everything has loaded.
    fn pause(&self) -> u8 {
        if self.apps.is_empty() { 0 } else { 1 }
    }
    /// The address to which it goes by itself, where that is no form.
    fn onward(&self) -> Option<&Href> {
        let way = match &self.leaving {
            Some(Leaving { way: Way::Link(href), .. }) => Some(href),
            Some(Leaving { way: Way::Form { .. }, .. }) => None,
            None => self.back_to_app.as_ref().map(|app| &app.href),
        };
        way.filter(|_| self.by_itself)
    }
}

impl Page for SignedOutPage {
    fn render(&self) -> Result<String, askama::Error> {
        Template::render(self)
    }
    fn has_script(&self) -> bool {
        self.by_itself && !self.apps.is_empty()
    }
    fn form_targets(&self) -> &[String] {
        self.leaving.as_ref().map_or(&[], |leaving| &leaving.targets)
    }
    fn posts_home(&self) -> bool {
        self.form_targets().is_empty()
    }
    fn frame_sources(&self) -> &[String] {
        &self.sources
    }
    fn frame_ancestors(&self) -> &[String] {
        &self.ancestors
    }
}

/// Leaves for a provider after a POST. The page ends the chain of redirects, so that `form-action` need not
/// name every host through which a provider leads its people.
#[derive(Debug, Template)]
#[template(path = "departure.html")]
pub struct DeparturePage {
    /// Around it.
    pub frame: Frame,
    /// The provider's (or app's) name.
    pub name: String,
    /// Where to.
    pub href: Href,
    /// Who may show it in a frame.
    pub ancestors: Vec<String>,
}
page!(DeparturePage, ancestors ancestors);

/// A form that posts itself, with a button where scripts are off.
#[derive(Debug, Template)]
#[template(path = "autopost.html")]
pub struct AutoPostPage {
    /// Around it.
    pub frame: Frame,
    /// Who gets it: an app or a provider.
    pub recipient: String,
    /// Where it posts.
    pub action: Href,
    /// What it posts.
    pub fields: Vec<Field>,
    /// Where it may lead ([`form_target`]).
    pub targets: Vec<String>,
    /// Who may show it in a frame.
    pub ancestors: Vec<String>,
}
page!(AutoPostPage, targets targets, script true, home false, ancestors ancestors);

/// What stands at `/`.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub struct HomePage {
    /// Around it.
    pub frame: Frame,
    /// Who is signed in.
    pub person: Option<Person>,
    /// Our issuer identifier.
    pub issuer: String,
    /// The discovery document.
    pub discovery: Href,
}
page!(HomePage);

/// A signed-in person, on the start page.
#[derive(Debug)]
pub struct Person {
    /// An address or a name.
    pub account: String,
    /// The apps that can be started from here.
    pub apps: Vec<AppLink>,
    /// Where the button *Sign out* leads.
    pub sign_out: Href,
}

/// An invitation, before it is accepted. Reading it changes nothing; the button posts `token` and `csrf`.
#[derive(Debug, Template)]
#[template(path = "invitation.html")]
pub struct InvitationPage {
    /// Around it.
    pub frame: Frame,
    /// Who invites.
    pub inviter: Option<String>,
    /// The address it is bound to.
    pub address: Option<String>,
    /// Where it posts.
    pub action: Href,
    /// The invitation's token.
    pub token: String,
    /// The form's token.
    pub csrf: String,
    /// Where it may lead ([`form_target`]).
    pub targets: Vec<String>,
}
page!(InvitationPage, targets targets);

/// What became of a deletion that somebody asked for at a provider; without a receipt, a form for the code.
#[derive(Debug, Template)]
#[template(path = "deletion.html")]
pub struct DeletionPage {
    /// Around it.
    pub frame: Frame,
    /// What became of it.
    pub receipt: Option<Receipt>,
    /// The code as it was typed.
    pub typed: String,
    /// There is no receipt of that code.
    pub lost: bool,
    /// Where the form leads.
    pub action: Href,
}
page!(DeletionPage);

/// What became of a deletion, in words.
#[derive(Debug)]
pub struct Receipt {
    /// A few words.
    pub title: String,
    /// What was deleted.
    pub text: String,
    /// When, for programs (RFC 3339).
    pub at: String,
    /// When, for people.
    pub done_at: String,
    /// Until when the receipt is kept.
    pub kept_until: String,
}
