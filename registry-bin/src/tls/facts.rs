//! What a certificate says of itself, and what clients will say to that.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use rustls::pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, parse_x509_certificate,
    x509::X509Version,
};

/// How long before its end a certificate is complained about.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// The facts of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The names that it is for.
    pub names: Vec<String>,
    /// When it begins.
    pub from: SystemTime,
    /// When it ends.
    pub until: SystemTime,
    /// When it ends, for people: UTC.
    pub until_text: String,
    /// What is unusual about it, and what to do.
    pub notices: Vec<String>,
}

impl Facts {
    /// The facts of `certificate` at the time `now`; `None` when it cannot be read.
    pub fn read(certificate: &CertificateDer<'_>, now: SystemTime) -> Option<Self> {
        let (_, parsed) = parse_x509_certificate(certificate).ok()?;
        let names = names(&parsed);
        let time = |seconds: i64| {
            let seconds = u64::try_from(seconds).unwrap_or(0);
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
        };
        let validity = parsed.validity();
        let (from, until) = (
            time(validity.not_before.timestamp()),
            time(validity.not_after.timestamp()),
        );
        let mut notices = Vec::new();
        if names.is_empty() {
            let version = match parsed.version() {
                X509Version::V1 => "is X.509 version 1 and has",
                _ => "has",
            };
            notices.push(format!(
                "the certificate {version} no subjectAltName: Go clients (docker, podman, containerd) refuse \
                 it with \"x509: certificate relies on legacy Common Name field, use SANs instead\", \
                 trusted or not, unless they treat the registry as insecure. Make one that has: \
                 openssl req -x509 -newkey rsa:2048 -nodes -days 365 -keyout server.key -out server.crt \
                 -subj /CN=HOST -addext subjectAltName=DNS:HOST"
            ));
        }
        let until_text = validity.not_after.to_string();
        if now > until {
            notices.push(format!(
                "the certificate ended at {until_text}: clients refuse it; replace the files, they are read \
                 again by themselves"
            ));
        } else if until.duration_since(now).is_ok_and(|left| left < SOON) {
            notices.push(format!(
                "the certificate ends soon, at {until_text}; replace the files"
            ));
        }
        if now < from {
            let from = validity.not_before.to_string();
            notices.push(format!(
                "the certificate begins only at {from}: clients refuse it until then; is the clock right?"
            ));
        }
        Some(Self {
            names,
            from,
            until,
            until_text,
            notices,
        })
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes)
                .ok()
                .map(|bytes| IpAddr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|bytes| IpAddr::from(bytes).to_string()),
        },
        // Nobody compares others with the name of a host.
        _ => None,
    };
    names.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    fn facts(pem: &[u8], days: u64) -> Facts {
        let certificate = CertificateDer::from_pem_slice(pem).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(days * 24 * 3600);
        Facts::read(&certificate, now).unwrap()
    }

    #[test]
    fn what_clients_will_say_is_said_before() {
        const V1: &[u8] = include_bytes!("../../tests/pem/v1.crt");
        const EC: &[u8] = include_bytes!("../../tests/pem/ec.crt");
        // In 2030 both are valid; they end a hundred years after 2026.
        let v1 = facts(V1, 22_000);
        assert!(v1.names.is_empty());
        assert_eq!(v1.notices.len(), 1);
        for said in [
            "X.509 version 1",
            "legacy Common Name",
            "-addext subjectAltName=DNS:",
        ] {
            assert!(v1.notices[0].contains(said), "{:?}", v1.notices);
        }
        let ec = facts(EC, 22_000);
        assert_eq!(ec.names, ["registry.example", "127.0.0.1"]);
        assert!(ec.notices.is_empty());
        let end = ec
            .until
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs()
            / 24
            / 3600;
        for (days, said) in [
            (end + 2, "ended at"),
            (end - 3, "ends soon"),
            (100, "begins only at"),
        ] {
            let notices = facts(EC, days).notices;
            assert!(
                notices.len() == 1 && notices[0].contains(said),
                "{notices:?}"
            );
        }
    }
}
