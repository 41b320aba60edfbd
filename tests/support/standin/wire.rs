//! Requests and answers of the stand-in, as they travel.

use super::lock;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

/// How an answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// At once.
    Normal,
    /// After a while.
    Late(Duration),
    /// Accepted, and then nothing.
    Hang,
    /// Accepted, and then nothing until the test lets go; nor anything afterwards.
    Held,
    /// Accepted, and the connection then closed without a word.
    Drop,
    /// One byte at a time, slowly.
    Drip,
    /// Without saying how long it is: the end of the connection is its end.
    NoLength,
}

/// An answer before it is sent.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub content_type: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub pace: Pace,
}

impl Reply {
    /// JSON with a status.
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            content_type: "application/json".to_owned(),
            headers: Vec::new(),
            body: serde_json::to_vec(body).unwrap(),
            pace: Pace::Normal,
        }
    }
    /// A redirect.
    pub fn redirect(to: &str) -> Self {
        let mut reply = Self::json(302, &json!({}));
        reply.headers.push(("location".to_owned(), to.to_owned()));
        reply
    }
    /// Changes the JSON body.
    pub fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        let mut body: Value = serde_json::from_slice(&self.body).unwrap();
        change(&mut body);
        self.body = serde_json::to_vec(&body).unwrap();
    }
    /// Sets the whole body.
    pub fn set(&mut self, content_type: &str, body: impl Into<Vec<u8>>) {
        content_type.clone_into(&mut self.content_type);
        self.body = body.into();
    }
}

/// A request that reached the stand-in.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub form: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
}

pub fn read_request(stream: &mut impl Read) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    while bytes.len() < head + 4 + length {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    let url = Url::parse(&format!("http://standin{target}")).ok()?;
    Some(Seen {
        method,
        path: url.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        form: url::form_urlencoded::parse(&bytes[head + 4..]).into_owned().collect(),
        headers,
    })
}

pub fn write_reply(stream: &mut (impl Read + Write), reply: &Reply) -> std::io::Result<()> {
    if reply.pace == Pace::Hang {
        // until the other side gives up
        let _ = stream.read(&mut [0; 1]);
        return Ok(());
    }
    if matches!(reply.pace, Pace::Drop | Pace::Held) {
        return Ok(());
    }
    if let Pace::Late(delay) = reply.pace {
        std::thread::sleep(delay);
    }
    let mut head = format!(
        "HTTP/1.1 {} X\r\ncontent-type: {}\r\nconnection: close\r\n",
        reply.status, reply.content_type
    );
    if reply.pace != Pace::NoLength {
        head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if reply.pace == Pace::Drip {
        for byte in &reply.body {
            stream.write_all(&[*byte])?;
            std::thread::sleep(Duration::from_millis(50));
        }
        return Ok(());
    }
    stream.write_all(&reply.body)
}

/// A listener that nobody should ever speak to.
pub struct Canary {
    pub origin: String,
    touched: Arc<Mutex<usize>>,
}

impl Canary {
    /// Starts listening.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let touched = Arc::new(Mutex::new(0));
        let count = touched.clone();
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                *lock(&count) += 1;
            }
        });
        Self { origin, touched }
    }
    /// How often somebody did.
    pub fn touched(&self) -> usize {
        *lock(&self.touched)
    }
}
