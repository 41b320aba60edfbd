//! The two other implementations, pysaml2 and node-saml: processes that are asked, one line of JSON at a time.

use crate::bench::{Bench, CALLBACK, ENTITY_ID, IDP};
use crate::saml::Key;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What both other implementations are set to.
pub fn settings(bench: &Bench, folder: &Path) -> Value {
    let key_file = folder.join("sp.key.pem");
    let certificate_file = folder.join("sp.pem");
    std::fs::write(&key_file, Key::service().private_pem()).unwrap();
    std::fs::write(&certificate_file, Key::service().pem()).unwrap();
    let mut idp = bench.idp.clone();
    idp.keys.push(Key::rsa_next());
    json!({
        "entity_id": ENTITY_ID,
        "acs": CALLBACK,
        "idp": IDP,
        "metadata": idp.metadata().xml(),
        "certificates": [Key::rsa().pem(), Key::rsa_next().pem()],
        "key": Key::service().private_pem(),
        "key_file": key_file,
        "certificate_file": certificate_file,
    })
}

/// Another implementation, running.
pub struct Other {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Other {
    /// Starts a script of `second-opinion`.
    pub fn start(program: &str, script: &str, settings: &Value) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .map(|root| root.join("tests/saml/second-opinion").join(script))
            .find(|path| path.exists())
            .expect("the script");
        let mut child = Command::new(program)
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut other = Self { child, stdin, stdout };
        other.say(&json!({"settings": settings}));
        other
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").unwrap();
        self.stdin.flush().unwrap();
    }

    /// What it answers to one line.
    pub fn request(&mut self, message: &Value) -> Value {
        self.say(message);
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("not an answer: {line:?}"))
    }

    /// Whom it takes the message to be about; why it does not.
    pub fn ask(&mut self, response: &str, request: &str) -> Result<String, String> {
        let answer = self.request(&json!({"response": response, "request": request}));
        match answer["name"].as_str() {
            Some(name) => Ok(name.to_owned()),
            None => Err(answer["refused"].as_str().unwrap_or_default().to_owned()),
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
