//! What stands before and around every answer.

use crate::house::*;
use crate::saml_mutations::refusals;
use crate::standin::{CLIENT_SECRET, signed_request};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Sends bytes as they are and reads the answer's head.
fn raw(house: &House, text: &str) -> String {
    let mut stream =
        TcpStream::connect(house.origin.trim_start_matches("http://").replace("localhost", "127.0.0.1"))
            .unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_106_only_our_own_host_is_answered() {
    let house = House::open().await;
    let host = house.origin.trim_start_matches("http://").to_owned();
    let get = |headers: &str| raw(&house, &format!("GET / HTTP/1.1\r\n{headers}connection: close\r\n\r\n"));
    assert!(get(&format!("host: {host}\r\n")).starts_with("HTTP/1.1 200"), "the valid twin");
    for bad in [
        "host: evil.test\r\n".to_owned(),
        format!("host: {host}.evil.test\r\n"),
        "host: localhost\r\n".to_owned(),
    ] {
        let answer = get(&bad);
        assert!(answer.starts_with("HTTP/1.1 421"), "{bad}{answer}");
    }
    assert!(get("").starts_with("HTTP/1.1 4"), "no host at all");
    // What proxies may say about the host means nothing.
    let forwarded = format!("host: {host}\r\nx-forwarded-host: evil.test\r\nforwarded: host=evil.test\r\n");
    let answer = get(&forwarded);
    assert!(answer.starts_with("HTTP/1.1 200"));
    assert!(!answer.contains("evil.test"));
}

#[tokio::test]
async fn oauth_101_oauth_102_oauth_103_every_answer_has_its_headers() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let to_list = alice.get(&authorize(&house, "first", &[])).await;
    let list = alice.get(to_list.location().as_str()).await;
    let to_provider = choose(&house, &mut alice, &list, "globex").await;
    let callback = alice.get(&approval(&house, &to_provider.location())).await;
    let to_app = alice.get(callback.location().as_str()).await;
    let missing = alice.get(&house.at("/no/such/page")).await;
    let refused = alice.get(&house.at("/continue")).await;
    for answer in [&to_list, &list, &to_provider, &callback, &to_app, &missing, &refused] {
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"));
    }
    for redirect in [&to_list, &to_provider, &callback, &to_app] {
        assert_eq!(redirect.status, 303, "never 307 or 302");
    }
    assert_eq!(missing.status, 404);
    for line in alice_cookies(&[&to_list, &callback]) {
        assert!(
            line.contains("HttpOnly") && line.contains("SameSite=Lax") && line.contains("Path=/"),
            "{line}"
        );
    }
    let policy = list.header("content-security-policy").unwrap();
    assert!(
        policy.contains(&format!("form-action 'self' {}", house.friendbook.origin()))
            || policy.contains(house.globex.origin()),
        "{policy}"
    );
}

fn alice_cookies(answers: &[&Answer]) -> Vec<String> {
    let lines: Vec<String> = answers.iter().flat_map(|a| a.all("set-cookie").map(str::to_owned)).collect();
    assert!(!lines.is_empty());
    lines
}

