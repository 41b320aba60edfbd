//! Tries the pages as a whole: what they look like to a parser, whatever stands in their fields.
//!
//! `samples_are_written` also leaves every page as a file, with its policy, for `pages.test.mjs`, which looks
//! at them in a browser.

mod markup;
mod samples;

use countersign::http::pages::{Href, Icon, Page, content_security_policy, form_target};
use countersign::upstream::settings::ICONS;
use markup::{Tag, tags};
use proptest::prelude::*;
use samples::{Words, assets, samples};
use std::collections::BTreeMap;
use std::path::Path;
use url::Url;

fn html(page: &dyn Page) -> String {
    page.render().expect("the template renders")
}

/// The names of tags and attributes, in order, without any value.
fn structure(html: &str) -> Vec<(String, Vec<String>)> {
    tags(html)
        .into_iter()
        .map(|t| (t.name, t.attributes.into_iter().map(|(name, _)| name).collect()))
        .collect()
}

/// What the configuration takes for an icon is drawn, and what is drawn it takes.
#[test]
fn an_icon_that_can_be_named_is_there() {
    let drawn = |name: &str| {
        let id = countersign::ids::ProviderId::new("p").unwrap();
        !matches!(Icon::named(Some(name), &id, "P"), Icon::Monogram { .. })
    };
    // brands that let nobody draw their mark: `templates/icons/brands/README.md`
    let letters = ["linkedin", "slack", "yahoo"];
    for name in ICONS {
        assert_eq!(drawn(name), !letters.contains(name), "{name}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in std::fs::read_dir(root.join("templates/icons/brands")).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert_eq!(file.extension().is_some_and(|is| is == "svg"), ICONS.contains(&name), "{name}");
    }
    let page = std::fs::read_to_string(root.join("docs/configuration.md")).unwrap();
    let row = page.lines().find(|line| line.starts_with("| `icon`")).unwrap();
    // the names of kinds are other words for two of them
    for name in ICONS.iter().filter(|name| !["oidc", "oauth2"].contains(name)) {
        assert!(row.contains(&format!("`{name}`")), "{name} is not documented");
    }
}

#[test]
fn samples_are_written() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("static")).unwrap();
    for assets in assets() {
        for name in assets.names() {
            std::fs::write(folder.join("static").join(name), &assets.get(name).unwrap().body).unwrap();
        }
    }
    let mut policies = BTreeMap::new();
    for (name, page) in samples(&Words::plain()) {
        std::fs::write(folder.join(format!("{name}.html")), html(page.as_ref())).unwrap();
        policies.insert(name, content_security_policy(page.as_ref()));
    }
    std::fs::write(folder.join("policies.json"), serde_json::to_vec_pretty(&policies).unwrap()).unwrap();
}

#[test]
fn every_page_looks_as_it_did() {
    let names: Vec<String> =
        assets().iter().flat_map(|a| a.names().map(str::to_owned).collect::<Vec<_>>()).collect();
    for (name, page) in samples(&Words::plain()) {
        let mut html = html(page.as_ref());
        for file in &names {
            // Names without their hash, so that a change of the sheet is not a change of every page.
            let (stem, rest) = file.split_once('-').unwrap();
            let (_, extension) = rest.rsplit_once('.').unwrap();
            html = html.replace(file, &format!("{stem}.{extension}"));
        }
        insta::assert_snapshot!(name, html);
    }
}

#[test]
fn every_page_has_its_landmarks() {
    for (name, page) in samples(&Words::plain()) {
        let tags = tags(&html(page.as_ref()));
        let count = |wanted: &str| tags.iter().filter(|t| t.name == wanted).count();
        for once in ["html", "title", "header", "main", "h1"] {
            assert_eq!(count(once), 1, "{name}: <{once}>");
        }
        let language = tags.iter().find(|t| t.name == "html").and_then(|t| t.value("lang"));
        assert_eq!(language, Some("en"), "{name}");
    }
}

#[test]
fn nothing_is_inline() {
    for (name, page) in samples(&Words::plain()) {
        for tag in tags(&html(page.as_ref())) {
            assert_ne!(tag.name, "style", "{name}");
            assert!(tag.name != "script" || tag.value("src").is_some(), "{name}");
            for (attribute, _) in &tag.attributes {
                assert!(attribute != "style" && !attribute.starts_with("on"), "{name}: {attribute}");
            }
        }
    }
}

