//! Whose forwarded headers count: addresses, networks, and the other ends of Unix sockets.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net};
use registry_core::server::RegistryService;

/// The word for whoever connects by a Unix socket.
const UNIX: &str = "unix";

/// The peers that are trusted. Default: nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedPeers {
    networks: Vec<IpNet>,
    unix: bool,
}

impl TrustedPeers {
    /// Parses addresses (`10.0.0.1`, `fd00::1`), networks (`10.0.0.0/8`, `fd00::/8`) and the word
    /// `unix`. An IPv4 address or network in the form of IPv6 is one of IPv4.
    ///
    /// # Errors
    ///
    /// [`InvalidPeer`] at the first entry that is none of them, with what to write instead.
    pub fn parse<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, InvalidPeer> {
        let mut peers = Self::default();
        for entry in entries {
            match entry.as_ref().trim() {
                UNIX => peers.unix = true,
                entry => peers.networks.push(network(entry)?),
            }
        }
        Ok(peers)
    }

    /// Whether an address is trusted.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// Whether whoever connects by a Unix socket is trusted.
    pub fn trusts_unix(&self) -> bool {
        self.unix
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether every address of IPv4 or IPv6 is trusted: then a client can say that it is anybody.
    pub fn trusts_everybody(&self) -> bool {
        self.networks
            .iter()
            .any(|network| network.prefix_len() == 0)
    }

    /// Has the service count their headers.
    pub fn apply<F>(self, service: RegistryService<F>) -> RegistryService<F> {
        let service = service.trusted_local_peers(self.unix);
        service.trusted_proxies(move |ip| self.trusts(ip))
    }
}

/// An entry that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidPeer {
    /// What was written.
    pub entry: String,
    /// What is wrong with it, and what to write instead.
    pub reason: String,
}

impl fmt::Display for InvalidPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.entry, self.reason)
    }
}

impl std::error::Error for InvalidPeer {}

fn network(entry: &str) -> Result<IpNet, InvalidPeer> {
    let invalid = |reason: String| InvalidPeer {
        entry: entry.to_owned(),
        reason,
    };
    if let Ok(ip) = IpAddr::from_str(entry) {
        return Ok(ip.to_canonical().into());
    }
    let Some((address, length)) = entry.split_once('/') else {
        let reason = match bare(entry) {
            Some(ip) => format!("has brackets or a port; write {ip}"),
            None => "is no IP address; write one (10.0.0.1, fd00::1), a network (10.0.0.0/8), or \
                     the word unix; names are not looked up"
                .to_owned(),
        };
        return Err(invalid(reason));
    };
    let Ok(network) = IpNet::from_str(entry) else {
        let reason = match (IpAddr::from_str(address), length.parse::<u8>()) {
            (Err(_), _) => "has no IP address before the slash; write one as 10.0.0.0/8".to_owned(),
            (Ok(IpAddr::V4(_)), Ok(_)) => {
                "has a length that is too long; an IPv4 network has at most /32".to_owned()
            }
            (Ok(IpAddr::V6(_)), Ok(_)) => {
                "has a length that is too long; an IPv6 network has at most /128".to_owned()
            }
            (Ok(_), Err(_)) => "has no number behind the slash; write it as 10.0.0.0/8, with the \
                                count of bits and not with a mask"
                .to_owned(),
        };
        return Err(invalid(reason));
    };
    let network = canonical(network);
    if network.addr() != network.network() {
        let (whole, one) = (network.trunc(), network.addr());
        let reason = format!("is an address in a network; write {whole} for all of it, or {one}");
        return Err(invalid(reason));
    }
    Ok(network)
}

/// The address in something with brackets, a port, or both.
fn bare(entry: &str) -> Option<IpAddr> {
    let with_port = entry.parse().ok().map(|a: std::net::SocketAddr| a.ip());
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    with_port.or_else(bracketed)
}

/// `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
fn canonical(network: IpNet) -> IpNet {
    if let (IpNet::V6(v6), Some(length)) = (network, network.prefix_len().checked_sub(96))
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Ok(v4) = Ipv4Net::new(v4, length)
    {
        return v4.into();
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_trusted() {
        let rows: [(&[&str], &[&str], &[&str]); 7] = [
            (&[], &[], &["127.0.0.1", "::1"]),
            (
                &["10.0.0.1", "fd00::1"],
                &["10.0.0.1", "::ffff:10.0.0.1", "fd00::1"],
                &["10.0.0.2", "fd00::2", "::ffff:10.0.0.2"],
            ),
            (
                &[" 10.0.0.0/8 "],
                &["10.255.0.1", "::ffff:10.0.0.1"],
                &["11.0.0.1", "::1"],
            ),
            (&["::ffff:10.0.0.0/104"], &["10.255.0.1"], &["11.0.0.1"]),
            (&["::ffff:10.0.0.1"], &["10.0.0.1"], &["10.0.0.2"]),
            (&["fd00::/8"], &["fd12::1"], &["fe80::1", "10.0.0.1"]),
            (&["0.0.0.0/0"], &["1.2.3.4"], &["::1"]),
        ];
        for (entries, trusted, others) in rows {
            let peers = TrustedPeers::parse(entries).expect("they are valid");
            for (ips, expected) in [(trusted, true), (others, false)] {
                for ip in ips {
                    let ip = ip.parse().expect("it is an address");
                    assert_eq!(peers.trusts(ip), expected, "{entries:?} {ip}");
                }
            }
            assert!(!peers.trusts_unix());
            assert_eq!(peers.is_empty(), entries.is_empty());
            assert_eq!(peers.trusts_everybody(), entries == ["0.0.0.0/0"]);
        }
        let unix = TrustedPeers::parse(["unix"]).expect("it is valid");
        assert!(unix.trusts_unix() && !unix.is_empty());
        assert!(!unix.trusts(IpAddr::from([127, 0, 0, 1])));
    }

    #[test]
    fn what_is_wrong_and_what_to_write() {
        for (entry, told) in [
            ("", "is no IP address; write one (10.0.0.1"),
            ("localhost", "names are not looked up"),
            ("10.0.0.1:80", "write 10.0.0.1"),
            ("[fd00::1]", "write fd00::1"),
            ("[fd00::1]:80", "write fd00::1"),
            ("10.0.0.0/33", "at most /32"),
            ("fd00::/129", "at most /128"),
            ("10.0.0.0/255.0.0.0", "not with a mask"),
            ("10.0/8", "no IP address before the slash"),
            ("10.0.0.1/8", "write 10.0.0.0/8 for all of it, or 10.0.0.1"),
            ("fd00::1/8", "write fd00::/8 for all of it, or fd00::1"),
        ] {
            let error = TrustedPeers::parse([entry]).expect_err(entry).to_string();
            assert!(error.contains(told), "{error}");
            assert!(error.starts_with(&format!("{entry:?} ")), "{error}");
        }
    }
}
