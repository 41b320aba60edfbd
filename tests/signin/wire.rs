//! Bytes that no library would send: one connection, many readings of it.

use crate::house::*;
use crate::tls::{Certificates, connect, over_tls};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

fn open(house: &House) -> TcpStream {
    let stream =
        TcpStream::connect(house.origin.trim_start_matches("http://").replace("localhost", "127.0.0.1"))
            .unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends bytes as they are and reads until the other side closes.
fn say(stream: &mut (impl Read + Write), bytes: &[u8]) -> String {
    // The other side may close before it has read all.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Each answer's status, in order.
fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_114_a_request_that_can_be_read_in_two_ways_is_refused() {
    let house = House::open().await;
    let host = house.origin.trim_start_matches("http://").to_owned();
    // What must never be served: a request inside or behind another one. Its answer would be a 200.
    let hidden = format!("GET /jwks HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let (length, size) = (hidden.len(), format!("{:x}", hidden.len()));
    let post = format!(
        "POST /token HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    );
    let chunks = format!("{size}\r\n{hidden}\r\n0\r\n\r\n");

    // The valid twins: one length, or chunks; what looks like a request in the body is body.
    for sound in [
        format!("{post}content-length: {length}\r\n\r\n{hidden}"),
        format!("{post}transfer-encoding: chunked\r\n\r\n{chunks}"),
    ] {
        let answers = say(&mut open(&house), format!("{sound}{hidden}").as_bytes());
        assert_eq!(statuses(&answers), ["401", "200"], "{answers}");
    }

    for (name, bad) in [
        (
            "length and chunks",
            format!("{post}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "chunks and length",
            format!("{post}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n"),
        ),
        ("two lengths", format!("{post}content-length: 0\r\ncontent-length: {length}\r\n\r\n")),
        ("two equal lengths", format!("{post}content-length: 0\r\ncontent-length: 0\r\n\r\n")),
        ("two lengths in one", format!("{post}content-length: 0, {length}\r\n\r\n")),
        ("a signed length", format!("{post}content-length: +0\r\n\r\n")),
        ("a negative length", format!("{post}content-length: -1\r\n\r\n")),
        ("a length in hexadecimal", format!("{post}content-length: 0x0\r\n\r\n")),
        ("an endless length", format!("{post}content-length: 99999999999999999999\r\n\r\n")),
        ("chunks, identity", format!("{post}transfer-encoding: chunked, identity\r\n\r\n")),
        ("identity, chunks", format!("{post}transfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n")),
        ("identity", format!("{post}transfer-encoding: identity\r\n\r\n")),
        (
            "chunked twice",
            format!("{post}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "chunked and identity apart",
            format!("{post}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n"),
        ),
        ("xchunked", format!("{post}transfer-encoding: xchunked\r\n\r\n")),
        ("a parameter", format!("{post}transfer-encoding: chunked;q=1\r\n\r\n0\r\n\r\n")),
        ("a space before the colon", format!("{post}transfer-encoding : chunked\r\n\r\n0\r\n\r\n")),
        ("a space before the length's colon", format!("{post}content-length : 0\r\n\r\n")),
        ("a folded line", format!("{post}x: y\r\n transfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("a folded value", format!("{post}transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n")),
        ("a folded first line", format!("POST /token HTTP/1.1\r\n host: {host}\r\nx: y\r\n\r\n")),
        ("LF after the request line", post.replacen("\r\n", "\n", 1) + "content-length: 0\r\n\r\n"),
        ("LF after a field", format!("{post}x: y\ncontent-length: 0\r\n\r\n")),
        ("LF before chunks", format!("{post}x: y\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("LF at the end of the head", format!("{post}content-length: 0\r\n\n")),
        ("LF everywhere", format!("{post}content-length: 0\r\n\r\n").replace("\r\n", "\n")),
        ("CR alone", format!("{post}x: y\rtransfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("NUL in a value", format!("{post}x: y\0\r\ncontent-length: 0\r\n\r\n")),
        ("vertical tab in a value", format!("{post}transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n")),
        (
            "chunks in HTTP/1.0",
            format!("{post}transfer-encoding: chunked\r\n\r\n0\r\n\r\n").replacen("1.1", "1.0", 1),
        ),
        ("two hosts", format!("{post}host: {host}\r\ncontent-length: 0\r\n\r\n")),
        ("no host", "POST /token HTTP/1.1\r\ncontent-length: 0\r\n\r\n".to_owned()),
        ("another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
    ] {
        let answers = say(&mut open(&house), format!("{bad}{hidden}").as_bytes());
        assert_eq!(statuses(&answers), ["400"], "{name}: {answers}");
        // The same behind a sound request on the same connection.
        let sound = format!("{post}content-length: 3\r\n\r\na\nb");
        let answers = say(&mut open(&house), format!("{sound}{bad}{hidden}").as_bytes());
        assert_eq!(statuses(&answers), ["401", "400"], "{name}, second: {answers}");
    }

    // Chunks that are none: the body breaks off, and with it the connection.
    for (name, bad) in [
        ("no size", "\r\n"),
        ("a negative size", "-1\r\n"),
        ("a prefix", "0x5\r\nabcde\r\n0\r\n\r\n"),
        ("LF after the size", "5\nabcde\r\n0\r\n\r\n"),
        ("LF in the extension", "5;x\nabcde\r\n0\r\n\r\n"),
        ("CR alone in the extension", "5;x\rabcde\r\n0\r\n\r\n"),
        ("LF after the chunk", "5\r\nabcde\n0\r\n\r\n"),
        ("a chunk that is too long", "3\r\nabcde\r\n0\r\n\r\n"),
        ("an endless size", "ffffffffffffffffff\r\nabcde\r\n0\r\n\r\n"),
        ("LF at the end", "0\r\n\n"),
    ] {
        let text = format!("{post}transfer-encoding: chunked\r\n\r\n{bad}{hidden}");
        let answers = say(&mut open(&house), text.as_bytes());
        // The connection ends, with an answer or without.
        let statuses = statuses(&answers);
        assert!(statuses.len() <= 1 && !statuses.contains(&"200"), "{name}: {answers}");
    }
    let rows = house.rows().await;
    assert_eq!((rows.accounts, rows.sessions, rows.grants), (0, 0, 0));
}

/// An HTTP/2 frame (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `GET / https localhost` by HPACK's static table.
const HEADERS: &[u8] = &[0x82, 0x84, 0x87, 0x41, 9, b'l', b'o', b'c', b'a', b'l', b'h', b'o', b's', b't'];

/// This process's resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_115_floods_of_http_2_find_nothing_to_flood() {
    let certificates = Certificates::make();
    let house = over_tls(&certificates).await;
    // HTTP/2 is not offered: who speaks nothing else gets no connection, who can do otherwise is told so.
    assert!(connect(&house, &certificates, &["h2"]).is_err(), "no protocol in common (RFC 7301 §3.2)");
    let chosen = connect(&house, &certificates, &["h2", "http/1.1"]).unwrap();
    assert_eq!(chosen.conn.alpn_protocol(), Some(b"http/1.1".as_slice()), "the valid twin");

    let settings = frame(4, 0, 0, &[]);
    let begin = [PREFACE, &settings].concat();
    let continuation = [frame(1, 0, 1, HEADERS), frame(9, 0, 1, &[0x40; 4000]).repeat(500)].concat();
    let reset = |stream: u32| [frame(1, 5, stream, HEADERS), frame(3, 0, stream, &[0, 0, 0, 8])].concat();
    let resets: Vec<u8> = (0..20_000).flat_map(|n| reset(2 * n + 1)).collect();
    let empty = [frame(1, 4, 1, HEADERS), frame(0, 0, 1, &[]).repeat(100_000)].concat();
    let before = resident();
    for (name, flood) in [("CONTINUATION", continuation), ("rapid reset", resets), ("empty DATA", empty)] {
        for _ in 0..10 {
            for protocols in [&[][..], &["http/1.1"]] {
                let mut stream = connect(&house, &certificates, protocols).unwrap();
                let answers = say(&mut stream, &[begin.as_slice(), &flood].concat());
                // A 400 and the end, or the end alone where the reset of the socket was faster.
                assert!(answers.is_empty() || statuses(&answers) == ["400"], "{name}: {answers}");
            }
        }
        // Others are served meanwhile.
        let mut other = connect(&house, &certificates, &["http/1.1"]).unwrap();
        let host = house.origin.trim_start_matches("https://");
        let get = format!("GET /jwks HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        assert_eq!(statuses(&say(&mut other, get.as_bytes())), ["200"], "{name}");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 64 * 1024, "60 floods of more than 1 MB each left {grown} KiB");
}
