//! Bodies of answers that are very long or take very long, over the wire.

use crate::Watch;
use crate::house::*;
use crate::saml::{Idp, Key, Message};
use countersign::upstream::Departure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep};

const ACME: &str = "https://id.acme.example";

async fn house() -> House {
    House::with(|config, providers| {
        let acme = format!(
            r#"
[[provider]]
id = "acme"
kind = "saml"
name = "Acme"
entity_id = "{ACME}"
sso_url = "{ACME}/sso"
certificates = ['''{}''']
provisioning = "open"
[provider.attributes]
email = "email"
groups = "groups"
"#,
            Key::rsa().pem()
        );
        (config, format!("{providers}{acme}"))
    })
    .await
}

/// A browser at the provider, and the provider's answer with so many groups.
async fn answered(house: &House, groups: usize) -> (Visitor, Message) {
    let idp = Idp::new(ACME, ACME, Key::rsa());
    let mut visitor = Visitor::new();
    let request = depart(house, &mut visitor, "acme", &authorize(house, "first", &[])).await;
    let request = crate::saml::Request::of(&Departure::RedirectTo(request));
    let acs = request.acs.clone().unwrap();
    let mut script = idp.script(house.now(), &request, &acs);
    script.assertion.attributes[2].values = (0..groups).map(|n| format!("a group of number {n}")).collect();
    (visitor, Message::new(script.xml(), request.relay_state.as_deref().unwrap()))
}

/// The answer's form as it travels.
fn body(message: &Message) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(message.form()).finish()
}

/// A connection on which the head of the POST was sent; the body follows.
async fn post(house: &House, visitor: &Visitor, length: &str) -> TcpStream {
    let host = house.origin.trim_start_matches("http://");
    let cookies: Vec<String> =
        visitor.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let head = format!(
        "POST /upstream/acme/callback HTTP/1.1\r\nhost: {host}\r\norigin: {ACME}\r\n\
         sec-fetch-site: cross-site\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         cookie: {}\r\nconnection: close\r\n{length}\r\n\r\n",
        cookies.join("; ")
    );
    let mut stream = TcpStream::connect(host.replace("localhost", "127.0.0.1")).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The status of an answer that comes while something is still being sent.
async fn status(stream: TcpStream, send: impl AsyncFnOnce(&mut tokio::net::tcp::OwnedWriteHalf)) -> u16 {
    let (mut from, mut to) = stream.into_split();
    let heard = tokio::spawn(async move {
        let mut line = [0; 12];
        from.read_exact(&mut line).await.map(|_| String::from_utf8_lossy(&line).into_owned())
    });
    send(&mut to).await;
    let line = heard.await.unwrap().expect("an answer");
    line.rsplit(' ').next().and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

/// The browser brings the answer as it should.
async fn signs_in(house: &House, mut visitor: Visitor, message: &Message) {
    let form = message.form();
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let to = house.at("/upstream/acme/callback");
    let back = visitor.post_from(&to, &form, Some(ACME), Some("cross-site")).await;
    assert_eq!(back.status, 303, "{}", back.body);
    assert!(visitor.session().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn saml_103_an_oversized_body_is_refused_and_a_long_answer_is_read() {
    let house = house().await;
    let (visitor, message) = answered(&house, 1_200).await;
    let sound = body(&message);
    assert!(sound.len() > 100_000, "longer than any other body may be: {}", sound.len());
    const LENGTH: usize = 50_000_000;
    for chunked in [false, true] {
        let length = if chunked {
            "transfer-encoding: chunked".to_owned()
        } else {
            format!("content-length: {LENGTH}")
        };
        let watch = Watch::begin(&house, "request.body_too_large").await;
        let stream = post(&house, &visitor, &length).await;
        let mut sent = 0;
        let status = status(stream, async |to| {
            let piece = format!("&{}", "x".repeat((1 << 16) - 1));
            let piece = if chunked { format!("{:x}\r\n{piece}\r\n", piece.len()) } else { piece };
            // it is not read to its end
            while sent < LENGTH && to.write_all(piece.as_bytes()).await.is_ok() {
                sent += piece.len();
            }
        })
        .await;
        assert_eq!(status, 413, "chunked: {chunked}");
        watch.refused_once(&house).await;
    }
    // a little more than may be, and nothing but that is wrong with it
    let watch = Watch::begin(&house, "request.body_too_large").await;
    let longer = format!("{sound}{}", "&".repeat(512 * 1024 + 1 - sound.len()));
    let stream = post(&house, &visitor, &format!("content-length: {}", longer.len())).await;
    let refused = status(stream, async |to| {
        let _ = to.write_all(longer.as_bytes()).await;
    });
    assert_eq!(refused.await, 413);
    watch.refused_once(&house).await;
    signs_in(&house, visitor, &message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn saml_103_a_body_that_takes_too_long_is_refused() {
    let house = house().await;
    let (visitor, message) = answered(&house, 1).await;
    let sound = body(&message);
    let length = format!("content-length: {}", sound.len());
    let watch = Watch::begin(&house, "request.body_timeout").await;
    let stream = post(&house, &visitor, &length).await;
    let refused = status(stream, async |to| {
        // a byte now and then, so that the connection is never idle, and never the last one
        for byte in sound.as_bytes().split_last().unwrap().1 {
            if to.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
    });
    assert_eq!(refused.await, 408);
    watch.refused_once(&house).await;
    // one in pieces, by the same browser, is an answer as any other
    let stream = post(&house, &visitor, &length).await;
    let taken = status(stream, async |to| {
        for piece in sound.as_bytes().chunks(sound.len() / 4 + 1) {
            to.write_all(piece).await.unwrap();
            to.flush().await.unwrap();
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(taken.await, 303);
}

#[tokio::test]
async fn of_what_a_stranger_writes_a_little_is_kept() {
    let house = house().await;
    let (mut visitor, mut message) = answered(&house, 1).await;
    message.xml = format!("<{}/>", "R".repeat(100_000));
    let form = message.form();
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let to = house.at("/upstream/acme/callback");
    visitor.post_from(&to, &form, Some(ACME), Some("cross-site")).await;
    let kept = house.refusals().await;
    assert_eq!(kept.len(), 1);
    let refusal = &kept[0].refusal;
    let steps = refusal.steps.iter().flat_map(|step| [&step.expected, &step.received]);
    for text in steps.chain([&refusal.note]).chain(&refusal.expected).chain(&refusal.received) {
        assert!(text.chars().count() <= countersign::failure::RECORDED + 1, "{} characters", text.len());
    }
    assert!(refusal.received.as_ref().unwrap().starts_with("RRR"), "{refusal:?}");
}
