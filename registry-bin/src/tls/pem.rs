//! Certificates and keys from PEM files, in whatever order they stand there.

use std::{path::Path, sync::Arc};

use rustls::{
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};
use x509_parser::parse_x509_certificate;

use super::{file, settings::TlsError};

/// The certificates of a file.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| TlsError::file(path, damaged(&error)))?;
    if found.is_empty() {
        return Err(TlsError::file(path, no_certificate(&bytes)));
    }
    Ok(found)
}

/// A key with its certificate in front of those that lead from it to an authority. What does not
/// belong to that chain is left out, and told.
pub(super) fn pair(
    certificate: &Path,
    key: &Path,
) -> Result<(CertifiedKey, Vec<String>), TlsError> {
    let found = certificates(certificate)?;
    let signing = private_key(key)?;
    let mut chain = Vec::new();
    let mut left = Vec::new();
    for der in found {
        if !chain.contains(&der) && !left.contains(&der) {
            let fits = CertifiedKey::new(vec![der.clone()], Arc::clone(&signing));
            // A certificate that cannot be read as one of version 3 is compared by its key below.
            if chain.is_empty() && belongs(&fits) {
                chain.push(der);
            } else {
                left.push(der);
            }
        }
    }
    if chain.is_empty() {
        let key = key.display();
        let message = format!(
            "none of its certificates is that of the key in {key}; name the pair that was made \
             together (openssl x509 -noout -pubkey and openssl pkey -pubout print the same)"
        );
        return Err(TlsError::file(certificate, message));
    }
    while let Some(next) = chain.last().and_then(|last| issuer_among(last, &left)) {
        chain.push(left.swap_remove(next));
    }
    let mut notices = Vec::new();
    for der in left {
        let (path, subject) = (certificate.display(), subject(&der));
        let notice = format!(
            "{path}: the certificate of {subject} does not belong to the chain, and is not sent"
        );
        // Others have the same name.
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }
    Ok((CertifiedKey::new(chain, signing), notices))
}

/// Whether the key is that of the certificate. rustls compares the two where it can read the
/// certificate; one of version 1 it cannot, so its key is taken from it here.
fn belongs(pair: &CertifiedKey) -> bool {
    let Some(certificate) = pair.cert.first() else {
        return false;
    };
    let Some(ours) = pair.key.public_key() else {
        return pair.keys_match().is_ok();
    };
    parse_x509_certificate(certificate)
        .is_ok_and(|(_, parsed)| parsed.public_key().raw == ours.as_ref())
}

/// The one of `others` that signed `certificate`, going by names; none where it signed itself.
fn issuer_among(
    certificate: &CertificateDer<'_>,
    others: &[CertificateDer<'static>],
) -> Option<usize> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    if parsed.issuer() == parsed.subject() {
        return None;
    }
    others.iter().position(|other| {
        parse_x509_certificate(other).is_ok_and(|(_, other)| other.subject() == parsed.issuer())
    })
}

fn subject(certificate: &CertificateDer<'_>) -> String {
    match parse_x509_certificate(certificate) {
        Ok((_, parsed)) => parsed.subject().to_string(),
        Err(_) => "somebody".to_owned(),
    }
}

fn private_key(path: &Path) -> Result<Arc<dyn rustls::sign::SigningKey>, TlsError> {
    let bytes = read(path)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|error| TlsError::file(path, no_key(&bytes, &error)))?;
    provider().key_provider.load_private_key(key).map_err(|error| {
        let message = format!(
            "holds a key that cannot be used ({error}); make one that is RSA with 2048 to 4096 bits, \
             ECDSA P-256 or P-384, or Ed25519: openssl ecparam -genkey -name prime256v1 -noout"
        );
        TlsError::file(path, message)
    })
}

/// The cryptography that everything here uses.
pub(super) fn provider() -> CryptoProvider {
    ring::default_provider()
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let bytes = file::read(path)?;
    // Editors of Windows put it there.
    Ok(match bytes.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => rest.to_owned(),
        None => bytes,
    })
}

/// The mark that says of a text that it is UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What is wrong with a text that holds something in PEM. What stands in its lines may be a secret, and
/// is not told.
fn damaged(error: &pem::Error) -> String {
    match error {
        // All on one line, the key is a part of what it takes for a name.
        pem::Error::MissingSectionEnd { end_marker } if contains(end_marker, "-----") => {
            "is without its line breaks: -----BEGIN … ----- has a line of its own; copy the file with them"
                .to_owned()
        }
        pem::Error::MissingSectionEnd { end_marker } => {
            let what = String::from_utf8_lossy(end_marker);
            format!("ends before the line -----END {what}-----; copy the whole file")
        }
        pem::Error::IllegalSectionStart { .. } => {
            "has a line that begins with -----BEGIN and does not end with -----; copy the file again"
                .to_owned()
        }
        pem::Error::Base64Decode(_) => {
            "is no base64 between -----BEGIN and -----END; copy the file again".to_owned()
        }
        error => format!("is damaged: {error}"),
    }
}

