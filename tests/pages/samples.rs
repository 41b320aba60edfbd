//! One of every page, in each of its shapes, with texts of choice in every field.

use countersign::config::settings::Branding;
use countersign::failure::UserMessage;
use countersign::http::assets::Assets;
use countersign::http::pages::*;
use countersign::ids::{ProviderId, ReferenceId};
use countersign::upstream::presets;

/// The texts of the fields: those of an ordinary day, or one hostile text in all of them.
pub struct Words {
    text: Option<String>,
    unseen: bool,
}

impl Words {
    /// What an ordinary day brings.
    pub fn plain() -> Self {
        Self { text: None, unseen: false }
    }
    /// The same text everywhere: in what people see, in links and in hidden fields.
    pub fn hostile(text: &str) -> Self {
        Self { text: Some(text.to_owned()), unseen: true }
    }
    /// The same text in everything that people see.
    pub fn shown(text: &str) -> Self {
        Self { text: Some(text.to_owned()), unseen: false }
    }
    fn say(&self, ordinary: &str) -> String {
        self.text.clone().unwrap_or_else(|| ordinary.to_owned())
    }
    fn hide(&self, ordinary: &str) -> String {
        if self.unseen { self.say(ordinary) } else { ordinary.to_owned() }
    }
    fn app(&self) -> Option<AppLink> {
        let mut url = url::Url::parse("https://notes.example/").expect("a URL");
        if let Some(text) = self.text.as_ref().filter(|_| self.unseen) {
            url.query_pairs_mut().append_pair("q", text);
            url.set_fragment(Some(text));
        }
        Href::absolute(&url).map(|href| AppLink { name: self.say("Notes"), href })
    }
    fn fields(&self, fields: &[(&str, &str)]) -> Vec<Field> {
        fields.iter().map(|(name, value)| Field::new(self.hide(name), self.hide(value))).collect()
    }
    fn form(&self, providers: Vec<ProviderButton>) -> SignInForm {
        SignInForm {
            action: local("/sign-in"),
            flow: self.hide("csst_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMDE"),
            csrf: self.hide("c3JmLXRva2Vu"),
            providers,
            targets: vec!["https://globex.example".to_owned()],
            search: None,
        }
    }
    fn provider(&self, id: &str, name: &str, icon: Option<&str>, last_used: bool) -> ProviderButton {
        let id = ProviderId::new(id).expect("a provider id");
        let name = self.say(name);
        ProviderButton { icon: Icon::named(icon, &id, &name), id, name, last_used }
    }
}

/// The files of a house called Example ID, and of one with a logo and a colour that is hard to read.
pub fn assets() -> [Assets; 2] {
    [house("Example ID".to_owned()), branded_house("Sunflower".to_owned())]
}

fn house(name: String) -> Assets {
    let support = Some("https://help.example/sign-in".to_owned());
    Assets::new(&Branding { name, logo: None, accent: None, support }, "").expect("branding")
}

fn branded_house(name: String) -> Assets {
    let logo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/sunflower.svg");
    let accent = Some("#FFD400".to_owned());
    Assets::new(&Branding { name, logo: Some(logo), accent, support: None }, "").expect("branding")
}

fn local(path: &str) -> Href {
    Href::local(path).expect("a path")
}

fn reference() -> Option<ReferenceId> {
    ReferenceId::new("7K2M-Q9XD-4FTR").ok()
}

