//! Whom an `[[assign]]` means by a provider's subject, and what a preset's proof of an address is about.

use super::*;
use crate::accounts::{Account, AccountStatus, Identity, IdentityKey, Profile};
use crate::config::settings::Who;
use crate::ids::{AccountId, IdentityId, ProviderId};

const TENANT: &str = "11111111-1111-4111-8111-111111111111";

/// What comes of these files.
fn with(providers: &str, assign: &str) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("providers.toml"), providers).unwrap();
    let config = format!("{HEAD}[roles.admin]\n[[assign]]\nroles = \"admin\"\n{assign}\n");
    read(folder.path(), &config).map_err(|report| report.render(false))
}

fn who(providers: &str, assign: &str) -> Who {
    let loaded = with(providers, assign).unwrap_or_else(|said| panic!("{assign}\n{said}"));
    loaded.settings.assignments[0].who.clone()
}

fn means(issuer: &str) -> Who {
    let (provider, issuer, subject) = (ProviderId::new("globex").unwrap(), issuer.to_owned(), "1".to_owned());
    Who::Subject { provider, issuer, subject }
}

#[test]
fn a_subject_is_of_the_issuer_that_the_provider_has() {
    let subject = "provider = \"globex\"\nsubject = \"1\"";
    let oauth2 = GLOBEX
        .replace("kind = \"oidc\"", "kind = \"oauth2\"")
        .replace("issuer = ", "# issuer = ")
        .replace("authoritative_for", "# authoritative_for");
    let oauth2 = format!(
        "{oauth2}authorize_url = \"https://f.test/a\"\ntoken_url = \"https://f.test/t\"\n\
         userinfo_url = \"https://f.test/me\"\nsubject = \"id\"\n"
    );
    let saml = "[[provider]]\nid = \"globex\"\nkind = \"saml\"\nname = \"A\"\nentity_id = \"https://s.test/idp\"\n\
                metadata_url = \"https://s.test/m\"\ntrust_metadata_url = true\nprovisioning = \"open\"\n";
    for (providers, issuer) in
        [(GLOBEX, "https://globex.test"), (&oauth2, "https://f.test"), (saml, "https://s.test/idp")]
    {
        assert_eq!(who(providers, subject), means(issuer));
        assert_eq!(who(providers, &format!("{subject}\nissuer = \"{issuer}\"")), means(issuer));
        let said = with(providers, &format!("{subject}\nissuer = \"https://other.test\"")).unwrap_err();
        assert!(said.contains("[config.contradiction]") && said.contains("https://other.test"), "{said}");
    }
    let said = with(GLOBEX, "email = \"a@b.test\"\nissuer = \"https://globex.test\"").unwrap_err();
    assert!(said.contains("`issuer` needs `provider`"), "{said}");
}

#[test]
fn where_each_tenant_is_an_issuer_the_subject_needs_its_own() {
    let microsoft = |more: &str| {
        format!(
            "[[provider]]\nid = \"globex\"\npreset = \"microsoft-multitenant\"\nclient_id = \"c\"\n\
             client_secret = \"env:STRONG\"\nprovisioning = \"open\"\n{more}"
        )
    };
    let issuer = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let subject = "provider = \"globex\"\nsubject = \"1\"";
    let one = microsoft(&format!("tenants = [\"{TENANT}\"]\n"));
    let said = with(&one, subject).unwrap_err();
    assert!(said.contains("an issuer for each tenant") && said.contains("countersign.toml:"), "{said}");
    let named = |tenant: &str| format!("{subject}\nissuer = \"{}\"", issuer(tenant));
    assert_eq!(who(&one, &named(TENANT)), means(&issuer(TENANT)));
    let other = "22222222-2222-4222-8222-222222222222";
    assert!(with(&one, &named(other)).unwrap_err().contains("[config.contradiction]"));
    assert_eq!(who(&microsoft("tenants = \"any\"\n"), &named(other)), means(&issuer(other)));
}

