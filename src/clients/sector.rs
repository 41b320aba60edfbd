//! The sector of a client (OIDC Core §8.1): clients of one sector know a person by the same pairwise `sub`,
//! clients of different sectors can never tell that theirs is the same person.

use super::Client;
use url::Url;

/// Why a client has no sector. The text ends the sentence "a client with pairwise subjects …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSector {
    /// The sector identifier URI is no https address with a host (OIDC Registration §5).
    #[error("needs an https address as its sector identifier URI (OIDC Registration §5)")]
    NotHttps,
    /// OIDC Core §8.1: with several hosts, a sector identifier URI must say which one counts.
    #[error("and redirect URIs on several hosts needs a sector identifier URI (OIDC Core §8.1)")]
    SeveralHosts,
    /// No redirect URI has a host.
    #[error("needs a redirect URI with a host, or a sector identifier URI (OIDC Core §8.1)")]
    NoHost,
}

/// The sector: the host of the sector identifier URI, or else the one host of all redirect URIs.
///
/// That the document at the sector identifier URI names the client's redirect URIs is checked when the client
/// is registered, not here.
///
/// # Errors
/// [`NoSector`].
pub fn sector(client: &Client) -> Result<String, NoSector> {
    if let Some(text) = &client.subjects.sector_identifier_uri {
        let url = Url::parse(text).ok().filter(|url| url.scheme() == "https").ok_or(NoSector::NotHttps)?;
        return url.host_str().map(str::to_owned).ok_or(NoSector::NotHttps);
    }
    let mut sector: Option<String> = None;
    for text in &client.redirect_uris {
        let url = Url::parse(text).map_err(|_| NoSector::NoHost)?;
        // an app's own scheme has a path, no host that anybody owns
        let host = url.host_str().filter(|_| matches!(url.scheme(), "https" | "http"));
        let host = host.ok_or(NoSector::NoHost)?;
        match &sector {
            Some(earlier) if earlier != host => return Err(NoSector::SeveralHosts),
            _ => sector = Some(host.to_owned()),
        }
    }
    sector.ok_or(NoSector::NoHost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::tests::client;

    fn of(redirects: &[&str], uri: Option<&str>) -> Result<String, NoSector> {
        let mut app = client("app");
        app.subjects.pairwise = true;
        app.subjects.sector_identifier_uri = uri.map(str::to_owned);
        app.redirect_uris = redirects.iter().map(|&uri| uri.to_owned()).collect();
        sector(&app)
    }

    #[test]
    fn the_one_host_is_the_sector_and_ports_and_paths_do_not_matter() {
        let one = of(&["https://a.test/cb", "https://a.test:8443/other?x=1"], None);
        assert_eq!(one.as_deref(), Ok("a.test"));
        assert_eq!(of(&["https://A.test/cb"], None).as_deref(), Ok("a.test"), "hosts have no case");
    }

    #[test]
    fn several_hosts_or_none_need_a_sector_identifier_uri() {
        let two = ["https://a.test/cb", "https://b.test/cb"];
        assert_eq!(of(&two, None), Err(NoSector::SeveralHosts));
        assert_eq!(of(&two, Some("https://s.test/list.json")).as_deref(), Ok("s.test"));
        assert_eq!(of(&[], None), Err(NoSector::NoHost));
        assert_eq!(of(&["com.example.app:/cb"], None), Err(NoSector::NoHost));
        assert_eq!(of(&["com.example.app://a.test/cb"], None), Err(NoSector::NoHost));
        assert_eq!(of(&["https://a.test/cb", "com.example.app:/cb"], None), Err(NoSector::NoHost));
        for bad in ["http://s.test/list.json", "s.test", "urn:s.test", "ftp://s.test/x"] {
            assert_eq!(of(&["https://a.test/cb"], Some(bad)), Err(NoSector::NotHttps), "{bad}");
        }
    }
}