fn no_certificate(bytes: &[u8]) -> String {
    let what = if is_pkcs12(bytes) {
        PKCS12
    } else if is_der(bytes) {
        "is DER, not PEM; convert it: openssl x509 -inform der -in FILE"
    } else if contains(bytes, "PRIVATE KEY") {
        "holds a key and no certificate; http.tls.certificate and http.tls.key are exchanged, maybe"
    } else if bytes.is_empty() {
        "is empty"
    } else {
        "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"
    };
    what.to_owned()
}

fn no_key(bytes: &[u8], error: &pem::Error) -> String {
    let what = if contains(bytes, "ENCRYPTED") {
        "holds a key with a passphrase; take it off: openssl pkey -in FILE -out NEW"
    } else if !matches!(error, pem::Error::NoItemsFound) {
        return damaged(error);
    } else if is_pkcs12(bytes) {
        PKCS12
    } else if is_der(bytes) {
        "is DER, not PEM; convert it: openssl pkey -inform der -in FILE"
    } else if contains(bytes, "BEGIN CERTIFICATE") {
        "holds a certificate and no key; http.tls.certificate and http.tls.key are exchanged, maybe"
    } else if bytes.is_empty() {
        "is empty"
    } else {
        "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)"
    };
    what.to_owned()
}

/// What to do about a file of Windows' or Java's, which holds key and certificates together.
const PKCS12: &str = "is PKCS#12, not PEM; convert it: openssl pkcs12 -in FILE -nodes -out NEW; NEW holds the key \
     and the certificate, and can be named for both";

/// Whether it is one of the structures of ASN.1 that certificates and keys are.
fn is_der(bytes: &[u8]) -> bool {
    // Each begins with a structure, a number or a name of what it is.
    content(bytes).is_some_and(|content| matches!(content.first(), Some(0x30 | 0x02 | 0x06)))
}

/// Whether it begins as RFC 7292 §4 has it: with version 3, which no key has.
fn is_pkcs12(bytes: &[u8]) -> bool {
    content(bytes).is_some_and(|content| content.starts_with(&[0x02, 1, 3]))
}