/// Somebody else may have the same subject where a provider's place was taken by another issuer.
#[test]
fn only_an_identity_of_that_issuer_is_meant() {
    let account = Account {
        id: AccountId::new("account-1").unwrap(),
        status: AccountStatus::Active,
        profile: Profile::default(),
        emails: Vec::new(),
        created_at: crate::context::Timestamp(0),
        updated_at: crate::context::Timestamp(0),
    };
    let identity = |provider: &str, issuer: &str, subject: &str| Identity {
        id: IdentityId::new("identity-1").unwrap(),
        account: account.id.clone(),
        key: IdentityKey {
            provider: ProviderId::new(provider).unwrap(),
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            format: String::new(),
        },
        label: None,
        linked_at: crate::context::Timestamp(0),
        last_used_at: crate::context::Timestamp(0),
    };
    let meant = means("https://globex.test");
    assert!(meant.is(&account, &[identity("globex", "https://globex.test", "1")]));
    for (provider, issuer, subject) in [
        ("globex", "https://other.test", "1"),
        ("other", "https://globex.test", "1"),
        ("globex", "https://globex.test", "2"),
    ] {
        assert!(!meant.is(&account, &[identity(provider, issuer, subject)]), "{provider} {issuer} {subject}");
    }
    assert!(!meant.is(&account, &[]));
}

#[test]
fn a_presets_proof_is_about_its_own_address() {
    let google = |more: &str| {
        format!(
            "[[provider]]\nid = \"google\"\npreset = \"google\"\nclient_id = \"c\"\n\
             client_secret = \"env:STRONG\"\nprovisioning = \"open\"\n{more}"
        )
    };
    let check = |providers: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("providers.toml"), providers).unwrap();
        read(folder.path(), HEAD).map(drop).map_err(|report| report.render(false))
    };
    let another = "[provider.profile]\nemail = \"claims.preferred_username\"\n";
    let said = check(&google(another)).unwrap_err();
    assert!(said.contains("[config.contradiction]") && said.contains("providers.toml:8:"), "{said}");
    for fine in [
        "".to_owned(),
        "[provider.profile]\nname = \"claims.nickname\"\n".to_owned(),
        "[provider.profile]\nemail = \"claims.email\"\n".to_owned(),
        "[provider.profile]\nemail = \"\"\n".to_owned(),
        format!("email_verified = \"false\"\n{another}"),
    ] {
        check(&google(&fine)).unwrap_or_else(|said| panic!("{fine}\n{said}"));
    }
    // Where the preset takes the address from elsewhere, that place is its own.
    let kakao = google("[provider.profile]\nemail = \"claims.kakao_account.email\"\n");
    check(&kakao.replace("preset = \"google\"", "preset = \"kakao\"")).unwrap();
    let kakao = kakao.replace("kakao_account.email", "email");
    assert!(check(&kakao.replace("preset = \"google\"", "preset = \"kakao\"")).is_err());
    // A provider without a preset says itself what its proof is about.
    let generic = format!("{GLOBEX}email_verified = \"claims.ok\"\n{another}");
    check(&generic).unwrap();
    let both = check(&google("email_verified_text = true\n")).unwrap_err();
    assert!(both.contains("says already where the proof is found"), "{both}");
}

#[test]
fn trust_in_a_proof_that_nobody_asks_for_is_warned_of() {
    let check = |more: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("providers.toml"), format!("{GLOBEX}{more}")).unwrap();
        read(folder.path(), HEAD)
            .unwrap_or_else(|report| panic!("{}", report.render(false)))
            .report
            .render(false)
    };
    let warned = check("pass = []\nfreshness = \"trusted\"\n");
    assert!(
        warned.contains("warning[config.freshness]") && warned.contains("providers.toml:11:"),
        "{warned}"
    );
    assert!(!check("freshness = \"trusted\"\n").contains("config.freshness"));
    let kept_back = check("pass = []\n");
    assert!(kept_back.contains("config.freshness") && kept_back.contains("is refused"), "{kept_back}");
    for sound in ["pass = ['prompt']\n", "pass = ['max_age']\n", "pass = []\nauth_time = false\n"] {
        assert!(!check(sound).contains("config.freshness"), "{sound}");
    }
}
