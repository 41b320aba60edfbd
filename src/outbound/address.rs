//! Which addresses may be spoken to. A provider's discovery document, or a name server, must not be able to
//! make us speak to the machines behind our own wall (CWE-918).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// What a provider's settings allow beyond public addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddressRules {
    /// This very machine, and plain http to it.
    pub allow_loopback: bool,
    /// Private networks (RFC 1918, RFC 4193, RFC 6598).
    pub allow_private_network: bool,
}

/// The range that `allow_loopback` opens.
pub const LOOPBACK: &str = "loopback";
/// The range that `allow_private_network` opens.
pub const PRIVATE: &str = "private";

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
    /// Only https, or http to this machine where that is allowed.
    #[error("`{0}` is not https")]
    Scheme(String),
    /// No host, or one with a user name.
    #[error("the address has no host, or a user name")]
    Host,
    /// The range is not allowed.
    #[error("{0} is a {1} address")]
    Range(IpAddr, &'static str),
    /// A name that leads nowhere.
    #[error("the name leads to no address")]
    Nowhere,
}

/// Whether the URL's host is this machine by its very writing: `localhost`, names under it (RFC 6761 §6.3),
/// or a loopback address.
pub fn is_loopback_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// `localhost` and names under it.
pub fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
}

impl AddressRules {
    /// Checks what can be checked before a name is resolved.
    ///
    /// # Errors
    /// Which rule forbids it.
    pub fn check_url(self, url: &Url) -> Result<(), AddressRefused> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressRefused::Host);
        }
        match url.scheme() {
            "https" => {}
            "http" if self.allow_loopback && is_loopback_host(url) => {}
            other => return Err(AddressRefused::Scheme(other.to_owned())),
        }
        match url.host() {
            Some(Host::Ipv4(ip)) => self.check_ip(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => self.check_ip(IpAddr::V6(ip)),
            Some(Host::Domain(_)) => Ok(()),
            None => Err(AddressRefused::Host),
        }
    }

    /// Checks an address that is about to be connected to.
    ///
    /// # Errors
    /// Its range is not allowed.
    pub fn check_ip(self, ip: IpAddr) -> Result<(), AddressRefused> {
        let range = match ip {
            IpAddr::V4(v4) => range_v4(v4),
            IpAddr::V6(v6) => range_v6(v6),
        };
        match range {
            Range::Public => Ok(()),
            Range::Loopback if self.allow_loopback => Ok(()),
            Range::Private if self.allow_private_network => Ok(()),
            Range::Loopback => Err(AddressRefused::Range(ip, LOOPBACK)),
            Range::Private => Err(AddressRefused::Range(ip, PRIVATE)),
            Range::Never(what) => Err(AddressRefused::Range(ip, what)),
        }
    }
}