/// What a SEQUENCE begins with, whatever the form of its length.
fn content(bytes: &[u8]) -> Option<&[u8]> {
    let (&length, rest) = bytes.strip_prefix(&[0x30])?.split_first()?;
    match length {
        0..=0x80 => Some(rest),
        more => rest.get(usize::from(more & 0x7f)..),
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/pem")
            .join(name)
    }

    #[test]
    fn every_encoding_of_a_key() {
        for (certificate, key) in [
            ("v1.crt", "rsa.pkcs8.key"),
            ("v1.crt", "rsa.pkcs1.key"),
            ("ec.crt", "ec.sec1.key"),
            ("ed25519.crt", "ed25519.key"),
        ] {
            let (pair, notices) = pair(&fixture(certificate), &fixture(key)).unwrap();
            assert_eq!((pair.cert.len(), notices.len()), (1, 0), "{key}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_to_do() {
        for (certificate, key, said) in [
            (
                "ec.crt",
                "rsa.pkcs8.key",
                "ec.crt: none of its certificates is that of the key",
            ),
            (
                "v1.crt",
                "ec.sec1.key",
                "v1.crt: none of its certificates is that of the key",
            ),
            (
                "ec.crt",
                "encrypted.key",
                "encrypted.key: holds a key with a passphrase; take it off",
            ),
            (
                "ec.crt",
                "ec.key.der",
                "ec.key.der: is DER, not PEM; convert it",
            ),
            (
                "ec.der",
                "ec.sec1.key",
                "ec.der: is DER, not PEM; convert it",
            ),
            (
                "ec.sec1.key",
                "ec.crt",
                "ec.sec1.key: holds a key and no certificate",
            ),
            ("ec.crt", "ec.crt", "ec.crt: holds a certificate and no key"),
            ("ec.crt", "README.md", "README.md: holds no private key"),
            (
                "README.md",
                "ec.sec1.key",
                "README.md: holds no certificate",
            ),
            (
                "absent",
                "ec.sec1.key",
                "absent: cannot be read: No such file",
            ),
            (
                "ec.p12",
                "ec.sec1.key",
                "ec.p12: is PKCS#12, not PEM; convert it: openssl pkcs12 -in FILE -nodes -out NEW",
            ),
            (
                "ec.crt",
                "ec.p12",
                "ec.p12: is PKCS#12, not PEM; convert it: openssl pkcs12 -in FILE -nodes -out NEW",
            ),
            (
                "ec.key.der",
                "ec.sec1.key",
                "ec.key.der: is DER, not PEM; convert it: openssl x509",
            ),
        ] {
            let error = pair(&fixture(certificate), &fixture(key)).unwrap_err();
            assert!(
                error.to_string().contains(said),
                "{certificate} {key}: {error}"
            );
        }
    }

    /// What is said of a text where a certificate is wanted, and where a key is.
    fn said(text: &[u8]) -> [String; 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        fs::write(&path, text).unwrap();
        [
            pair(&path, &fixture("ec.sec1.key")),
            pair(&fixture("ec.crt"), &path),
        ]
        .map(|pair| pair.unwrap_err().to_string())
    }

    #[test]
    fn what_is_missing_is_said_in_words_and_keys_are_not() {
        let text = |name| fs::read_to_string(fixture(name)).unwrap();
        let (certificate, key) = (text("ec.crt"), text("ec.sec1.key"));
        let cut = |text: &str| text.split("-----END").next().unwrap().to_owned();
        for (text, expected) in [
            (
                cut(&certificate),
                "ends before the line -----END CERTIFICATE-----; copy the whole file",
            ),
            (
                cut(&key),
                "ends before the line -----END EC PRIVATE KEY-----; copy the whole file",
            ),
            (
                key.replace("KEY-----\n", "KEY-----"),
                "has a line that begins with -----BEGIN and does not end with -----",
            ),
            (key.replace('\n', ""), "is without its line breaks"),
            (
                certificate.replace("MII", "M(("),
                "is no base64 between -----BEGIN and -----END",
            ),
            (
                key.replace("MHc", "M((") + &certificate.replace("MII", "M(("),
                "is no base64 between -----BEGIN and -----END",
            ),
        ] {
            let secret = key.lines().nth(1).unwrap();
            for told in said(text.as_bytes()) {
                assert!(told.contains(expected), "{told} of\n{text}");
                assert!(!told.contains(secret) && !told.contains("69, 82"), "{told}");
            }
        }
    }

    #[test]
    fn a_mark_of_utf8_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["ec.crt", "ec.sec1.key"].map(|name| {
            let path = folder.path().join(name);
            let text = [BYTE_ORDER_MARK, &fs::read(fixture(name)).unwrap()].concat();
            fs::write(&path, text).unwrap();
            path
        });
        let (pair, notices) = pair(&paths[0], &paths[1]).unwrap();
        assert_eq!((pair.cert.len(), notices.len()), (1, 0));
    }

    #[test]
    fn equal_notices_are_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        let mut text = fs::read_to_string(fixture("ec.crt")).unwrap();
        for _ in 0..3 {
            text += &chain().0[2];
        }
        fs::write(&path, text).unwrap();
        let (_, notices) = pair(&path, &fixture("ec.sec1.key")).unwrap();
        assert_eq!(notices.len(), 1, "{notices:?}");
    }

    /// An authority, one below it, and a server's certificate below that.
    fn chain() -> ([String; 3], String) {
        let authority = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, name);
            (params, KeyPair::generate().unwrap())
        };
        let ((root, root_key), (middle, middle_key)) = (authority("root"), authority("middle"));
        let root_text = root.self_signed(&root_key).unwrap().pem();
        let root = Issuer::new(root, root_key);
        let middle_text = middle.signed_by(&middle_key, &root).unwrap().pem();
        let middle = Issuer::new(middle, middle_key);
        let key = KeyPair::generate().unwrap();
        let mut leaf = CertificateParams::new(["registry.example".to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, "leaf");
        let leaf = leaf.signed_by(&key, &middle).unwrap().pem();
        ([leaf, middle_text, root_text], key.serialize_pem())
    }

    #[test]
    fn a_chain_is_put_in_order() {
        let ([leaf, middle, root], key) = chain();
        let stranger = fs::read_to_string(fixture("ec.crt")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (path, key_path) = (folder.path().join("c"), folder.path().join("k"));
        fs::write(&key_path, format!("a comment\n{key}")).unwrap();
        let der = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
        let ordered = [&leaf, &middle, &root].map(|text| der(text));
        for texts in [
            vec![&leaf, &middle, &root],
            vec![&root, &middle, &leaf],
            vec![&middle, &leaf, &root, &leaf, &middle],
        ] {
            let text: String = texts.iter().map(|text| format!("text\n{text}")).collect();
            fs::write(&path, text).unwrap();
            let (pair, notices) = pair(&path, &key_path).unwrap();
            assert_eq!(pair.cert, ordered);
            assert!(notices.is_empty());
        }
        fs::write(&path, [stranger, leaf].concat()).unwrap();
        let (pair, notices) = pair(&path, &key_path).unwrap();
        assert_eq!(pair.cert.len(), 1);
        assert!(
            notices[0].contains("CN=registry.example does not belong"),
            "{notices:?}"
        );
    }
}
