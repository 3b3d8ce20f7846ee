//! The program with an authority that it does not reach. With one that it does: `scripts/acme`.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::program::{Program, output};

fn config(home: &Path, directory: &str, more: &str) -> String {
    let cache = home.join("certificates");
    format!(
        "version: 0.1\nstorage: inmemory\nhttp:\n  tls:\n    letsencrypt:\n      cachefile: {}\n      \
         hosts: [registry.example]\n      directoryurl: {directory}\n{more}",
        cache.display()
    )
}

/// What the log says when there is no new certificate.
const FAILED: &str = "TLS: no new certificate for registry.example";

#[test]
fn without_the_authority_it_runs_says_why_and_asks_again_on_sighup() {
    let home = TempDir::new().unwrap();
    // Bound, so that nobody else has the port, and not listened on.
    let gone = TcpSocket::new_v4().unwrap();
    gone.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let directory = format!("https://{}/directory", gone.local_addr().unwrap());
    let file = home.path().join("c.yml");
    fs::write(&file, config(home.path(), &directory, "")).unwrap();
    let file = file.to_str().unwrap();
    let program = Program::start(home.path(), &[file], &[]);
    program.wait_for(FAILED);
    for said in [
        "there is none yet, and no client can connect",
        "It is asked for again in 15s, and on SIGHUP",
        "http.tls.letsencrypt.directoryca",
        "Connection refused",
    ] {
        assert!(program.log().contains(said), "{said}: {}", program.log());
    }
    // There is nothing to shake hands with, but there is somebody.
    let mut stream = program.connect();
    stream.write_all(&hello()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.first(), Some(&21), "no alert: {answer:?}");
    assert_eq!(program.request("GET /v2/", b"").status, 400);

    // After the third it would be asked for in five minutes: that is longer than is waited here.
    for failures in 1..=3 {
        program.wait_for_times(FAILED, failures);
        program.signal("HUP");
    }
    program.wait_for_times(FAILED, 4);
}

/// What a client of TLS says first.
fn hello() -> Vec<u8> {
    let provider = rustls::crypto::ring::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = "registry.example".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(config.into(), name).unwrap();
    let mut said = Vec::new();
    client.write_tls(&mut said).unwrap();
    said
}

#[test]
fn what_stops_the_start_is_named() {
    let home = TempDir::new().unwrap();
    let (file, authority) = (home.path().join("c.yml"), home.path().join("ca.crt"));
    let params = CertificateParams::new(Vec::new()).unwrap();
    let own = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    fs::write(&authority, own.pem()).unwrap();
    let (authority, absent) = (authority.display(), home.path().join("absent"));
    let absent = absent.display();
    let clients = format!("      directoryca: {authority}\n    clientcas: [{absent}]\n");
    let directory = format!("      directoryca: {absent}\n    clientcas: [{authority}]\n");
    let refused = |more: &str, said: &str| {
        let text = config(home.path(), "https://authority.example/", more);
        fs::write(&file, text).unwrap();
        let output = output(home.path(), &["serve", file.to_str().unwrap()], &[]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{told}");
        assert!(told.contains(said), "{said} is not in\n{told}");
    };
    refused(&clients, "c.yml:10: http.tls.clientcas: ");
    refused(&directory, "c.yml:9: http.tls.letsencrypt.directoryca: ");
    let cache = home.path().join("certificates");
    assert!(!cache.exists(), "what is refused leaves nothing behind");
    fs::write(&cache, "{}").unwrap();
    let said = "is a file, as Distribution keeps it; here certificates are kept in a directory: name \
                another in http.tls.letsencrypt.cachefile";
    refused("", "c.yml:6: http.tls.letsencrypt.cachefile: ");
    refused("", said);
}
