//! The variables that are set for other services: Kubernetes' and Docker's.

/// Whether a variable is one that Kubernetes or Docker sets for another service whose name begins with
/// `registry-`: `REGISTRY_REDIS_SERVICE_HOST`, `REGISTRY_REDIS_PORT=tcp://…` and what is like them.
pub(super) fn is_link(path: &[&str], value: &str) -> bool {
    const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
    // There Distribution takes keys of the operator's choice, so anything may be one.
    const FREE: [&str; 4] = ["CREDENTIALS", "FIELDS", "HEADERS", "OPTIONS"];
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let protocol = |text: &str| PROTOCOLS.iter().any(|kind| kind.eq_ignore_ascii_case(text));
    // A port with a name, which may hold `_`.
    let named = path.windows(2).position(|pair| pair == ["SERVICE", "PORT"]);
    let named = named.and_then(|at| path.get(..at));
    let service = match path {
        [service @ .., "SERVICE", "HOST" | "PORT"] => service,
        [service @ .., "PORT"]
            if value
                .split_once("://")
                .is_some_and(|(kind, _)| protocol(kind)) =>
        {
            service
        }
        [service @ .., "PORT", port, kind, "ADDR" | "PORT" | "PROTO"]
        | [service @ .., "PORT", port, kind]
            if number(port) && protocol(kind) =>
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
            }
        }
    }
}
