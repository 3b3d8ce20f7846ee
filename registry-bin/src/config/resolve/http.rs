//! What `http` means, but for `http.tls`.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri, header};

use super::{
    super::{
        Http, Listen,
        error::Result,
        reader::{BareNumber, Section},
    },
    tls,
};
use crate::{listen::host_and_port, trusted::TrustedPeers};

const ADDRESS: &str = "127.0.0.1:5000";
const DRAIN: Duration = Duration::from_secs(5);

pub(super) fn http(http: &Section<'_>) -> Result<Http> {
    let host = http.text("host")?;
    if host.as_ref().is_some_and(|host| !is_url(host)) {
        let message = "must be a URL without user, query and fragment, such as \
                       https://registry.example.org";
        return Err(http.error("host", message));
    }
    let prefix = http
        .text("prefix")?
        .filter(|prefix| !prefix.trim_matches('/').is_empty());
    if prefix
        .as_ref()
        .is_some_and(|prefix| !prefix.starts_with('/'))
    {
        return Err(http.error("prefix", "must begin with a slash, such as /registry/"));
    }
    let listen = listen(http)?;
    Ok(Http {
        host,
        prefix,
        secret: http.secret("secret")?,
        relative_urls: http.boolean_if("relativeurls")?,
        drain: http.duration("draintimeout", DRAIN, BareNumber::Nanoseconds)?,
        headers: headers(http)?,
        trusted: TrustedPeers::parse(http.strings("trustedproxies")?)
            .map_err(|invalid| http.error("trustedproxies", invalid.to_string()))?,
        tls: tls::tls(&http.section("tls")?)?,
        http2: !http.section("http2")?.boolean("disabled", false)?,
        h2c: http.section("h2c")?.boolean("enabled", true)?,
        debug: debug(&http.section("debug")?, &listen)?,
        listen,
    })
}

fn listen(http: &Section<'_>) -> Result<Listen> {
    let network = http.word("net", &[("tcp", Network::Tcp), ("unix", Network::Unix)])?;
    if let Network::Unix = network {
        let message = "must be the path of the socket, since http.net is unix";
        return match http.text("addr")? {
            Some(path) => Ok(Listen::Unix(path.into())),
            None => Err(http.error("addr", message)),
        };
    }
    let address = http.text_or("addr", ADDRESS)?;
    if host_and_port(&address).is_some() {
        return Ok(Listen::Tcp(address));
    }
    Err(http.error("addr", no_address("5000")))
}

/// What `net` says.
#[derive(Clone, Copy)]
enum Network {
    Tcp,
    Unix,
}

fn no_address(port: &str) -> String {
    format!(
        "must be a host and a port up to 65535, such as 127.0.0.1:{port}, '[::1]:{port}', or :{port} for \
         every interface; no URL, and no `*`"
    )
}

/// Whether both cannot be listened on.
fn is_same(one: &str, other: &str) -> bool {
    let (Some((one, port)), Some((other, same))) = (host_and_port(one), host_and_port(other))
    else {
        return false;
    };
    let everywhere = |host: &str| matches!(host, "" | "0.0.0.0" | "::");
    let hosts = one.eq_ignore_ascii_case(other) || everywhere(one) || everywhere(other);
    port == same && port != 0 && hosts
}

fn debug(debug: &Section<'_>, listen: &Listen) -> Result<Option<String>> {
    let prometheus = debug.section("prometheus")?;
    if prometheus.boolean("enabled", false)? {
        let message = "metrics come with a later release; write false, or remove it";
        return Err(prometheus.error("enabled", message));
    }
    prometheus.text("path")?;
    let Some(address) = debug.text("addr")? else {
        return Ok(None);
    };
    if host_and_port(&address).is_none() {
        return Err(debug.error("addr", no_address("5001")));
    }
    if matches!(listen, Listen::Tcp(taken) if is_same(taken, &address)) {
        let message =
            "is the address of http.addr, too; choose another port, such as 127.0.0.1:5001";
        return Err(debug.error("addr", message));
    }
    Ok(Some(address))
}

/// Headers that say how an answer is sent (RFC 9110 §7.6.1, RFC 9112 §6): a wrong one breaks it.
const OF_THE_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

fn headers(http: &Section<'_>) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let section = http.section("headers")?;
    let mut headers = Vec::new();
    for key in section.keys() {
        for value in section.strings(key)? {
            match (key.parse(), value.parse()) {
                (Ok(name), Ok(_)) if OF_THE_CONNECTION.contains(&name) => {
                    let message =
                        "is about the connection, which the registry knows best; remove it";
                    return Err(section.error(key, message));
                }
                (Ok(name), Ok(value)) => headers.push((name, value)),
                (Err(_), _) => return Err(section.error(key, "is no name of a header")),
                (_, Err(_)) => return Err(section.error(key, "is no value of a header")),
            }
        }
    }
    Ok(headers)
}

/// Whether clients can be sent below it: a scheme and a host, a path maybe, and nothing behind.
fn is_url(text: &str) -> bool {
    let Ok(url) = text.parse::<Uri>() else {
        return false;
    };
    let user = url
        .authority()
        .is_none_or(|host| host.as_str().contains('@'));
    matches!(url.scheme_str(), Some("http" | "https"))
        && !user
        && url.query().is_none()
        && !text.contains('#')
}
