//! A preset and the table that names it.

use super::*;
use countersign::upstream::presets;
use toml::Spanned;
use toml::de::DeTable;

fn errors(text: &str) -> Vec<(String, String)> {
    let table = DeTable::parse(text).unwrap();
    let span = table.span();
    let errors = Provider::from_table(Spanned::new(span, table.into_inner())).unwrap_err();
    errors
        .iter()
        .map(|error| {
            let place = error.span().and_then(|span| text.get(span)).unwrap_or("").to_owned();
            (error.message().to_owned(), place)
        })
        .collect()
}

#[test]
fn whatever_the_table_says_comes_first() {
    let more =
        format!("{SECRET}name = \"Staff\"\nscopes = [\"openid\"]\nclient_auth = \"client_secret_basic\"");
    let provider = fixed("google", &more);
    assert_eq!(provider.common.name, "Staff");
    let settings = fixed_oidc("google", &more);
    assert_eq!(settings.scopes, ["openid"]);
    assert_eq!(settings.issuer.text, "https://accounts.google.com");
}

#[test]
fn tables_are_overridden_entry_by_entry() {
    let more = format!(
        "{SECRET}userinfo_params = {{ locale = \"en\" }}\nreauthenticate_params = {{ auth_type = \"\" }}\n\
         [profile]\nnickname = \"claims.short_name\"\npicture = \"\""
    );
    let provider = fixed("facebook", &more);
    let settings = fixed_oauth2("facebook", &more);
    assert_eq!(settings.userinfo_params["locale"], "en");
    assert!(settings.userinfo_params["fields"].starts_with("id,name"));
    assert!(settings.reauthenticate_params.is_empty(), "an empty text takes an entry out");
    assert_eq!(provider.common.profile.len(), 4, "{:?}", provider.common.profile);
}

#[test]
fn an_empty_text_takes_out_what_a_preset_says() {
    let own = "emails_url = \"\"\nemail_verified = \"claims.verified\"\n[profile]\nemail = \"claims.email\"";
    let settings = fixed_oauth2("github", &format!("{SECRET}{own}"));
    assert!(settings.emails_url.is_none() && settings.email_verified.is_some());
    assert!(fixed_oidc("slack", SECRET).subject_within.is_some());
    assert!(fixed_oidc("slack", &format!("{SECRET}subject_within = \"\"")).subject_within.is_none());
    let said = errors(&format!("preset = \"google\"\nissuer = \"\"\n{TABLE}{SECRET}"));
    assert!(said.iter().any(|(message, _)| message == "missing field `issuer`"), "{said:?}");
}

#[test]
fn mistakes_point_at_what_caused_them() {
    let base = format!("{TABLE}{SECRET}");
    let said = |text: &str| errors(&format!("{text}\n{base}"));
    let unknown = said("preset = \"gogle\"");
    assert!(
        unknown.iter().any(|(message, place)| message.contains("unknown variant") && place == "\"gogle\"")
    );
    let both = said("preset = \"google\"\nkind = \"oidc\"");
    assert_eq!(both.len(), 1, "{both:?}");
    assert!(both[0].0.contains("remove `kind`") && both[0].1 == "\"oidc\"");
    let missing = said("preset = \"microsoft\"");
    assert_eq!(missing, [("missing field `tenant`".to_owned(), missing[0].1.clone())]);
    let wrong = said("preset = \"microsoft\"\ntenant = \"contoso\"");
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].0.contains("not a UUID") && wrong[0].1 == "\"contoso\"", "{wrong:?}");
    let address = said("preset = \"github-enterprise\"\nbase_url = \"github.globex.example\"");
    assert!(address.iter().all(|(_, place)| place == "\"github.globex.example\""), "{address:?}");
    let foreign = said("preset = \"google\"\nsubject = \"id\"");
    assert!(foreign.iter().any(|(message, _)| message.contains("unknown field `subject`")), "{foreign:?}");
}

#[test]
fn a_parameter_is_not_needed_where_the_table_says_it_all() {
    let more = format!("{SECRET}issuer = \"https://id.globex.example\"");
    assert_eq!(fixed_oidc("microsoft", &more).issuer.text, "https://id.globex.example");
}

#[test]
fn every_preset_is_read_and_says_what_it_is() {
    let all = presets::all();
    assert_eq!(all.len(), presets::NAMES.len());
    assert!(presets::NAMES.is_sorted());
    for preset in all {
        assert!(!preset.about.is_empty() && !preset.docs.is_empty(), "{}", preset.name);
        for address in preset.docs.iter().chain([&preset.register]) {
            assert!(address.starts_with("https://"), "{address}");
        }
        for deviation in &preset.deviations {
            assert!(!deviation.theirs.is_empty() && !deviation.ours.is_empty() && !deviation.rule.is_empty());
        }
        assert!(!preset.sets().is_empty() && countersign::upstream::kinds::keys(preset.kind()).is_some());
    }
}

#[test]
fn no_preset_gives_anybody_an_account_or_proof_of_an_address() {
    // whom to trust with what is the operator's word
    for preset in presets::all() {
        for (key, _) in preset.sets() {
            let ours = [
                "authoritative_for",
                "provisioning",
                "linking",
                "map",
                "allow_loopback",
                "allow_private_network",
            ];
            assert!(!ours.contains(&key.as_str()), "{}: {key}", preset.name);
        }
    }
}

/// Without PKCE and nonce nothing ties a code to the browser that asked for it (OIDC-051). Where a provider takes
/// neither, its page says so.
#[test]
fn oidc_051_a_preset_binds_codes_to_browsers_or_says_that_it_cannot() {
    let mut without = Vec::new();
    for preset in presets::all() {
        let set = |key: &str| preset.sets().into_iter().any(|(name, value)| name == key && value == "false");
        let bound = match preset.kind() {
            "oidc" => !(set("pkce") && set("nonce")),
            "oauth2" => !set("pkce"),
            _ => continue,
        };
        let told = preset.deviations.iter().any(|one| one.ours.contains("Whoever gets hold of a code"));
        assert_eq!(told, !bound, "{}", preset.name);
        if !bound {
            without.push(preset.name);
        }
    }
    assert_eq!(without, ["bitbucket", "facebook", "linkedin", "naver", "paypal"]);
}
