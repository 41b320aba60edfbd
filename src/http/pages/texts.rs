//! Every text of the pages, by key, in one place.
//!
//! A text is a method, so that a missing key or argument does not compile. Another language is another
//! table with the same keys; the messages of refusals stand in [`crate::failure::UserMessage`].

use super::parts::shown;

macro_rules! texts {
    ($($key:ident $(($($arg:ident),+))? = $text:literal;)*) => {
        /// The texts in one language.
        #[derive(Debug, PartialEq, Eq)]
        pub struct Texts {
            /// The language's tag (BCP 47), for `<html lang>`.
            pub lang: &'static str,
        }
        impl Texts {
            $(
                #[doc = $text]
                pub fn $key(&self $($(, $arg: &str)+)?) -> String {
                    $($(let $arg = shown($arg);)+)?
                    format!($text)
                }
            )*
            /// All keys, for tests and translators.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($key)),*];
        }
    };
}

/// English.
pub static ENGLISH: Texts = Texts { lang: "en" };

texts! {
    page_title(page, brand) = "{page} · {brand}";
    help = "Help";
    reference = "Reference";
    back_to(app) = "Back to {app}";
    cancel_to(app) = "Cancel and go back to {app}";
    try_again = "Try again";
    start_again = "Start again";
    start_page = "Go to the start page";
    other_ways = "Other ways to sign in";
    all_ways = "All ways to sign in";
    last_used = "Last used";
    signed_in_as = "Signed in as";
    no_ways = "No way to sign in is open to this app at the moment.";

    chooser_title(app) = "Sign in to {app}";
    chooser_lead = "Choose the account you want to use.";
    search_label = "Find your organisation";
    search_hint = "Name or work address";
    search_button = "Search";
    search_some = "These are the first. Look for yours if it is not among them.";
    search_many = "There are more. Type more of the name.";
    search_none = "Nothing was found. Try another word of the name, or your work address.";
    search_all = "Show the first ones again";
    continue_with(provider) = "Continue with {provider}";

    details_title = "One more thing";
    details_lead(provider, app) = "{provider} did not tell us everything that {app} needs. Please add what is missing.";
    details_name = "Your name";
    details_name_hint(app) = "As it should be shown in {app}.";
    details_name_empty = "Enter your name.";
    details_name_unfit = "Enter a name with at least one letter, of at most 100 characters, without invisible signs.";
    details_email = "Your e-mail address";
    details_email_hint = "We send you a code there, to make sure that it is yours.";
    details_email_empty = "Enter your e-mail address.";
    details_email_malformed = "This is not an e-mail address that we can write to. It looks like name@example.com.";
    details_email_undeliverable = "The mail server does not accept mail to this address. Check it, or use another one.";
    details_email_taken = "This address belongs to another account here. Use another one, or sign in to that account.";
    details_email_many = "Too many codes were sent lately. Wait an hour, then try again.";
    details_button = "Continue";
    details_ways = "Sign in another way";
    code_title = "Check your mail";
    code_lead = "We sent a code to";
    code_label = "Code";
    code_hint(minutes) = "8 digits. It works for {minutes} minutes, in this browser only.";
    code_malformed = "Enter the 8 digits of the code.";
    code_wrong(left) = "This is not the code that we sent last. Tries left: {left}.";
    code_over = "This code does not work any more. Get a new one.";
    code_many = "Too many codes were sent lately. Use the last one, or wait an hour.";
    code_resend = "Send a new code";
    code_change = "Use another address";
    code_note = "Nothing came? Look in your spam folder. Never tell the code to anybody.";

    consent_title(app) = "Allow {app} to use your account?";
    consent_lead(app) = "{app} would like to";
    consent_destination(host) = "If you allow it, you continue to {host}.";
    consent_note = "Only allow apps that you know and trust.";
    scope_openid = "know who you are: an id of yours that stays the same";
    scope_profile = "see your profile: your name, your picture, and details such as your date of birth";
    scope_email = "see your e-mail address";
    scope_address = "see your postal address";
    scope_phone = "see your telephone number";
    scope_groups = "see the groups you belong to";
    scope_roles = "see your roles";
    scope_permissions = "see what you are permitted to do";
    scope_offline = "keep this access while you are away";
    claim_name = "see your name";
    claim_given_name = "see your given name";
    claim_family_name = "see your family name";
    claim_middle_name = "see your middle name";
    claim_nickname = "see your nickname";
    claim_preferred_username = "see the user name that you prefer";
    claim_profile = "see the address of your profile page";
    claim_picture = "see your picture";
    claim_website = "see the address of your website";
    claim_gender = "see your gender";
    claim_birthdate = "see your date of birth";
    claim_zoneinfo = "see your time zone";
    claim_locale = "see your language";
    claim_updated_at = "see when your details last changed";
    allow = "Allow";
    deny = "Do not allow";

    about_site(app) = "About {app}";
    about_policy(app) = "How {app} uses your data";
    about_terms(app) = "Terms of {app}";

    departure_title(provider) = "Taking you to {provider}";
    departure_text = "If nothing happens, continue with the button.";
    departure_button(provider) = "Continue to {provider}";

    post_title = "One moment";
    post_text(recipient) = "Your browser is being sent on to {recipient}. If nothing happens, press the button.";
    post_button = "Continue";

    logout_title = "Do you want to sign out?";
    logout_text(brand) = "You will be signed out of {brand} in this browser.";
    logout_button = "Sign out";
    logout_stay = "Stay signed in";
    logout_onward(app, host) = "You then continue to {app} at {host}.";
    logout_wrong_title = "The app's request to sign out is not valid";
    logout_wrong_hint = "Its proof of who you are (id_token_hint) is not one of ours, so we cannot send you back to the app. You can still sign out here.";
    logout_wrong_client = "It does not name an app that we know, so we cannot send you back to the app. You can still sign out here.";
    logout_wrong_redirect = "The address to return to (post_logout_redirect_uri) is not registered for the app, so we will not send you there. You can still sign out here.";
    logout_wrong_alone = "It names an address to return to, but no app (id_token_hint or client_id is missing), so we will not send you there. You can still sign out here.";

    signed_out_title = "You are signed out";
    signed_out_text(brand) = "Your session at {brand} has ended in this browser.";
    signed_out_provider(provider) =
        "You may still be signed in at {provider}. On a shared computer, sign out there too.";
    signed_out_apps = "These apps are told to sign you out";
    signed_out_onward(app) = "You are being taken back to {app}.";
    signed_out_leaving(provider) = "Next, {provider} signs you out as well.";
    signed_out_partial_title(provider) = "{provider} could not sign you out everywhere";
    signed_out_partial_text = "You are signed out here, but some services that use the same sign-in did not confirm. To be safe, close all windows of this browser.";
    signed_out_unconfirmed_title(provider) = "{provider} did not confirm the sign-out";
    signed_out_unconfirmed_text = "You are signed out here. There, your session may go on.";

    deletion_title = "Deletion of your data";
    deletion_lead = "You asked for it at the service that you signed in with. Enter the confirmation code that you got there to see what became of it.";
    deletion_label = "Confirmation code";
    deletion_button = "Show";
    deletion_lost = "There is no receipt for this code. Compare it with the one that you were given. Receipts are kept for 90 days.";
    deletion_done_title = "Your data was deleted";
    deletion_nothing_title = "There was nothing to delete";
    deletion_nothing(provider) = "When you asked at {provider}, nothing that it had told us about you was stored here.";
    deletion_link(provider) =
        "The connection to {provider} was deleted, with everything that it had told us about you. Your account goes on with the other ways to sign in that you have.";
    deletion_account(provider) =
        "Your account here was deleted, with everything that {provider} had told us about you. You were signed out everywhere, and the apps that you used with it were told. What an app stored itself, only that app can delete: ask there.";
    deletion_suspended(provider) =
        "Everything that {provider} had told us about you was deleted, except the number by which it knows you. Your account is suspended, and we keep this number alone so that it stays suspended.";
    deletion_when = "Done on";
    deletion_until(date) = "This receipt is kept until {date}. It does not say who you are.";

    home_title(brand) = "Welcome to {brand}";
    home_text = "Apps send you here to sign in with an account that you already have. There is nothing to do on this page: open the app you want to use.";
    home_apps = "Your apps";
    home_developers = "For people who build apps";
    home_developers_text = "This is an OpenID Connect issuer. Point your app's library at it:";
    home_issuer = "Issuer";
    home_discovery = "Discovery document";

    invitation_title(brand) = "You are invited to {brand}";
    invitation_from(inviter) = "{inviter} invited you.";
    invitation_for(address) = "The invitation is for {address}.";
    invitation_text = "Accept it, then sign in with an account that you already have.";
    invitation_button = "Accept the invitation";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique() {
        let unique: std::collections::BTreeSet<_> = Texts::KEYS.iter().collect();
        assert_eq!(unique.len(), Texts::KEYS.len());
    }

    #[test]
    fn a_name_from_outside_cannot_turn_or_flood_a_sentence() {
        assert_eq!(ENGLISH.chooser_title("a\u{202e}b\nc"), "Sign in to ab c");
        assert!(ENGLISH.chooser_title(&"x".repeat(5000)).chars().count() < 200);
    }
}
