//! What fuzzers call of this kind: see `upstream::fuzzing`.

use super::profile::is_id;
use super::{Settings, build};
use crate::accounts::IdentityKey;
use crate::context::{Context, ManualClock, SeededEntropy, Timestamp};
use crate::failure::{Failure, OAuthCode};
use crate::jose::json;
use crate::upstream::fuzzing::{outbound, told};
use crate::upstream::settings::{Common, SecretRef};
use crate::upstream::{Notice, NoticeKind, Parts, Upstream};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Not one of a provider: the seeds are signed by it too.
const SECRET: &str = "the app's secret";
const NOW: i64 = 1_800_000_000;
/// Bytes that a signed request may have.
const LONGEST: usize = 4096;

static PROVIDER: LazyLock<Arc<dyn Upstream>> = LazyLock::new(|| {
    let common = "id = 'p'\nkind = 'oauth2'\nname = 'P'\nprovisioning = 'open'";
    let settings = "authorize_url = 'https://id.example/authorize'\ntoken_url = 'https://id.example/token'\n\
        userinfo_url = 'https://id.example/me'\nclient_id = 'countersign'\nclient_secret = 'env:SECRET'\n\
        subject = 'id'\nnotices = 'signed_request'";
    let parts = Parts {
        common: toml::from_str::<Common>(common).unwrap_or_else(|_| unreachable!()),
        mapping: Default::default(),
        secrets: BTreeMap::from([(SecretRef::Env("SECRET".to_owned()), SECRET.into())]),
        outbound: outbound(),
        kept: None,
    };
    let settings = toml::from_str::<Settings>(settings).unwrap_or_else(|_| unreachable!());
    build(&settings, parts).unwrap_or_else(|_| unreachable!())
});

/// A signed request as it came; and its payload, which the provider's secret has signed.
///
/// # Panics
/// Where a law is broken.
pub fn signed_request(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        holds(text);
    }
    let payload = URL_SAFE_NO_PAD.encode(data);
    let text = signed(&payload, SECRET);
    let accepted = holds(&text);
    assert_eq!(accepted, text.len() <= LONGEST && is_notice(data), "every notice, and nothing else");
    if !accepted {
        return;
    }
    let mut changed = text.clone().into_bytes();
    let at = data.len() % changed.len();
    if let Some(byte) = changed.get_mut(at) {
        *byte ^= 1 << (data.len() % 7);
    }
    let changed = String::from_utf8(changed).unwrap_or_default();
    let cut = text.get(1..).unwrap_or_default().to_owned();
    for other in [signed(&payload, "another secret"), format!(".{payload}"), changed, cut, text + "="] {
        assert!(heard(&other, NOW).is_err(), "the provider did not sign it");
    }
}

/// Whether it is taken, and then for what it says and for no longer than it is remembered.
fn holds(text: &str) -> bool {
    let notice = match heard(text, NOW) {
        Ok(notice) => notice,
        Err(failure) => {
            assert_eq!(failure.code, OAuthCode::InvalidRequest);
            return false;
        }
    };
    let payload = text.split_once('.').map(|(_, payload)| payload).unwrap_or_default();
    assert_eq!(text, signed(payload, SECRET), "the provider did not sign it, or it has two forms");
    assert!(text.len() <= LONGEST);
    let said = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
    assert!(is_notice(&said));
    let said: Value = serde_json::from_slice(&said).unwrap_or_default();
    let IdentityKey { provider, issuer, subject, format } = notice.identity;
    assert_eq!((provider.as_str(), issuer.as_str(), format.as_str()), ("p", "https://id.example", ""));
    assert_eq!(said["user_id"], subject);
    assert!((1..=255).contains(&subject.len()) && subject != "0" && !subject.chars().any(char::is_control));
    assert_eq!(notice.replay.what, format!("signed_request:{text}"));
    let until = notice.replay.until.secs();
    assert!((NOW + 60..=NOW + 3720).contains(&until));
    assert!(heard(text, until).is_err(), "it is forgotten while it counts");
    true
}

/// By another reader: an object with the one algorithm, of the last hour, about somebody, and not a browser's.
fn is_notice(payload: &[u8]) -> bool {
    let said: Value = serde_json::from_slice(payload).unwrap_or_default();
    json::object(payload).is_ok()
        && said["algorithm"] == "HMAC-SHA256"
        && said.get("code").is_none()
        && said["issued_at"].as_i64().is_some_and(|at| (NOW - 3600..=NOW + 60).contains(&at))
        && said["user_id"].as_str().is_some_and(|id| is_id(id) && id != "0")
}

fn signed(payload: &str, secret: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), payload.as_bytes());
    format!("{}.{payload}", URL_SAFE_NO_PAD.encode(tag))
}

fn heard(text: &str, at: i64) -> Result<Notice, Failure> {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(at)));
    let context = Context::new(clock, Arc::new(SeededEntropy::new(1)));
    let parameters = BTreeMap::from([("signed_request".to_owned(), text.to_owned())]);
    told(|trace| {
        let heard = PROVIDER.inbound_notice(&context, NoticeKind::Deletion, &parameters, trace);
        heard.now_or_never().unwrap_or_else(|| unreachable!("it waits for nobody"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_as_a_signed_request() {
        crate::upstream::fuzzing::brief("signed_request", 3000, signed_request);
    }

    /// The laws say nothing of a check that takes nothing.
    #[test]
    fn seeds_hold() {
        let seed = |name: &str| {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
            let mut paths = root.ancestors().map(|at| at.join("fuzz/seeds/signed_request").join(name));
            std::fs::read(paths.find(|path| path.is_file()).unwrap()).unwrap()
        };
        for name in ["notice.json", "full.json"] {
            assert!(holds(&signed(&URL_SAFE_NO_PAD.encode(seed(name)), SECRET)), "{name}");
        }
        assert!(holds(&String::from_utf8(seed("whole.txt")).unwrap()));
        assert!(!holds(&String::from_utf8(seed("sign_in.txt")).unwrap()));
    }
}
