//! The variables that are set for other services: Kubernetes' and Docker's.

/// The variables of other services whose names begin with `registry-`.
#[derive(Debug)]
pub(super) struct Links(Vec<Vec<String>>);

impl Links {
    /// Those whose ports are among `variables`.
    pub(super) fn find(variables: &[(String, String)]) -> Self {
        let service = |(name, value): &(String, String)| {
            let service = name.strip_suffix("_PORT").filter(|_| is_address(value))?;
            Some(service.split('_').skip(1).map(str::to_owned).collect())
        };
        Self(variables.iter().filter_map(service).collect())
    }

    /// Whether a variable is one that Kubernetes or Docker sets: `REGISTRY_REDIS_SERVICE_HOST`,
    /// `REGISTRY_REDIS_PORT=tcp://…` and what is like them. Names and variables of containers
    /// (`REGISTRY_REDIS_NAME=/web/redis`, `REGISTRY_REDIS_ENV_…`) are told from settings by the port
    /// that comes with them.
    pub(super) fn has(&self, path: &[&str], value: &str) -> bool {
        is_link(path, value) || self.0.iter().any(|service| is_of(service, path, value))
    }
}

/// Whether a variable is the name of a container that is linked, or one of its own variables.
fn is_of(service: &[String], path: &[&str], value: &str) -> bool {
    let Some((own, rest)) = path.split_at_checked(service.len()) else {
        return false;
    };
    own == service
        && match rest {
            // Of the container that asks, and of the one that it is linked to.
            ["NAME"] => {
                let names: Vec<_> = value.split('/').collect();
                matches!(names[..], ["", one, other] if !one.is_empty() && !other.is_empty())
            }
            ["ENV", name, ..] => !name.is_empty(),
            _ => false,
        }
}

fn is_address(value: &str) -> bool {
    let kind = value.split_once("://").map(|(kind, _)| kind);
    kind.is_some_and(is_protocol)
}

fn is_protocol(text: &str) -> bool {
    const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
    PROTOCOLS.iter().any(|kind| kind.eq_ignore_ascii_case(text))
}

fn is_link(path: &[&str], value: &str) -> bool {
    // There Distribution takes keys of the operator's choice, so anything may be one.
    const FREE: [&str; 4] = ["CREDENTIALS", "FIELDS", "HEADERS", "OPTIONS"];
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // A port with a name, which may hold `_`.
    let named = path.windows(2).position(|pair| pair == ["SERVICE", "PORT"]);
    let named = named.and_then(|at| path.get(..at));
    let service = match path {
        [service @ .., "SERVICE", "HOST" | "PORT"] => service,
        [service @ .., "PORT"] if is_address(value) => service,
        [service @ .., "PORT", port, kind, "ADDR" | "PORT" | "PROTO"]
        | [service @ .., "PORT", port, kind]
            if number(port) && is_protocol(kind) =>
        {
            service
        }
        _ => match named {
            Some(service) if number(value) => service,
            _ => return false,
        },
    };
    !service.iter().any(|part| FREE.contains(part))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const LINKS: [(&str, &str); 10] = [
        ("SERVICE_HOST", "10.0.0.1"),
        ("SERVICE_PORT", "6379"),
        ("SERVICE_PORT_HTTP", "80"),
        ("SERVICE_PORT_HTTP_METRICS", "9090"),
        ("PORT", "tcp://10.0.0.1:6379"),
        ("PORT_6379_TCP", "tcp://10.0.0.1:6379"),
        ("PORT_6379_TCP_ADDR", "10.0.0.1"),
        ("PORT_6379_TCP_PORT", "6379"),
        ("PORT_6379_TCP_PROTO", "tcp"),
        ("PORT_53_UDP_PROTO", "udp"),
    ];

    /// No key of Distribution's looks like a link, whatever is put where a key is free.
    #[test]
    fn a_link_hides_no_key() {
        for line in include_str!("../../../tests/keys/distribution.txt").lines() {
            let key = line.split('\t').next().unwrap_or_default();
            let key = key
                .replace("[]", "0")
                .replace('.', "_")
                .to_ascii_uppercase();
            for (free, value) in LINKS {
                let name = key.replace('*', free);
                let path: Vec<_> = name.split('_').collect();
                assert!(!is_link(&path, value), "{name}={value}");
                // Nor is it of a link that is there.
                let port = (
                    "REGISTRY_AUTH_PORT".to_owned(),
                    "tcp://10.0.0.1:80".to_owned(),
                );
                let links = Links::find(&[port]);
                assert!(!links.has(&path, value), "{name}={value}");
            }
        }
    }
}