#[tokio::test]
async fn oauth_094_steps_are_taken_by_forms_of_ours_only() {
    let house = House::open().await;
    let mut alice = Visitor::new();
    let list = alice.get(&authorize(&house, "first", &[])).await.location();
    let page = alice.get(list.as_str()).await;
    let (flow, csrf) = (page.field("flow"), page.field("csrf"));
    let url = house.at("/sign-in");
    // By GET the choice does nothing but show the list.
    let by_get = alice.clone().get(&format!("{url}?flow={flow}&csrf={csrf}&provider=globex")).await;
    assert_eq!(by_get.status, 200);
    assert_eq!(house.globex.count("/authorize"), 0);
    let form = [("flow", flow.as_str()), ("csrf", csrf.as_str()), ("provider", "globex")];
    assert_eq!(alice.clone().post(&url, &form[..1]).await.status, 403, "no token");
    let cross = alice.clone().post_from(&url, &form, Some("https://evil.test"), Some("cross-site")).await;
    assert_eq!(cross.status, 403);
    let mut other = Visitor::new();
    let theirs = other.get(&authorize(&house, "first", &[])).await.location();
    let theirs = other.get(theirs.as_str()).await.field("csrf");
    let mixed = [("flow", flow.as_str()), ("csrf", theirs.as_str()), ("provider", "globex")];
    assert_eq!(alice.clone().post(&url, &mixed).await.status, 403, "a token of another sign-in");
    assert_eq!(alice.post(&url, &form).await.status, 303, "the valid twin");
    // HEAD takes no step.
    let head = reqwest::Client::new();
    let status = async |path: &str| head.head(house.at(path)).send().await.unwrap().status().as_u16();
    assert_eq!(status("/").await, 200);
    assert_eq!(status(&format!("/continue?flow={flow}")).await, 405);
    for path in ["/continue", "/"] {
        assert_eq!(alice.post(&house.at(path), &[]).await.status, 405, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_023_what_is_too_large_is_refused_soon() {
    let house = House::open().await;
    let long = "x".repeat(20_000);
    let page = Visitor::new().get(&authorize(&house, "first", &[("state", &long)])).await;
    assert!([400, 414].contains(&page.status), "{}", page.status);
    let huge = "x".repeat(2 * 1024 * 1024);
    let answer = Visitor::new().post(&house.at("/authorize"), &[("state", &huge)]).await;
    assert_eq!(answer.status, 413);
    let mut alice = Visitor::new();
    assert!(
        parameter(&sign_in(&house, &mut alice, "globex", &authorize(&house, "first", &[])).await, "code")
            .is_some()
    );
}

#[tokio::test]
async fn requests_are_limited_by_address_where_that_is_wanted() {
    let house = House::with(|config, providers| {
        (config.replace("rate_limit = false", "requests_per_minute = 5"), providers)
    })
    .await;
    let mut visitor = Visitor::new();
    visitor.headers.push(("accept".to_owned(), "text/html".to_owned()));
    let mut limited = None;
    for _ in 0..10 {
        // Addresses that a stranger makes up change nothing.
        let answer = visitor.get(&house.at("/")).await;
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
        assert_eq!(answer.status, 200);
    }
    let limited = limited.expect("a limit");
    assert!(limited.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert!(limited.body.contains("Too many tries"));
    visitor.headers = vec![("x-forwarded-for".to_owned(), "203.0.113.5".to_owned())];
    let program = visitor.get(&house.at("/")).await;
    assert_eq!(program.status, 429, "a forged address is not believed");
    assert_eq!(program.header("content-type"), Some("application/json"));
    let style = limited.body.split("href=\"").find(|rest| rest.starts_with("/static/")).unwrap();
    let style = house.at(style.split('"').next().unwrap());
    assert_eq!(visitor.get(&style).await.status, 200, "files are not counted");
    // What a provider's server tells is not counted; what browsers bring to the same address is.
    let told = house.at("/upstream/globex/logout");
    assert_eq!(visitor.post(&told, &[("logout_token", "none")]).await.status, 400);
    assert_eq!(visitor.get(&told).await.status, 429);
    // An app in a browser must be able to read that it has to wait, and for how long.
    let read = async |method: reqwest::Method, path: &str, origin: &str| {
        let request = reqwest::Client::new().request(method, house.at(path)).header("origin", origin);
        let answer = request.header("access-control-request-method", "POST").send().await.unwrap();
        let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let exposed = header("access-control-expose-headers").unwrap_or_default();
        (answer.status().as_u16(), header("access-control-allow-origin"), exposed.contains("Retry-After"))
    };
    let (ours, foreign) = ("http://127.0.0.1:5173", "https://evil.test");
    for path in ["/token", "/revoke", "/userinfo"] {
        let method = if path == "/userinfo" { reqwest::Method::GET } else { reqwest::Method::POST };
        assert_eq!(read(method.clone(), path, ours).await, (429, Some(ours.to_owned()), true), "{path}");
        assert_eq!(read(method, path, foreign).await, (429, None, false), "{path}");
        let preflight = read(reqwest::Method::OPTIONS, path, ours).await;
        assert_eq!(
            (preflight.0, preflight.1.as_deref()),
            (204, Some(ours)),
            "a refused preflight tells nothing"
        );
    }
    assert_eq!(read(reqwest::Method::GET, "/", ours).await, (429, None, false), "pages are never read");
}

/// Each refusal costs a check and a line of the record; a word that is sound is never counted.
#[tokio::test]
async fn what_is_refused_of_what_providers_tell_is_limited_by_address() {
    let house = House::with(|config, providers| {
        let providers =
            providers.replace("subject = \"id\"\n", "subject = \"id\"\nnotices = \"signed_request\"\n");
        (config.replace("rate_limit = false", "requests_per_minute = 5"), providers)
    })
    .await;
    let sound = async |number: u64| {
        let payload = json!({"algorithm": "HMAC-SHA256", "issued_at": house.now().secs(), "user_id": number.to_string()});
        let request = signed_request(&payload, CLIENT_SECRET);
        let url = house.at("/upstream/friendbook/deauthorized");
        Visitor::new().post_from(&url, &[("signed_request", &request)], None, None).await
    };
    for number in 0..20 {
        let answer = sound(2001 + number).await;
        assert_eq!(
            answer.status,
            200,
            "{number}: the valid twin: {} {:?}",
            answer.body,
            house.refusals().await
        );
    }
    let told = ["globex/logout", "friendbook/deauthorized", "friendbook/deletion", "nobody/logout"];
    let told = told.map(|path| house.at(&format!("/upstream/{path}")));
    let (mut refused, mut held) = (0, None);
    for url in told.iter().cycle().take(40) {
        let answer = Visitor::new().post_from(url, &[("logout_token", "none")], None, None).await;
        match answer.status {
            400 => refused += 1,
            429 => held = Some(answer),
            other => panic!("{other}: {}", answer.body),
        }
    }
    let held = held.expect("a limit");
    assert!((5..=8).contains(&refused), "{refused}");
    assert!(held.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(refusals(&house).await, refused, "nothing more is written");
    assert_eq!(sound(2099).await.status, 429, "the address waits, whatever it brings");
    assert_eq!(Visitor::new().get(&house.at("/")).await.status, 200, "pages are counted apart");
}

#[tokio::test]
async fn files_are_served_for_ever_and_by_name_only() {
    let house = House::open().await;
    let mut visitor = Visitor::new();
    let page = visitor.get(&house.at("/")).await;
    let style = page.body.split("href=\"").find(|rest| rest.starts_with("/static/")).unwrap();
    let style = house.at(style.split('"').next().unwrap());
    let file = visitor.get(&style).await;
    assert_eq!(file.status, 200);
    assert!(file.header("cache-control").unwrap().contains("immutable"));
    let tag = file.header("etag").unwrap().to_owned();
    visitor.headers.push(("if-none-match".to_owned(), tag));
    assert_eq!(visitor.get(&style).await.status, 304);
    for bad in ["/static/../Cargo.toml", "/static/%2e%2e%2fCargo.toml", "/static/x"] {
        assert_eq!(Visitor::new().get(&house.at(bad)).await.status, 404, "{bad}");
    }
}

#[tokio::test]
async fn admin_025_health_and_metrics_stand_apart() {
    let house = House::open().await;
    let mut visitor = Visitor::new();
    for path in ["/metrics", "/health", "/ready"] {
        assert_eq!(visitor.get(&house.at(path)).await.status, 404, "{path} on the public listener");
        assert_eq!(visitor.get(&format!("{}{path}", house.management)).await.status, 200, "{path}");
    }
    assert_eq!(visitor.get(&format!("{}/sign-in", house.management)).await.status, 404);
    let metrics = visitor.get(&format!("{}/metrics", house.management)).await.body;
    assert!(metrics.contains("countersign_http_requests_total"), "{metrics}");
}

#[tokio::test]
async fn changes_made_by_command_are_taken_over() {
    let house = House::open().await;
    let mut client = (*house.app.now().clients.get("third").unwrap().clone()).clone();
    client.id = countersign::ids::ClientId::new("made-by-command").unwrap();
    client.origin = countersign::clients::Origin::Created;
    let url = authorize(&house, "third", &[("client_id", "made-by-command")]);
    assert_eq!(Visitor::new().get(&url).await.status, 400);
    house
        .app
        .store
        .write::<_, countersign::store::StoreError, _>(move |tx| tx.put_client(&client))
        .await
        .unwrap();
    assert!(house.app.refresh().await.unwrap() || house.app.now().clients.contains_key("made-by-command"));
    assert_eq!(Visitor::new().get(&url).await.location().path(), "/sign-in");
}