/// All of them, by name.
pub fn samples(words: &Words) -> Vec<(&'static str, Box<dyn Page>)> {
    let assets = house(words.say("Example ID"));
    let frame = || assets.frame();
    let branded = branded_house(words.say("Sunflower"));
    let few = |last: Option<&str>| {
        vec![
            words.provider("globex", "Globex", Some("building"), last == Some("globex")),
            words.provider("friendbook", "Friendbook", Some("people"), last == Some("friendbook")),
            words.provider("acme", "Acme Corporation", None, last == Some("acme")),
        ]
    };
    let many = || {
        [
            ("globex", "Globex", Some("building")),
            ("friendbook", "Friendbook", Some("people")),
            ("acme", "Acme Corporation", None),
            ("umbra", "Umbra", Some("key")),
            ("northwind", "Northwind Traders", None),
            ("initech", "Initech", None),
            ("hooli", "Hooli", Some("link")),
            ("soylent", "Soylent", None),
            ("tyrell", "Tyrell", None),
            ("wonka", "Wonka Industries", None),
            ("stark", "Stark", None),
            ("long", "The Very Long Named Federation of Universities and Research Institutes", None),
        ]
        .map(|(id, name, icon)| words.provider(id, name, icon, id == "friendbook"))
        .to_vec()
    };
    let presets = || -> Vec<ProviderButton> {
        let set = |preset: &presets::Preset, key: &str| -> Option<String> {
            let found = preset.sets().into_iter().find(|(name, _)| name == key);
            found.map(|(_, value)| value.trim_matches('"').to_owned())
        };
        presets::all()
            .iter()
            .filter_map(|preset| {
                let (name, icon) = (set(preset, "name")?, set(preset, "icon"));
                Some(words.provider(preset.name, &name, icon.as_deref(), preset.name == "google"))
            })
            .collect()
    };
    let deletion = |title: &str, text: &str| DeletionPage {
        frame: frame(),
        receipt: Some(Receipt {
            title: words.say(title),
            text: words.say(text),
            at: "2026-11-26T18:20:00Z".to_owned(),
            done_at: "26 November 2026, 18:20 UTC".to_owned(),
            kept_until: "24 February 2027, 18:20 UTC".to_owned(),
        }),
        typed: words.say("7zk2m9xd4ftr0aq5v8wn3hj6cb"),
        lost: false,
        action: local("/deletion"),
    };
    let chooser = |providers| ChooserPage {
        frame: frame(),
        app_name: words.say("Notes"),
        form: words.form(providers),
        notice: None,
        about: Vec::new(),
        cancel: words.app().map(|app| Way::Link(app.href)),
    };
    let searched = |providers, query: &str, more| {
        // A field that was searched is never empty, whatever was typed after its first letter.
        let query = query
            .split_at_checked(1)
            .map_or_else(String::new, |(first, rest)| first.to_owned() + &words.say(rest));
        let mut page = chooser(providers);
        page.form.search = Some(Search { query, more });
        page
    };
    let field = |(value, wrong): (&str, Option<String>)| TextField {
        value: words.say(value),
        wrong: wrong.map(|wrong| words.say(&wrong)),
    };
    let details = |name: Option<(&str, Option<String>)>, email: Option<(&str, Option<String>)>| DetailsPage {
        frame: frame(),
        app_name: words.say("Notes"),
        provider: words.say("Friendbook"),
        name: name.map(field),
        email: email.map(field),
        reference: None,
        action: local("/details"),
        flow: words.hide("csst_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMDE"),
        csrf: words.hide("c3JmLXRva2Vu"),
        ways: local("/sign-in?flow=csst_x"),
        cancel: words.app().map(|app| Way::Link(app.href)),
        targets: vec!["https://notes.example".to_owned()],
    };
    let code = |wrong: Option<String>| CodePage {
        frame: frame(),
        app_name: words.say("Notes"),
        email: words.say("alice@globex.example"),
        minutes: "10".to_owned(),
        wrong: wrong.map(|wrong| words.say(&wrong)),
        reference: None,
        action: local("/details"),
        flow: words.hide("csst_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMDE"),
        csrf: words.hide("c3JmLXRva2Vu"),
        cancel: words.app().map(|app| Way::Link(app.href)),
        targets: vec!["https://notes.example".to_owned()],
    };
    let message = |message: UserMessage| ErrorPage {
        title: words.say(message.title()),
        text: words.say(message.text()),
        ..ErrorPage::of(frame(), message, reference())
    };
    let notice = || Notice {
        title: words.say(UserMessage::ProviderUnavailable.title()),
        text: words.say(UserMessage::ProviderUnavailable.text()),
        reference: reference(),
    };
    let confirm = || LogoutConfirmPage {
        frame: frame(),
        account: Some(words.say("alice@globex.example")),
        action: local("/logout"),
        csrf: words.hide("c3JmLXRva2Vu"),
        fields: words.fields(&[("client_id", "demo-app"), ("state", "xyz")]),
        notice: None,
        onward: Some((words.say("Notes"), words.say("notes.example"))),
        stay: words.app().map(|app| app.href),
        targets: vec!["https://notes.example".to_owned()],
    };
    let signed_out = || SignedOutPage {
        frame: frame(),
        provider: Some(words.say("Globex")),
        notice: None,
        apps: Vec::new(),
        sources: Vec::new(),
        back_to_app: words.app(),
        leaving: None,
        by_itself: false,
        ancestors: Vec::new(),
    };
    let home = || HomePage {
        frame: frame(),
        person: None,
        issuer: words.say("https://id.example"),
        discovery: local("/.well-known/openid-configuration"),
    };
    vec![
        ("chooser", Box::new(chooser(few(Some("globex"))))),
        ("chooser-notice", Box::new(ChooserPage { notice: Some(notice()), ..chooser(few(None)) })),
        ("chooser-branded", Box::new(ChooserPage { frame: branded.frame(), ..chooser(few(None)) })),
        (
            "signed-out-branded",
            Box::new(SignedOutPage { frame: branded.frame(), provider: None, ..signed_out() }),
        ),
        (
            "chooser-form",
            Box::new(ChooserPage {
                cancel: Some(Way::Form {
                    action: Href::parse("https://notes.example/callback").unwrap(),
                    fields: words.fields(&[("error", "access_denied"), ("state", "xyz")]),
                }),
                ..chooser(few(None))
            }),
        ),
        ("chooser-many", Box::new(chooser(many()))),
        ("chooser-presets", Box::new(chooser(presets()))),
        ("chooser-none", Box::new(chooser(Vec::new()))),
        ("chooser-search", Box::new(searched(many(), "", true))),
        ("chooser-found", Box::new(searched(few(None), "g", true))),
        ("chooser-lost", Box::new(searched(Vec::new(), "Glubox", false))),
        (
            "consent",
            Box::new(ConsentPage {
                frame: frame(),
                app_name: words.say("Notes"),
                account: words.say("alice@globex.example"),
                scopes: [
                    ("openid", "know that it is you"),
                    ("profile", "see your name and picture"),
                    ("email", "see your e-mail address"),
                    ("groups", "see the groups you belong to"),
                    ("offline_access", "stay connected while you are away"),
                ]
                .iter()
                .map(|(name, text)| ScopeLine { name: words.say(name), text: words.say(text) })
                .collect(),
                destination: Some(words.say("notes.example")),
                about: [
                    ("About Notes", "https://notes.example/"),
                    ("Terms of Notes", "https://notes.example/terms"),
                ]
                .into_iter()
                .filter_map(|(text, to)| Some(AboutLink { text: words.say(text), href: Href::parse(to)? }))
                .collect(),
                action: local("/consent"),
                flow: words.hide("csst_Zm9v"),
                csrf: words.hide("c3JmLXRva2Vu"),
                targets: vec!["https://notes.example".to_owned()],
            }),
        ),
        (
            "error",
            Box::new(ErrorPage {
                retry: Some(local("/continue?flow=csst_Zm9v")),
                back_to_app: words.app(),
                other_ways: Some(words.form(few(None))),
                ..message(UserMessage::ProviderAnswerRefused)
            }),
        ),
        ("error-bare", Box::new(ErrorPage { home: Some(local("/")), ..message(UserMessage::UnknownApp) })),
        (
            "start-again",
            Box::new(StartAgainPage {
                frame: frame(),
                title: words.say(UserMessage::StartAgain.title()),
                text: words.say(UserMessage::StartAgain.text()),
                reference: reference(),
                start: words.app().map(|app| app.href),
                back_to_app: None,
                home: None,
            }),
        ),
        ("logout", Box::new(confirm())),
        ("signed-out", Box::new(signed_out())),
        (
            "signed-out-apps",
            Box::new(SignedOutPage {
                provider: None,
                apps: ["Notes", "Shop"]
                    .iter()
                    .filter_map(|name| Some(AppLink { name: words.say(name), ..words.app()? }))
                    .collect(),
                sources: vec!["https://notes.example".to_owned()],
                by_itself: true,
                ..signed_out()
            }),
        ),
        (
            "signed-out-leaving",
            Box::new(SignedOutPage {
                provider: None,
                apps: vec![AppLink { name: words.say("Notes"), ..words.app().expect("an app") }],
                sources: vec!["https://notes.example".to_owned()],
                leaving: Some(Leaving {
                    name: words.say("Acme"),
                    to_sign_out: true,
                    way: Way::Form {
                        action: Href::parse("https://acme.example/slo").expect("a URL"),
                        fields: words.fields(&[("SAMLRequest", "PHNhbWxwOkxvZ291dFJlcXVlc3QvPg==")]),
                    },
                    targets: vec!["https://acme.example".to_owned()],
                }),
                by_itself: true,
                back_to_app: None,
                ..signed_out()
            }),
        ),
        (
            "signed-out-answer",
            Box::new(SignedOutPage {
                provider: None,
                leaving: Some(Leaving {
                    name: words.say("Acme"),
                    to_sign_out: false,
                    way: Way::Link(Href::parse("https://acme.example/slo?SAMLResponse=x").expect("a URL")),
                    targets: Vec::new(),
                }),
                back_to_app: None,
                ancestors: vec!["https://acme.example".to_owned()],
                ..signed_out()
            }),
        ),
        (
            "signed-out-trouble",
            Box::new(SignedOutPage { provider: None, notice: Some(notice()), ..signed_out() }),
        ),
        ("logout-notice", Box::new(LogoutConfirmPage { notice: Some(notice()), onward: None, ..confirm() })),
        (
            "departure",
            Box::new(DeparturePage {
                frame: frame(),
                name: words.say("Globex"),
                href: words.app().map_or_else(|| local("/"), |app| app.href),
                ancestors: Vec::new(),
            }),
        ),
        (
            "autopost",
            Box::new(AutoPostPage {
                frame: frame(),
                recipient: words.say("Acme"),
                action: Href::parse("https://acme.example/sso").expect("a URL"),
                fields: words
                    .fields(&[("SAMLRequest", "PHNhbWxwOkF1dGhuUmVxdWVzdC8+"), ("RelayState", "csst_x")]),
                targets: vec!["https://acme.example".to_owned()],
                ancestors: Vec::new(),
            }),
        ),
        (
            "deletion",
            Box::new(deletion(
                &ENGLISH.deletion_done_title(),
                &ENGLISH.deletion_account(&words.say("Friendbook")),
            )),
        ),
        ("deletion-lost", Box::new(DeletionPage { receipt: None, lost: true, ..deletion("", "") })),
        ("home", Box::new(home())),
        (
            "home-signed-in",
            Box::new(HomePage {
                person: Some(Person {
                    account: words.say("alice@globex.example"),
                    apps: ["Notes", "Shop", "A very long name of an app that many people use"]
                        .iter()
                        .map(|name| AppLink { name: words.say(name), href: local("/apps/notes") })
                        .collect(),
                    sign_out: local("/logout"),
                }),
                ..home()
            }),
        ),
        ("details", Box::new(details(Some(("", None)), Some(("", None))))),
        ("details-email", Box::new(details(None, Some(("alice@globex.example", None))))),
        (
            "details-wrong",
            Box::new(DetailsPage {
                reference: reference(),
                ..details(
                    Some(("123", Some(ENGLISH.details_name_unfit()))),
                    Some(("alice@globex.example", Some(ENGLISH.details_email_taken()))),
                )
            }),
        ),
        ("code", Box::new(code(None))),
        ("code-wrong", Box::new(CodePage { reference: reference(), ..code(Some(ENGLISH.code_wrong("4"))) })),
        (
            "invitation",
            Box::new(InvitationPage {
                frame: frame(),
                inviter: Some(words.say("Carol of Globex")),
                address: Some(words.say("bob@globex.example")),
                action: local("/invitation"),
                token: words.hide("csiv_Zm9v"),
                csrf: words.hide("c3JmLXRva2Vu"),
                targets: Vec::new(),
            }),
        ),
    ]
}
