//! What proxies in front say about a request: who asked them, and for what.
//!
//! Each proxy adds an entry at the right of a list, so a list is read from its right end, for as long
//! as the word is that of somebody who is trusted. What stands further left may come from anybody.

#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use http::{HeaderMap, HeaderName, header, uri::Authority};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What the proxies in front say about the request that reached them.
///
/// It is `X-Forwarded-For`, `-Proto`, `-Host` and `-Port` where there is one of them, else `Forwarded`
/// (RFC 7239): most proxies write the former, and let a `Forwarded` pass that came from a client.
/// `X-Real-IP` counts where neither names a client, and `X-Forwarded-Prefix` always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forwarded {
    /// The scheme that the client used: `http` or `https`.
    pub scheme: Option<String>,
    /// The host that the client asked for, and the port where it said one.
    pub host: Option<String>,
    /// The port that the client asked at, where `host` does not say.
    pub port: Option<u16>,
    /// The prefix that was cut off, without a slash at its end.
    pub prefix: Option<String>,
    /// The address of the client. `None` where the nearest proxy does not say.
    pub client: Option<IpAddr>,
}

impl Forwarded {
    /// Reads the headers of a request that a trusted peer passed on. `trusts` tells the addresses whose
    /// word counts too. What cannot be read, or could not stand in a URL, is left out.
    pub fn read(headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool) -> Self {
        let x = [FOR, PROTO, HOST, PORT];
        let mut found = if x.iter().any(|name| headers.contains_key(name)) {
            Self::of_x(headers, &trusts)
        } else {
            Self::of_rfc(headers, &trusts)
        };
        if found.client.is_none() && !headers.contains_key(FOR) {
            let real = lists(headers, &REAL_IP, ',');
            found.client = real.last().and_then(|ip| address(ip));
        }
        found
    }

    fn of_x(headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool) -> Self {
        let hops = lists(headers, &FOR, ',');
        let (client, depth) = walk(hops.iter().rev().map(|hop| address(hop)), trusts);
        // A proxy that sets the header instead of adding to it speaks for those behind it.
        let said = |name| {
            let entries = lists(headers, &name, ',');
            let at = entries.len().saturating_sub(depth.max(1));
            entries.into_iter().nth(at)
        };
        Self {
            scheme: said(PROTO).and_then(|text| scheme(&text)),
            host: said(HOST).and_then(|text| host(&text)),
            port: said(PORT).and_then(|text| text.parse().ok()),
            prefix: said(PREFIX).and_then(|text| prefix(&text)),
            client,
        }
    }

    fn of_rfc(headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool) -> Self {
        let elements = lists(headers, &header::FORWARDED, ',');
        let hops = elements.iter().rev();
        let (client, depth) = walk(hops.map(|hop| address(&pair(hop, "for")?)), trusts);
        let first = elements.len() - depth.max(1).min(elements.len());
        // The proxy nearest to the client knows best; where it does not say, the next one does.
        let trusted = || elements.iter().skip(first);
        let prefixes = lists(headers, &PREFIX, ',');
        Self {
            scheme: trusted().find_map(|hop| scheme(&pair(hop, "proto")?)),
            host: trusted().find_map(|hop| host(&pair(hop, "host")?)),
            port: None,
            prefix: prefixes.last().and_then(|text| prefix(text)),
            client,
        }
    }

    /// The scheme, the host and the port, where the proxies said one of the first two: `asked` is
    /// the host that was asked for as this process sees it.
    pub fn origin(&self, seen: &str, asked: Option<&str>) -> Option<String> {
        if self.scheme.is_none() && self.host.is_none() {
            return None;
        }
        let scheme = self.scheme.as_deref().unwrap_or(seen);
        let authority: Authority = self.host.as_deref().or(asked)?.parse().ok()?;
        let default = if scheme == "https" { 443 } else { 80 };
        let port = self.port.filter(|port| *port != default);
        Some(match (authority.port_u16(), port) {
            (None, Some(port)) => format!("{scheme}://{authority}:{port}"),
            _ => format!("{scheme}://{authority}"),
        })
    }
}

/// The client, and by how many entries the chain leads to it. It ends with the first address that is
/// not trusted, or before an entry that names none.
fn walk(
    hops: impl Iterator<Item = Option<IpAddr>>,
    trusts: impl Fn(IpAddr) -> bool,
) -> (Option<IpAddr>, usize) {
    let (mut client, mut depth) = (None, 0);
    for hop in hops {
        depth += 1;
        let Some(ip) = hop else { break };
        client = Some(ip);
        if !trusts(ip) {
            break;
        }
    }
    (client, depth)
}

/// The entries of a header, however many lines it has. What is quoted is not cut; what is no text is
/// an entry that says nothing, since it counts as one.
fn lists(headers: &HeaderMap, name: &HeaderName, separator: char) -> Vec<String> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|line| cut(line.to_str().unwrap_or_default(), separator))
        .map(str::to_owned)
        .collect()
}

/// Cuts at `separator` outside of quotes.
fn cut(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|c: char| {
        let cuts = c == separator && !quoted;
        match c {
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = quoted && c == '\\' && !escaped;
        cuts
    })
    .map(str::trim)
    .collect()
}

/// The value of `key` in an element of `Forwarded`.
fn pair(element: &str, key: &str) -> Option<String> {
    let mut pairs = cut(element, ';').into_iter();
    let value = pairs.find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case(key).then_some(value)
    })?;
    Some(unquoted(value.trim()).into_owned())
}

fn unquoted(value: &str) -> Cow<'_, str> {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let Some(inner) = inner else {
        return value.into();
    };
    let mut escaped = false;
    let kept = inner.chars().filter(|c| {
        escaped = *c == '\\' && !escaped;
        !escaped
    });
    kept.collect::<String>().into()
}

/// An address as proxies write it: with or without a port, IPv6 with or without brackets. An IPv4
/// address in the form of IPv6 is one of IPv4.
fn address(text: &str) -> Option<IpAddr> {
    let text = unquoted(text);
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let ip = text.parse().ok().or_else(bracketed).or_else(with_port);
    ip.map(|ip: IpAddr| ip.to_canonical())
}

fn scheme(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    matches!(text.as_str(), "http" | "https").then_some(text)
}

fn host(text: &str) -> Option<String> {
    is_host(text).then(|| text.to_owned())
}

/// Whether this is a host, and maybe a port: no user, and nothing that could lead elsewhere in a URL.
pub(crate) fn is_host(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:[]".contains(&b);
    !text.is_empty() && text.bytes().all(plain) && text.parse::<Authority>().is_ok()
}

fn prefix(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let valid = text.starts_with('/') && !text.starts_with("//") && text.bytes().all(plain);
    let text = text.trim_end_matches('/');
    (valid && !text.is_empty()).then(|| text.to_owned())
}
