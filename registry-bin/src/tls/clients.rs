//! What is asked of clients' certificates.

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::{pem, settings::TlsError};
use crate::config::{ClientAuth, ClientCertificates};

/// Who verifies the certificates of clients.
pub(super) fn verifier(
    clients: &ClientCertificates,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for path in &clients.authorities {
        for certificate in pem::certificates(path)? {
            roots.add(certificate).map_err(|error| {
                TlsError::file(
                    path,
                    format!("holds an authority that cannot be used: {error}"),
                )
            })?;
        }
    }
    let hints = roots.subjects();
    let verified =
        || WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let built = match clients.auth {
        ClientAuth::RequireAndVerify => verified().build(),
        ClientAuth::VerifyIfGiven => verified().allow_unauthenticated().build(),
        ClientAuth::Request | ClientAuth::RequireAny => {
            return Ok(Arc::new(Any {
                mandatory: clients.auth == ClientAuth::RequireAny,
                hints,
                algorithms: provider.signature_verification_algorithms,
            }));
        }
    };
    built.map_err(|error| TlsError::Setting(format!("the authorities of clients: {error}")))
}

/// Takes any certificate, as long as the client has its key.
#[derive(Debug)]
struct Any {
    mandatory: bool,
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Any {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
