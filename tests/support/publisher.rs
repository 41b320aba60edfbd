//! A client's web server on loopback: it publishes documents that a test can change, hangs when told to, and counts
//! how often each was asked for.
#![allow(dead_code)] // each test binary uses its part

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is found at a path.
#[derive(Clone)]
pub enum Document {
    /// JSON.
    Json(String),
    /// An error of this status.
    Status(u16),
    /// A redirect.
    Redirect(String),
    /// Accepted, and then nothing.
    Hang,
}

#[derive(Default)]
struct Shared {
    documents: BTreeMap<String, Document>,
    asked: BTreeMap<String, usize>,
}

pub struct Publisher {
    pub origin: String,
    shared: Arc<Mutex<Shared>>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Publisher {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Mutex::new(Shared::default()));
        let served = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = served.clone();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { origin, shared }
    }
    /// Publishes a document and tells its address.
    pub fn put(&self, path: &str, document: Document) -> String {
        lock(&self.shared).documents.insert(path.to_owned(), document);
        format!("{}{path}", self.origin)
    }
    pub fn json(&self, path: &str, body: &serde_json::Value) -> String {
        self.put(path, Document::Json(body.to_string()))
    }
    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        lock(&self.shared).asked.get(path).copied().unwrap_or(0)
    }
}

fn serve(mut stream: TcpStream, shared: &Mutex<Shared>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 2048];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let document = {
        let mut shared = lock(shared);
        *shared.asked.entry(path.clone()).or_default() += 1;
        shared.documents.get(&path).cloned().unwrap_or(Document::Status(404))
    };
    let (status, header, body) = match document {
        Document::Json(body) => (200, String::new(), body),
        Document::Status(status) => (status, String::new(), "{}".to_owned()),
        Document::Redirect(to) => (302, format!("location: {to}\r\n"), String::new()),
        Document::Hang => {
            // until the other side gives up
            let _ = stream.read(&mut buffer);
            return;
        }
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n{header}\r\n",
        body.len()
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}