#[test]
fn a_page_leads_on_once() {
    // Where a script leads on, the page's own refresh is for browsers without scripts alone: both together
    // would ask a slow app twice.
    for (name, page) in samples(&Words::plain()) {
        let html = html(page.as_ref());
        let refreshes = html.matches("http-equiv=\"refresh\"").count();
        let for_no_scripts = html.matches("<noscript><meta http-equiv=\"refresh\"").count();
        let script = html.contains("<script");
        assert_eq!(for_no_scripts, if script { refreshes } else { 0 }, "{name}");
    }
}

#[test]
fn every_form_posts_and_every_button_submits() {
    for (name, page) in samples(&Words::plain()) {
        for Tag { name: tag, attributes } in tags(&html(page.as_ref())) {
            let value = |wanted: &str| attributes.iter().find(|(n, _)| n == wanted).map(|(_, v)| v.as_str());
            match tag.as_str() {
                // a search alone changes nothing, and may be kept as a bookmark
                "form" if value("role") == Some("search") => {
                    assert_eq!(value("method"), Some("get"), "{name}");
                }
                "form" => assert_eq!(value("method"), Some("post"), "{name}"),
                "button" => assert_eq!(value("type"), Some("submit"), "{name}"),
                _ => {}
            }
        }
    }
}

#[test]
fn one_button_at_most_was_used_last() {
    for (name, page) in samples(&Words::plain()) {
        assert!(html(page.as_ref()).matches("Last used").count() <= 1, "{name}");
    }
}

#[test]
fn the_policy_names_the_targets_and_nothing_else() {
    let policies: BTreeMap<_, _> = samples(&Words::plain())
        .into_iter()
        .map(|(name, page)| (name, content_security_policy(page.as_ref())))
        .collect();
    assert_eq!(
        policies["consent"],
        "default-src 'none'; style-src 'self'; img-src 'self' data:; \
         form-action 'self' https://notes.example; frame-ancestors 'none'; base-uri 'none'"
    );
    assert_eq!(
        policies["autopost"],
        "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; \
         form-action https://acme.example; frame-ancestors 'none'; base-uri 'none'"
    );
    assert_eq!(
        policies["signed-out-apps"],
        "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; \
         frame-src https://notes.example; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    assert_eq!(
        policies["signed-out-leaving"],
        "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; \
         frame-src https://notes.example; form-action https://acme.example; frame-ancestors 'none'; base-uri 'none'"
    );
    assert_eq!(
        policies["signed-out-answer"],
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
         frame-ancestors https://acme.example; base-uri 'none'"
    );
    for (name, policy) in policies {
        let framed = ["signed-out-apps", "signed-out-leaving"].contains(&name);
        assert!(framed || !policy.contains("frame-src"), "{name}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{name}: {policy}");
    }
}

#[test]
fn a_target_cannot_add_a_directive() {
    struct Hostile(Vec<String>);
    impl Page for Hostile {
        fn render(&self) -> Result<String, askama::Error> {
            Ok(String::new())
        }
        fn form_targets(&self) -> &[String] {
            &self.0
        }
        fn frame_sources(&self) -> &[String] {
            &self.0
        }
    }
    let hostile = [
        "https://a.test; script-src *",
        "https://a.test\r\nSet-Cookie: a=b",
        "*",
        "https://*",
        "'unsafe-inline'",
        "javascript:",
        "data:",
        "https://",
        "https://a.test/path",
        "",
    ];
    let page = Hostile(hostile.map(str::to_owned).to_vec());
    let none = content_security_policy(&Hostile(Vec::new()));
    assert_eq!(content_security_policy(&page), none);
    let good = Hostile(vec!["https://a.test:8443".to_owned(), "com.example.app:".to_owned()]);
    assert!(content_security_policy(&good).contains("frame-src https://a.test:8443 com.example.app:;"));
    assert!(
        content_security_policy(&good).contains("form-action 'self' https://a.test:8443 com.example.app:;")
    );
}

