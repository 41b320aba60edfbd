//! What no HTTP library would send: half requests, impossible headers, lengths that lie.

use crate::house::Visitor;
use crate::{normal_sign_in, open};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";

/// What comes back until the other side closes, or until this side has ended its sending and nothing comes.
fn exchange(address: &str, bytes: &[u8]) -> Result<String, String> {
    let mut stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(|error| error.to_string())?;
    // The broker may have closed already, which is an answer too.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            return Err("the connection stays open and silent".to_owned());
        }
        _ => {}
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn cases(host: &str) -> Vec<(&'static str, Vec<u8>)> {
    let post = |headers: &str, body: &str| {
        format!("POST /token HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n{body}")
            .into_bytes()
    };
    let get = |line: &str, headers: &str| {
        format!("{line}\r\nhost: {host}\r\nconnection: close\r\n{headers}\r\n").into_bytes()
    };
    vec![
        ("nothing", Vec::new()),
        ("noise", vec![0, 159, 146, 150, 13, 10, 13, 10]),
        ("half a line", b"GET /autho".to_vec()),
        ("no host", b"GET /authorize HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec()),
        ("two hosts", get("GET /authorize HTTP/1.1", "host: evil.example\r\n")),
        (
            "another host",
            b"GET /authorize HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n".to_vec(),
        ),
        ("an absolute target", get("GET http://evil.example/authorize HTTP/1.1", "")),
        ("an asterisk", get("OPTIONS * HTTP/1.1", "")),
        ("a tunnel", get("CONNECT evil.example:443 HTTP/1.1", "")),
        ("another version", get("GET /authorize HTTP/3.9", "")),
        ("a target with spaces", get("GET /authorize ?a=b HTTP/1.1", "")),
        (
            "bytes above 127 in the target",
            [
                b"GET /authorize?state=\xff\xfe HTTP/1.1\r\nhost: ".as_slice(),
                host.as_bytes(),
                b"\r\nconnection: close\r\n\r\n",
            ]
            .concat(),
        ),
        ("a null byte in a header", get("GET /authorize HTTP/1.1", "cookie: cs_session=\0\r\n")),
        ("a folded header", get("GET /authorize HTTP/1.1", "cookie: a=b;\r\n c=d\r\n")),
        (
            "bytes above 127 in a header",
            [
                b"GET /userinfo HTTP/1.1\r\nauthorization: Bearer \xff\xfe\r\nconnection: close\r\nhost: "
                    .as_slice(),
                host.as_bytes(),
                b"\r\n\r\n",
            ]
            .concat(),
        ),
        ("a huge header", get("GET /authorize HTTP/1.1", &format!("cookie: a={}\r\n", "x".repeat(300_000)))),
        ("many headers", get("GET /authorize HTTP/1.1", &"x: y\r\n".repeat(5000))),
        ("a huge target", get(&format!("GET /authorize?state={} HTTP/1.1", "x".repeat(300_000)), "")),
        ("a length that lies upwards", post(&format!("{FORM}content-length: 1000\r\n"), "grant_type=x")),
        ("a length that lies downwards", post(&format!("{FORM}content-length: 3\r\n"), "grant_type=x")),
        ("a negative length", post(&format!("{FORM}content-length: -1\r\n"), "")),
        ("two lengths", post(&format!("{FORM}content-length: 3\r\ncontent-length: 12\r\n"), "grant_type=x")),
        (
            "length and chunks",
            post(&format!("{FORM}content-length: 4\r\ntransfer-encoding: chunked\r\n"), "0\r\n\r\n"),
        ),
        ("chunks that break off", post(&format!("{FORM}transfer-encoding: chunked\r\n"), "5\r\ngra")),
        (
            "a chunk without end",
            post(&format!("{FORM}transfer-encoding: chunked\r\n"), "ffffffffffffffff\r\nx"),
        ),
        (
            "a wish to go on",
            post(&format!("{FORM}expect: 100-continue\r\ncontent-length: 12\r\n"), "grant_type=x"),
        ),
        ("an upgrade", get("GET /authorize HTTP/1.1", "upgrade: websocket\r\nconnection: upgrade\r\n")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_gets_a_refusal_or_a_closed_connection() {
    let house = open().await;
    let host = house.origin.trim_start_matches("http://").to_owned();
    let address = host.replace("localhost", "127.0.0.1");
    let run = tokio::task::spawn_blocking(move || {
        for (name, bytes) in cases(&host) {
            let answer = exchange(&address, &bytes).unwrap_or_else(|why| panic!("{name}: {why}"));
            for line in answer.lines().filter(|line| line.starts_with("HTTP/1.")) {
                let status: u16 =
                    line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
                assert!((100..500).contains(&status), "{name}: {line}");
            }
            assert!(!answer.contains("location: http://evil.example"), "{name}: {answer}");
        }
    });
    run.await.unwrap();
    assert_eq!(Visitor::new().get(&house.at("/.well-known/openid-configuration")).await.status, 200);
    normal_sign_in(&house).await;
}
