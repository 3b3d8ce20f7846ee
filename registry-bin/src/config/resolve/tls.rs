//! What `http.tls` means.

use http::uri::{Scheme, Uri};
use rustls::pki_types::ServerName;

use super::super::{
    Acme, Certificate, ClientAuth, ClientCertificates, Tls, TlsVersion, error::Result,
    reader::Section,
};

pub(super) fn tls(tls: &Section<'_>) -> Result<Option<Tls>> {
    let (certificate, key) = (tls.text("certificate")?, tls.text("key")?);
    let acme = acme(&tls.section("letsencrypt")?)?;
    let clients = clients(tls)?;
    let minimum = minimum(tls)?;
    let cipher_suites = tls.strings("ciphersuites")?;
    let certificate = match (certificate, key, acme) {
        (None, None, None) => {
            if clients.is_some() {
                let message = "is without effect, since there is no certificate; write \
                               http.tls.certificate and http.tls.key, or remove it";
                return Err(tls.error("clientcas", message));
            }
            tls.is_off(None);
            return Ok(None);
        }
        (Some(certificate), Some(key), None) => Certificate::Files {
            certificate: certificate.into(),
            key: key.into(),
        },
        (None, None, Some(acme)) => Certificate::Acme(acme),
        (Some(_), None, _) => {
            let message = "is missing; write the file with the private key of http.tls.certificate";
            return Err(tls.error("key", message));
        }
        (None, Some(_), _) => {
            let message = "is missing; write the file with the certificate of http.tls.key";
            return Err(tls.error("certificate", message));
        }
        (Some(_), Some(_), Some(_)) => {
            let message =
                "there is a certificate in http.tls.certificate already; keep one of the two";
            return Err(tls.error("letsencrypt", message));
        }
    };
    Ok(Some(Tls {
        certificate,
        clients,
        minimum,
        cipher_suites,
    }))
}

fn acme(acme: &Section<'_>) -> Result<Option<Acme>> {
    let (cache, email) = (acme.text("cachefile")?, acme.text("email")?);
    let hosts = acme.strings("hosts")?;
    let (directory_url, directory_ca) = (acme.text("directoryurl")?, acme.text("directoryca")?);
    let Some(cache) = cache else {
        if email.is_none() && hosts.is_empty() && directory_url.is_none() {
            return Ok(None);
        }
        let message = "is missing; write a directory in which certificates are kept";
        return Err(acme.error("cachefile", message));
    };
    if hosts.is_empty() {
        let message = "is missing; write the names to have certificates for, such as \
                       [registry.example.org]";
        return Err(acme.error("hosts", message));
    }
    for host in &hosts {
        if !matches!(
            ServerName::try_from(host.as_str()),
            Ok(ServerName::DnsName(_))
        ) {
            let message = format!(
                "{host:?} is no name that certificates are had for by TLS-ALPN-01; write full names, such \
                 as registry.example.org: no wildcard, no address, no port"
            );
            return Err(acme.error("hosts", message));
        }
    }
    if email.as_ref().is_some_and(|email| !is_address(email)) {
        let message = "must be an address, such as admin@example.org";
        return Err(acme.error("email", message));
    }
    if directory_url.as_ref().is_some_and(|url| !is_encrypted(url)) {
        let message =
            "must be a URL that begins with https://; what ACME asks is never asked without TLS";
        return Err(acme.error("directoryurl", message));
    }
    Ok(Some(Acme {
        cache: cache.into(),
        email,
        hosts,
        directory_url,
        directory_ca: directory_ca.map(Into::into),
    }))
}

fn is_address(email: &str) -> bool {
    let begins = email.starts_with("mailto:");
    !begins
        && email
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
}

fn is_encrypted(url: &str) -> bool {
    let url = url.parse::<Uri>();
    url.is_ok_and(|url| url.scheme() == Some(&Scheme::HTTPS) && url.host().is_some())
}

fn clients(tls: &Section<'_>) -> Result<Option<ClientCertificates>> {
    let words = [
        (
            "require-and-verify-client-cert",
            ClientAuth::RequireAndVerify,
        ),
        ("request-client-cert", ClientAuth::Request),
        ("require-any-client-cert", ClientAuth::RequireAny),
        ("verify-client-cert-if-given", ClientAuth::VerifyIfGiven),
    ];
    let authorities = tls.strings("clientcas")?;
    let auth = tls.word("clientauth", &words)?;
    let verifies = matches!(
        auth,
        ClientAuth::RequireAndVerify | ClientAuth::VerifyIfGiven
    );
    if authorities.is_empty() {
        if tls.has("clientauth") && verifies {
            let message = "is missing; write the files with the authorities that http.tls.clientauth \
                           verifies against";
            return Err(tls.error("clientcas", message));
        }
        if !tls.has("clientauth") {
            tls.is_off(Some("clientauth"));
            return Ok(None);
        }
    }
    Ok(Some(ClientCertificates {
        authorities: authorities.into_iter().map(Into::into).collect(),
        auth,
    }))
}

fn minimum(tls: &Section<'_>) -> Result<TlsVersion> {
    if let Some(old @ ("tls1.0" | "tls1.1")) = tls.written("minimumtls")?.as_deref() {
        let message = format!(
            "{old} is not supported: it is broken (RFC 8996), and no client that speaks to a \
             registry needs it; write tls1.2"
        );
        return Err(tls.error("minimumtls", message));
    }
    let words = [("tls1.2", TlsVersion::Tls12), ("tls1.3", TlsVersion::Tls13)];
    tls.word("minimumtls", &words)
}
