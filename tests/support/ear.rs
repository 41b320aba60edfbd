//! A client's server on loopback: it hears what is posted to it, and answers as it is told.
#![allow(dead_code)] // each test binary uses its part

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub head: String,
    pub body: String,
}

/// How it answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// With a status and a body.
    Say(u16, String),
    /// By sending elsewhere.
    Redirect(String),
    /// Not at all, while the connection stays open.
    Hang,
}

pub struct Ear {
    pub origin: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    /// Connections, whether or not anything was said.
    touched: Arc<Mutex<usize>>,
    answer: Arc<Mutex<Answer>>,
}

impl Ear {
    pub fn open(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let ear = Self {
            origin,
            heard: Arc::default(),
            touched: Arc::default(),
            answer: Arc::new(Mutex::new(answer)),
        };
        let (heard, touched, answer) = (ear.heard.clone(), ear.touched.clone(), ear.answer.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                *touched.lock().unwrap() += 1;
                let (heard, answer) = (heard.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &heard, &answer));
            }
        });
        ear
    }
    /// One that takes everything.
    pub fn kind() -> Self {
        Self::open(Answer::Say(200, String::new()))
    }
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
    pub fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
    pub fn touched(&self) -> usize {
        *self.touched.lock().unwrap()
    }
    /// Waits until it has heard so much.
    pub async fn hears(&self, count: usize) -> Vec<Heard> {
        until(|| self.heard().len() >= count, "the client hears").await;
        self.heard()
    }
}

/// Waits until something holds; the limit only ends a test that would wait for ever.
pub async fn until(holds: impl Fn() -> bool, what: &str) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < limit, "it never came to it that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn serve(mut stream: TcpStream, heard: &Mutex<Vec<Heard>>, answer: &Mutex<Answer>) {
    let Some(request) = read(&mut stream) else { return };
    heard.lock().unwrap().push(request);
    let answer = answer.lock().unwrap().clone();
    let (status, more, body) = match answer {
        Answer::Say(status, body) => (status, String::new(), body),
        Answer::Redirect(to) => (302, format!("location: {to}\r\n"), String::new()),
        Answer::Hang => {
            // Until the other side gives up.
            let _ = stream.read(&mut [0]);
            return;
        }
    };
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\n{more}connection: close\r\n\r\n{body}"
    );
}

fn read(stream: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(Heard { head: head.to_owned(), body: body.to_owned() });
        }
    }
}
