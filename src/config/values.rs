//! Small values: lengths of time, references to secrets, key material. Nothing here keeps a place; the
//! callers do.

use secrecy::{SecretSlice, SecretString};
use sha2::Digest as _;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// What a number or a length of time may be, ends included.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<T> {
    /// The least.
    pub least: T,
    /// The most.
    pub most: T,
}

impl<T: PartialOrd> Bounds<T> {
    /// From the least to the most.
    pub const fn new(least: T, most: T) -> Self {
        Self { least, most }
    }
    /// Whether the value lies inside.
    pub fn hold(&self, value: &T) -> bool {
        self.least <= *value && *value <= self.most
    }
}

/// Lengths of time from some seconds to some seconds.
pub const fn seconds(least: u64, most: u64) -> Bounds<Duration> {
    Bounds { least: Duration::from_secs(least), most: Duration::from_secs(most) }
}

const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads "500ms", "30s", "10m", "12h", "30d", "2w", or several together from large to small: "1h30m".
///
/// # Errors
/// The rule that was broken.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("it is empty");
    }
    let mut total: u64 = 0;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| "a number is missing or too large")?;
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        if unit.is_empty() {
            return Err("the unit is missing");
        }
        let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err("the units are ms, s, m, h, d and w");
        };
        if *size >= last {
            return Err("units go from large to small, each once");
        }
        last = *size;
        let part = number.checked_mul(*size).ok_or("it is too long")?;
        total = total.checked_add(part).ok_or("it is too long")?;
        rest = tail;
    }
    Ok(Duration::from_millis(total))
}

/// Writes a length of time the way [`duration`] reads it.
pub fn show(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    // weeks are read but not written: "30d" is plainer than "4w2d"
    for (name, size) in UNITS.iter().skip(1) {
        if rest >= *size {
            let _ = write!(text, "{}{name}", rest / size);
            rest %= size;
        }
    }
    text
}

/// Looks up a variable of the environment.
pub type Environment = std::sync::Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The files that were read, each with the SHA-256 of what was in it, or `None` where it could not be read:
/// so a change can be noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<PathBuf, Option<[u8; 32]>>);

impl Files {
    /// Remembers a file and what was in it.
    pub fn note(&mut self, path: &Path, content: Option<&[u8]>) {
        self.0.insert(path.to_owned(), content.map(|bytes| sha2::Sha256::digest(bytes).into()));
    }
    /// Remembers the files of another list too.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }
    /// Their paths.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
    /// Whether any of them has another content now.
    pub fn changed(&self) -> bool {
        self.0.iter().any(|(path, was)| {
            let now = read_bounded(path, MOST_ANY).ok().map(|bytes| sha2::Sha256::digest(&bytes).into());
            now != *was
        })
    }
}

/// No file of ours is larger, in bytes.
pub const MOST_ANY: u64 = 4 * 1024 * 1024;

/// Where secrets come from: the environment and files beside the configuration.
pub struct References {
    /// Looks up a variable of the environment.
    pub env: Environment,
    /// The folder to which relative paths relate.
    pub base: PathBuf,
    /// The files that were read.
    pub files: RefCell<Files>,
}

/// A reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `env:NAME`
    Env(String),
    /// `file:PATH`, made absolute or relative to the working folder.
    File(PathBuf),
}

/// Why a reference gives no secret.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// Not `env:` or `file:`: probably the secret itself.
    #[error("must not stand in the file itself")]
    Inline,
    /// Nothing behind the colon, or no name of a variable.
    #[error("has no usable name behind the colon")]
    Name,
    /// The variable does not exist.
    #[error("refers to the environment variable {0}, which is not set")]
    Unset(String),
    /// The file cannot be read.
    #[error("refers to the file {0}, which cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    /// There is nothing in it.
    #[error("refers to {0}, which is empty")]
    Empty(String),
    /// Not text.
    #[error("refers to {0}, which is not UTF-8 text")]
    NotText(String),
}

impl References {
    /// References of a file in this folder.
    pub fn new(env: Environment, base: PathBuf) -> Self {
        Self { env, base, files: RefCell::default() }
    }
    /// A path as the configuration means it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }
    /// Reads a reference without following it.
    ///
    /// # Errors
    /// [`ReferenceError::Inline`] or [`ReferenceError::Name`].
    pub fn parse(&self, text: &str) -> Result<Reference, ReferenceError> {
        let (kind, name) = text.split_once(':').ok_or(ReferenceError::Inline)?;
        match kind {
            "env" => {
                let legal = !name.is_empty()
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                    && !name.starts_with(|c: char| c.is_ascii_digit());
                if legal { Ok(Reference::Env(name.to_owned())) } else { Err(ReferenceError::Name) }
            }
            "file" if name.is_empty() || name.contains('\0') => Err(ReferenceError::Name),
            "file" => Ok(Reference::File(self.path(name))),
            _ => Err(ReferenceError::Inline),
        }
    }
    /// Follows a reference. White space around the secret (such as the last line break of a file) is cut.
    ///
    /// # Errors
    /// Any [`ReferenceError`].
    pub fn resolve(&self, text: &str) -> Result<SecretString, ReferenceError> {
        self.follow(text, MOST_SECRET)
    }
    /// The same for a document that is no secret, such as certificates: it may be larger.
    ///
    /// # Errors
    /// Any [`ReferenceError`].
    pub fn document(&self, text: &str) -> Result<SecretString, ReferenceError> {
        self.follow(text, MOST_ANY)
    }
    fn follow(&self, text: &str, most: u64) -> Result<SecretString, ReferenceError> {
        let reference = self.parse(text)?;
        let (name, value) = match reference {
            Reference::Env(name) => {
                let value = (self.env)(&name).map(Zeroizing::new);
                (format!("the environment variable {name}"), value.ok_or(ReferenceError::Unset(name))?)
            }
            Reference::File(path) => {
                let name = format!("the file {}", path.display());
                let read = read_bounded(&path, most);
                self.files.borrow_mut().note(&path, read.as_ref().ok().map(|bytes| bytes.as_slice()));
                let bytes = read.map_err(|error| ReferenceError::Unreadable(path, error))?;
                match std::str::from_utf8(&bytes) {
                    Ok(text) => (name, Zeroizing::new(text.to_owned())),
                    Err(_) => return Err(ReferenceError::NotText(name)),
                }
            }
        };
        match value.trim() {
            "" => Err(ReferenceError::Empty(name)),
            secret => Ok(SecretString::from(secret.to_owned())),
        }
    }
}