enum Range {
    Public,
    Loopback,
    Private,
    /// No setting allows it.
    Never(&'static str),
}

/// The registries of RFC 6890 and its successors.
fn range_v4(ip: Ipv4Addr) -> Range {
    let [a, b, c, _] = ip.octets();
    match (a, b, c) {
        (127, ..) => Range::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Range::Private,
        (100, 64..=127, _) => Range::Private,
        // where clouds keep the machine's own credentials
        (169, 254, _) => Range::Never("link-local"),
        (0, ..) => Range::Never("unspecified"),
        (224..=239, ..) => Range::Never("multicast"),
        (240..=255, ..) => Range::Never("reserved"),
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (198, 18..=19, _) | (192, 88, 99) => {
            Range::Never("special-purpose")
        }
        _ => Range::Public,
    }
}

fn range_v6(ip: Ipv6Addr) -> Range {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    if ip.is_loopback() {
        return Range::Loopback;
    }
    if ip.is_unspecified() {
        return Range::Never("unspecified");
    }
    match (a, b) {
        // an IPv4 address in disguise (mapped, compatible, NAT64, 6to4, Teredo) could be any of the above
        (0, 0) if (c, d, e) == (0, 0, 0) && matches!(f, 0 | 0xffff) => {
            let _ = (g, h);
            Range::Never("IPv4-mapped")
        }
        (0x0064, 0xff9b) => Range::Never("NAT64"),
        (0x2002, _) => Range::Never("6to4"),
        (0x2001, 0) => Range::Never("Teredo"),
        (0x2001, 0x0db8) | (0x0100, 0) | (0x3fff, 0..=0x0fff) => Range::Never("special-purpose"),
        (0xfc00..=0xfdff, _) => Range::Private,
        (0xfe80..=0xfebf, _) => Range::Never("link-local"),
        (0xfec0..=0xfeff, _) => Range::Never("site-local"),
        (0xff00..=0xffff, _) => Range::Never("multicast"),
        (0x2000..=0x3fff, _) => Range::Public,
        _ => Range::Never("reserved"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STRICT: AddressRules = AddressRules { allow_loopback: false, allow_private_network: false };
    const LOOSE: AddressRules = AddressRules { allow_loopback: true, allow_private_network: true };

    fn check(rules: AddressRules, text: &str) -> bool {
        rules.check_url(&Url::parse(text).unwrap()).is_ok()
    }

    #[test]
    fn oidc_057_only_public_https_addresses_unless_allowed() {
        assert!(check(STRICT, "https://id.example/x"));
        assert!(check(STRICT, "https://93.184.216.34/"));
        assert!(check(STRICT, "https://[2606:2800:220:1::1]/"));
        for bad in [
            "http://id.example/",
            "file:///etc/passwd",
            "ftp://id.example/",
            "https://u:p@id.example/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://10.0.0.1/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://100.64.0.1/",
            "https://169.254.169.254/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://0.0.0.0/",
            "https://[::]/",
            "https://224.0.0.1/",
            "https://[ff02::1]/",
            "https://255.255.255.255/",
        ] {
            assert!(!check(STRICT, bad), "{bad}");
        }
    }

    #[test]
    fn switches_open_only_what_they_name() {
        assert!(check(LOOSE, "http://localhost:8081/"));
        assert!(check(LOOSE, "http://127.0.0.1/"));
        assert!(check(LOOSE, "http://[::1]/"));
        assert!(check(LOOSE, "https://10.0.0.1/"));
        for bad in [
            "http://10.0.0.1/",
            "http://id.example/",
            "https://169.254.169.254/",
            "https://[fe80::1]/",
            "https://0.0.0.0/",
            "https://[::ffff:10.0.0.1]/",
            "http://localhost.evil.example/",
        ] {
            assert!(!check(LOOSE, bad), "{bad}");
        }
        let private_only = AddressRules { allow_private_network: true, ..STRICT };
        assert!(!check(private_only, "https://127.0.0.1/"));
    }

    #[test]
    fn each_range_has_its_name() {
        for (ip, range) in [
            ("127.0.0.1", "loopback"),
            ("127.255.255.255", "loopback"),
            ("126.255.255.255", ""),
            ("128.0.0.1", ""),
            ("10.255.0.1", "private"),
            ("11.0.0.1", ""),
            ("172.15.255.255", ""),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("172.32.0.1", ""),
            ("192.167.0.1", ""),
            ("192.168.255.1", "private"),
            ("100.63.255.255", ""),
            ("100.64.0.1", "private"),
            ("100.127.255.255", "private"),
            ("100.128.0.1", ""),
            ("169.253.0.1", ""),
            ("169.254.169.254", "link-local"),
            ("0.1.2.3", "unspecified"),
            ("223.255.255.255", ""),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "reserved"),
            ("192.0.0.1", "special-purpose"),
            ("192.0.1.1", ""),
            ("192.0.2.1", "special-purpose"),
            ("198.51.100.1", "special-purpose"),
            ("203.0.113.1", "special-purpose"),
            ("198.18.0.1", "special-purpose"),
            ("198.19.255.255", "special-purpose"),
            ("198.20.0.1", ""),
            ("192.88.99.1", "special-purpose"),
            ("::1", "loopback"),
            ("::", "unspecified"),
            ("::ffff:93.184.216.34", "IPv4-mapped"),
            ("::93.184.216.34", "IPv4-mapped"),
            ("::1:5db8:d822", "reserved"),
            ("0:0:1::1", "reserved"),
            ("0:0:1::ffff:1:1", "reserved"),
            ("64:ff9b::1", "NAT64"),
            ("2002::1", "6to4"),
            ("2001::1", "Teredo"),
            ("2001:db8::1", "special-purpose"),
            ("100::1", "special-purpose"),
            ("3fff:fff::1", "special-purpose"),
            ("3fff:1000::1", ""),
            ("2001:4860::1", ""),
            ("fbff::1", "reserved"),
            ("fc00::1", "private"),
            ("fdff::1", "private"),
            ("fe00::1", "reserved"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "site-local"),
            ("feff::1", "site-local"),
            ("ff02::1", "multicast"),
            ("4000::1", "reserved"),
            ("1fff::1", "reserved"),
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            let found = match STRICT.check_ip(ip) {
                Err(AddressRefused::Range(refused, range)) if refused == ip => range,
                Err(other) => panic!("{ip}: {other}"),
                Ok(()) => "",
            };
            assert_eq!(found, range, "{ip}");
            assert_eq!(LOOSE.check_ip(ip).is_ok(), matches!(range, "" | "loopback" | "private"), "{ip}");
        }
    }

    #[test]
    fn an_address_has_no_user_and_says_why_it_is_refused() {
        for bad in ["https://u@id.example/", "https://:p@id.example/", "https://u:p@id.example/"] {
            assert_eq!(STRICT.check_url(&Url::parse(bad).unwrap()), Err(AddressRefused::Host), "{bad}");
        }
        let scheme = STRICT.check_url(&Url::parse("http://localhost/").unwrap());
        assert_eq!(scheme, Err(AddressRefused::Scheme("http".to_owned())));
    }

    #[test]
    fn this_machine_is_known_by_its_writing() {
        let here = |text: &str| is_loopback_host(&Url::parse(text).unwrap());
        for yes in
            ["http://localhost", "http://a.localhost", "http://localhost.", "http://127.1", "http://[::1]"]
        {
            assert!(here(yes), "{yes}");
        }
        for no in
            ["http://localhost.example", "http://mylocalhost", "http://10.0.0.1", "http://[::2]", "data:x"]
        {
            assert!(!here(no), "{no}");
        }
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_never_let_in_by_writing_it_as_ipv6(bits: u32) {
            let ip = Ipv4Addr::from(bits);
            prop_assert!(LOOSE.check_ip(IpAddr::V6(ip.to_ipv6_mapped())).is_err());
        }
        #[test]
        fn what_the_strict_rules_allow_the_loose_ones_allow(bits: u128) {
            let ip = IpAddr::V6(Ipv6Addr::from(bits));
            prop_assert!(STRICT.check_ip(ip).is_err() || LOOSE.check_ip(ip).is_ok());
        }
    }
}
