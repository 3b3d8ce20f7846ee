//! Authorities that do not play along, and one that looks.

use std::{net::TcpListener, path::Path};

use rustls::{
    ClientConnection,
    pki_types::{PrivateKeyDer, ServerName},
    server::{Accepted, Acceptor},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use rustls_acme::CertCache as _;
use tokio::net::TcpSocket;

use super::*;

fn acme(folder: &Path, url: String) -> Acme {
    let acme = Acme::new(&config::Acme {
        cache: folder.join("cache"),
        email: None,
        hosts: vec!["registry.example".to_owned()],
        directory_url: Some(url),
        directory_ca: None,
    });
    let acme = acme.unwrap();
    acme.prepare().unwrap();
    acme
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_says_nothing_does_not_hold_it_up() {
    let home = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/directory", silent.local_addr().unwrap());
    let refusal = acme(home.path(), url).until_refused(&mut 0).await;
    assert!(refusal.why().contains("nothing was heard"), "{refusal:?}");
    assert!(refusal.remedy().contains("directoryca"));
}

#[tokio::test]
async fn an_authority_that_is_not_there_is_named_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    // Bound, so that nobody else has the port, and not listened on.
    let gone = TcpSocket::new_v4().unwrap();
    gone.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = gone.local_addr().unwrap();
    let acme = acme(home.path(), format!("https://{address}/directory"));
    let refusal = acme.until_refused(&mut 0).await;
    assert!(refusal.why().contains("refused"), "{refusal:?}");
    assert!(refusal.remedy().contains("directoryca"));
}

#[tokio::test]
async fn patience_ends_when_a_renewal_does_not() {
    let home = tempfile::tempdir().unwrap();
    let acme = acme(home.path(), "https://authority.example/".to_owned());
    assert_eq!(acme.patience(), SILENCE);
    // It goes on for decades.
    let pem = include_bytes!("../../../tests/pem/ec.crt");
    acme.kept.store_cert(&[], "", pem).await.unwrap();
    let facts = acme.kept.facts().unwrap();
    let lifetime = facts.until.duration_since(facts.from).unwrap();
    let patience = acme.patience();
    assert!(patience > SILENCE && patience < lifetime, "{patience:?}");
}

/// What a client says first that offers `protocols`, and the client.
fn hello(
    roots: &RootCertStore,
    version: &'static rustls::SupportedProtocolVersion,
    protocols: &[&[u8]],
) -> (Accepted, ClientConnection) {
    let mut config = ClientConfig::builder_with_provider(Arc::new(pem::provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("registry.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let (mut said, mut acceptor) = (Vec::new(), Acceptor::default());
    client.write_tls(&mut said).unwrap();
    acceptor.read_tls(&mut said.as_slice()).unwrap();
    let accepted = acceptor.accept().map_err(|(error, _)| error).unwrap();
    (accepted.unwrap(), client)
}

#[test]
fn an_authority_that_looks_is_shown_what_it_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let acme = acme(home.path(), "https://authority.example/".to_owned());
    let own = rcgen::generate_simple_self_signed(["registry.example".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let key = pem::provider().key_provider.load_private_key(key).unwrap();
    let pair = CertifiedKey::new(vec![own.cert.der().clone()], key);
    acme.asking.put(Arc::new(SingleCertAndKey::from(pair)));

    for version in [&TLS12, &TLS13] {
        for others in [&[&b"h2"[..]][..], &[b"h2", b"acme-tls/1"], &[]] {
            let (accepted, _) = hello(&roots, version, others);
            assert!(acme.challenge(&accepted.client_hello()).is_none());
        }
        let (accepted, mut client) = hello(&roots, version, &[b"acme-tls/1"]);
        let config = acme.challenge(&accepted.client_hello()).unwrap();
        let mut server = accepted.into_connection(config).map_err(|(error, _)| error);
        let server = server.as_mut().unwrap();
        let mut wire = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets().unwrap();
            wire.clear();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            wire.clear();
        }
        assert_eq!(client.alpn_protocol(), Some(&b"acme-tls/1"[..]));
    }
}
