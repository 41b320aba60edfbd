//! Applications that people start from here: third-party-initiated login, and the start page.

use crate::house::House;

const CLIENTS: &str = r#"
[[client]]
id = "https://shop.test/app"
name = "Shop"
public = true
redirect_uris = ["https://shop.test/cb"]
initiate_login_uri = "https://shop.test/login?by=link"

[[client]]
id = "wiki"
name = "Wiki & more"
public = true
redirect_uris = ["https://wiki.test/cb"]
home_uri = "https://wiki.test/"

[[client]]
id = "off"
name = "Switched off"
public = true
redirect_uris = ["https://off.test/cb"]
initiate_login_uri = "https://off.test/login"
disabled = true
"#;

#[tokio::test(flavor = "multi_thread")]
async fn oidcc_3rd_party_init_login() {
    let house = House::with(CLIENTS).await;
    let shop = "/apps/https:%2F%2Fshop.test%2Fapp";
    let told = house.get(shop, &[]).await.redirect("https://shop.test/login?by=link&");
    assert_eq!(told["iss"], house.issuer);
    assert_eq!(told.len(), 2, "{told:?}");
    let more =
        format!("{shop}?login_hint=ann%40a.test&target_link_uri=https%3A%2F%2Fshop.test%2Forders%3Fid%3D1");
    let told = house.get(&more, &[]).await.redirect("https://shop.test/login?");
    assert_eq!(told["login_hint"], "ann@a.test");
    assert_eq!(told["target_link_uri"], "https://shop.test/orders?id=1");
    house.get("/apps/wiki", &[]).await.redirect("https://wiki.test/");
    for gone in ["/apps/off", "/apps/nobody", "/apps/web", "/apps/", "/apps"] {
        assert_eq!(house.get(gone, &[]).await.status, 404, "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_is_no_open_redirect() {
    let house = House::with(CLIENTS).await;
    for bad in
        ["https://evil.test/", "https://shop.test.evil.test/", "https://shop.test@evil.test/", "/x", ""]
    {
        let query = crate::house::encode(&[("target_link_uri", bad)]);
        let answer = house.get(&format!("/apps/https:%2F%2Fshop.test%2Fapp?{query}"), &[]).await;
        if bad.is_empty() {
            assert_eq!(answer.status, 303, "nothing was said");
            continue;
        }
        assert_eq!(answer.status, 400, "{bad}");
        assert!(answer.header("location").is_none());
    }
}

#[test]
fn oidcc_3rd_party_init_login_nohttps() {
    use countersign::clients::registration::web_address;
    assert!(web_address("http://rp.test/initiate_login").is_err());
    assert!(web_address("https://rp.test/initiate_login").is_ok(), "the valid twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_page_lists_a_signed_in_person_s_apps() {
    let house = House::with(CLIENTS).await;
    let stranger = house.get("/", &[]).await;
    assert!(!stranger.body.contains("/apps/") && !stranger.body.contains("Shop"), "{}", stranger.body);
    let alice = house.sign_in("alice").await;
    let page = house.get("/", &[("cookie", &alice.cookie)]).await;
    assert!(page.body.contains("alice@globex.example"), "{}", page.body);
    assert!(page.body.contains("href=\"/apps/https:%2F%2Fshop.test%2Fapp\""), "{}", page.body);
    assert!(page.body.contains("href=\"/apps/wiki\"") && page.body.contains("Wiki &#38; more"));
    assert!(!page.body.contains("Switched off") && !page.body.contains("Single page"));
    assert!(page.body.contains("href=\"/logout\""));
}