/// A secret is small.
const MOST_SECRET: u64 = 64 * 1024;

/// Reads a regular file up to a size: a larger one is a mistake, and a device would never end.
///
/// # Errors
/// Whatever the file system says, or that the file is too large or no file at all.
pub fn read_bounded(path: &Path, most: u64) -> std::io::Result<Zeroizing<Vec<u8>>> {
    use std::io::Read as _;
    // asked before it is opened: opening a pipe would wait for a writer
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    std::fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        return Err(std::io::Error::other(format!("it is larger than {} KiB", most / 1024)));
    }
    Ok(bytes)
}

/// The 32 bytes of a master key: 64 hexadecimal digits, or base64 (either alphabet, padding or not).
///
/// # Errors
/// A sentence that says what is wrong and not what was there.
pub fn master_key(text: &str) -> Result<SecretSlice<u8>, &'static str> {
    use base64::Engine as _;
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let text = text.trim();
    let bytes = if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        unhex(text)
    } else {
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let alphabet =
            if text.contains(['-', '_']) { &base64::alphabet::URL_SAFE } else { &base64::alphabet::STANDARD };
        GeneralPurpose::new(alphabet, config).decode(text).ok()
    };
    let bytes = Zeroizing::new(bytes.ok_or("is neither base64 nor hexadecimal")?);
    if bytes.len() != 32 {
        return Err("does not have 32 bytes");
    }
    if bytes.iter().all(|b| Some(b) == bytes.first()) {
        return Err("is one byte 32 times, which is no key");
    }
    Ok(SecretSlice::from(bytes.to_vec()))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect()
}

/// Whether a secret is long and mixed enough that a fast hash protects it: at least 32 characters, 10 of
/// them different (RFC 6749 §10.10 asks for 128 bits against guessing).
pub fn strong_secret(secret: &str) -> bool {
    let different: std::collections::BTreeSet<char> = secret.chars().collect();
    secret.chars().count() >= 32 && different.len() >= 10
}

/// Makes a file with a new master key, readable by its owner alone. An existing file is left as it is.
///
/// # Errors
/// Whatever the file system says.
pub fn create_master_key(path: &Path, context: &crate::context::Context) -> std::io::Result<()> {
    use base64::Engine as _;
    use std::io::Write as _;
    let text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(context.bytes::<32>()));
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    // written aside and then linked, so that nobody ever reads half a key, and the first one stays
    let aside = path.with_extension(format!("{}.new", context.token_id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(&aside)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .and_then(|()| match std::fs::hard_link(&aside, path) {
            // another process was faster: its key is as good
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
    std::fs::remove_file(&aside)?;
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn lengths_of_time() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(2_592_000)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "10", "m", "-1s", "1.5h", "30m1h", "1m1m", "1 h", "10 minutes", "99999999999999w"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read(millis in 0u64..10_000_000_000_000) {
            let length = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show(length)), Ok(length));
        }
        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = duration(&text);
            let _ = master_key(&text);
            let references = References::new(std::sync::Arc::new(|_: &str| None), PathBuf::new());
            let _ = references.parse(&text);
        }
    }

    #[test]
    fn a_master_key_has_32_bytes_in_any_common_writing() {
        use base64::Engine as _;
        let key: Vec<u8> = (0..32u8).map(|i| i.wrapping_mul(37) ^ 0xfb).collect();
        let hex: String = key.iter().map(|b| format!("{b:02x}")).collect();
        let standard = base64::engine::general_purpose::STANDARD.encode(&key);
        let url = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&key);
        for text in [&hex, &standard, &url, &format!("{standard}\n")] {
            assert_eq!(master_key(text).unwrap().expose_secret(), key, "{text}");
        }
        for bad in ["", "secret", &"0".repeat(64), &hex[..62], &format!("{hex}00")] {
            assert!(master_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn references_are_followed_and_secrets_in_the_file_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("s"), "hush\n").unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        std::fs::write(folder.path().join("large"), vec![b'x'; 70_000]).unwrap();
        let env = |name: &str| (name == "A_1").then(|| "quiet".to_owned());
        let references = References::new(std::sync::Arc::new(env), folder.path().to_owned());
        assert_eq!(references.resolve("file:s").unwrap().expose_secret(), "hush");
        assert_eq!(references.resolve("env:A_1").unwrap().expose_secret(), "quiet");
        for bad in [
            "hush",
            "env:",
            "env:A-1",
            "env:1A",
            "env:NO",
            "file:",
            "file:no",
            "file:empty",
            "file:large",
            "file:.",
            "http://x",
            "",
        ] {
            assert!(references.resolve(bad).is_err(), "{bad:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_new_master_key_is_private_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/master.key");
        create_master_key(&path, &crate::context::Context::system()).unwrap();
        let first = std::fs::read_to_string(&path).unwrap();
        assert!(master_key(&first).is_ok());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        create_master_key(&path, &crate::context::Context::system()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
    }
}