#[test]
fn a_form_target_is_an_origin_or_a_scheme() {
    let target = |text: &str| form_target(&Url::parse(text).unwrap());
    assert_eq!(target("https://Notes.example/cb?x=1"), Some("https://notes.example".to_owned()));
    assert_eq!(target("http://127.0.0.1:3000/cb"), Some("http://127.0.0.1:3000".to_owned()));
    assert_eq!(target("com.example.app:/cb"), Some("com.example.app:".to_owned()));
    assert_eq!(target("http://[::1]:3000/cb"), Some("http:".to_owned()));
    for none in ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "mailto:a@b.test"] {
        assert_eq!(target(none), None, "{none}");
    }
}

#[test]
fn oauth_105_an_address_is_never_a_script() {
    for good in ["https://a.test/", "http://a.test/", "mailto:help@a.test", "com.example.app:/back"] {
        assert!(Href::parse(good).is_some(), "{good}");
    }
    for bad in [
        "javascript:alert(1)",
        " javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "blob:https://a.test/x",
        "file:///etc/passwd",
        "//a.test/",
        "",
    ] {
        assert!(Href::parse(bad).is_none(), "{bad}");
    }
    for good in ["/", "/sign-in?flow=x", "/a%20b"] {
        assert!(Href::local(good).is_some(), "{good}");
    }
    for bad in [
        "",
        "sign-in",
        "//evil.test",
        "/\\evil.test",
        "/a b",
        "/\t/evil.test",
        "/a\r\nb",
        "https://evil.test",
    ] {
        assert!(Href::local(bad).is_none(), "{bad}");
    }
}

/// Texts that try to leave the place where they stand.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<",
        ">",
        "\"",
        "'",
        "&",
        "=",
        "/",
        "`",
        " ",
        "\n",
        "\0",
        "<script>alert(1)</script>",
        "</title>",
        "</textarea>",
        "<!--",
        "-->",
        "]]>",
        "<svg/onload=alert(1)>",
        " onmouseover=alert(1) x=\"",
        "&#60;b&#62;",
        "&lt;b",
        "javascript:alert(1)",
        "\u{202e}",
        "\u{2028}",
        "{{",
        "}}",
        "{%",
        "%3Cb%3E",
        "é",
        "漢",
        "a",
    ]);
    let chosen = prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat());
    prop_oneof![3 => chosen, 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn oauth_105_markup_in_any_field_stays_text(text in hostile()) {
        let harmless = samples(&Words::plain());
        for ((name, hostile), (_, plain)) in samples(&Words::hostile(&text)).into_iter().zip(harmless) {
            prop_assert_eq!(structure(&html(hostile.as_ref())), structure(&html(plain.as_ref())), "{}", name);
        }
    }

    /// Hidden fields carry what they were given, to the letter.
    #[test]
    fn a_hidden_field_keeps_its_value(text in hostile()) {
        for (name, page) in samples(&Words::hostile(&text)) {
            if !matches!(name, "autopost" | "chooser-form" | "logout" | "logout-notice") {
                continue;
            }
            let html = html(page.as_ref());
            let kept = tags(&html).iter().any(|t| t.name == "input" && t.value("value") == Some(&text));
            prop_assert!(kept, "{}", name);
        }
    }
}

#[test]
fn oidc_054_a_long_or_marked_up_error_text_is_shown_short_and_plain() {
    let text = format!("<script>alert(1)</script>{}", "x".repeat(100_000));
    for ((name, long), (_, plain)) in samples(&Words::shown(&text)).into_iter().zip(samples(&Words::plain()))
    {
        let (long, plain) = (html(long.as_ref()), html(plain.as_ref()));
        assert!(!long.contains("<script>alert"), "{name}");
        assert!(long.contains("&#60;script&#62;alert(1)"), "{name}: it is shown, as text");
        assert!(long.len() < plain.len() + 6_000, "{name}: {} bytes", long.len());
    }
}

/// The comparison above would notice.
#[test]
fn the_checker_sees_new_tags_and_attributes() {
    let plain = structure("<p class=\"a\">text</p><input value=\"x\">");
    for breach in [
        "<p class=\"a\">te<b>xt</p><input value=\"x\">",
        "<p class=\"a\">text</p><input value=\"\" onfocus=\"x\">",
        "<p class=\"a\" id=x>text</p><input value=\"x\">",
        "<p class=\"a\">text</p><input value='x' y>",
    ] {
        assert_ne!(structure(breach), plain, "{breach}");
    }
    assert_eq!(structure("<p class=\"b\">&lt;b&gt; a < b</p><input value=\"&quot; onfocus=\">"), plain);
}
