//! The program behind TLS: with certificates that change, and clients that have some.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use registry_bin::{
    config::{Config, Environment},
    tls::{Acceptor, TlsListener},
};
use registry_core::{
    Engine,
    access::{Access, AuthError, AuthRequest, Authenticator, Challenge, Principal},
    server::{RegistryService, hyper::serve},
};
use registry_storage::memory::MemoryStorage;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS12,
};
use tempfile::TempDir;

use crate::program::{Answer, Program, exchange, output, until};

const ONLY_TLS12: &[&rustls::SupportedProtocolVersion] = &[&TLS12];

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// An authority of the test's own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    text: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            text: certificate.pem(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A new certificate for this machine, and its key.
    fn pair(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

struct Bench {
    home: TempDir,
    authority: Authority,
    certificate: PathBuf,
    key: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let bench = Self {
            certificate: home.path().join("server.crt"),
            key: home.path().join("server.key"),
            authority: Authority::new(),
            home,
        };
        let (certificate, key) = bench.authority.pair();
        bench.write(&certificate, &key);
        fs::write(bench.ca(), &bench.authority.text).unwrap();
        bench
    }

    fn ca(&self) -> PathBuf {
        self.home.path().join("ca.crt")
    }

    fn write(&self, certificate: &str, key: &str) {
        fs::write(&self.certificate, certificate).unwrap();
        fs::write(&self.key, key).unwrap();
    }

    fn start(&self, variables: &[(&str, &str)]) -> Program {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (certificate, key) = (text(&self.certificate), text(&self.key));
        let own = [
            ("REGISTRY_HTTP_TLS_CERTIFICATE", certificate.as_str()),
            ("REGISTRY_HTTP_TLS_KEY", key.as_str()),
        ];
        Program::in_memory(self.home.path(), &[&own, variables].concat())
    }

    fn client(&self) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.certificate.clone()).unwrap();
        Client {
            roots,
            own: None,
            versions: rustls::ALL_VERSIONS,
            protocols: Vec::new(),
        }
    }
}

#[derive(Clone)]
struct Client {
    roots: RootCertStore,
    own: Option<(String, String)>,
    versions: &'static [&'static rustls::SupportedProtocolVersion],
    protocols: Vec<Vec<u8>>,
}

impl Client {
    fn connect(&self, program: &Program) -> std::io::Result<Stream> {
        self.connect_by(program.connect())
    }

    fn connect_by(&self, stream: TcpStream) -> std::io::Result<Stream> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                let key = ring::sign::any_supported_type(&key).unwrap();
                // It is not looked at here, so that it can be one that rustls does not like.
                let own = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
                builder.with_client_cert_resolver(Arc::new(own))
            }
        };
        config.alpn_protocols = self.protocols.clone();
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    fn get(&self, program: &Program) -> std::io::Result<Answer> {
        get(self.connect(program)?)
    }

    /// The certificate that a new connection has.
    fn certificate(&self, program: &Program) -> Vec<u8> {
        let stream = self.connect(program).unwrap();
        stream.conn.peer_certificates().unwrap()[0].to_vec()
    }
}

fn get(mut stream: Stream) -> std::io::Result<Answer> {
    // A client whose certificate is refused learns it with the first answer.
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = std::io::Cursor::new(answer);
    Ok(exchange(Recorded(answer), "GET /v2/", b""))
}

/// An answer that was read already.
struct Recorded(std::io::Cursor<Vec<u8>>);

impl std::io::Read for Recorded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl std::io::Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn requests_are_answered_and_protocols_agreed_on() {
    let bench = Bench::new();
    let program = bench.start(&[]);
    for line in [
        "listening on https://127.0.0.1:",
        "TLS: on, certificate from ",
        "for localhost, 127.0.0.1",
    ] {
        assert!(program.log().contains(line), "{line}: {}", program.log());
    }
    let mut client = bench.client();
    assert_eq!(client.get(&program).unwrap().status, 200);
    client.protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let agreed = |program: &Program| {
        let stream = client.connect(program).unwrap();
        stream.conn.alpn_protocol().map(<[u8]>::to_vec)
    };
    assert_eq!(agreed(&program).as_deref(), Some(&b"h2"[..]));
    let without = bench.start(&[("REGISTRY_HTTP_HTTP2_DISABLED", "true")]);
    assert_eq!(agreed(&without).as_deref(), Some(&b"http/1.1"[..]));
}

#[test]
fn who_does_not_speak_tls_is_told_and_who_says_nothing_holds_nobody_up() {
    let bench = Bench::new();
    let program = bench.start(&[]);
    let _silent: Vec<_> = (0..50).map(|_| program.connect()).collect();
    let answer = program.request("GET /v2/", b"");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        "Client sent an HTTP request to an HTTPS server.\n"
    );
    assert_eq!(bench.client().get(&program).unwrap().status, 200);

    let plain = Program::in_memory(bench.home.path(), &[]);
    // What it is told may be lost to a reset, since more was sent than is read.
    bench.client().get(&plain).unwrap_err();
    let mut stream = plain.connect();
    stream.write_all(&[22, 3, 1, 0, 5, 1, 0, 0, 1, 0]).unwrap();
    let mut answer = [0; 7];
    // This is what Go's clients recognise: "server gave HTTP response to HTTPS client".
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.");
}

#[test]
fn versions_and_cipher_suites() {
    let bench = Bench::new();
    let program = bench.start(&[("REGISTRY_HTTP_TLS_MINIMUMTLS", "tls1.3")]);
    let mut old = bench.client();
    old.versions = ONLY_TLS12;
    assert!(old.get(&program).is_err());
    assert_eq!(bench.client().get(&program).unwrap().status, 200);

    let suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let program = bench.start(&[("REGISTRY_HTTP_TLS_CIPHERSUITES", &format!("[{suite}]"))]);
    let agreed = |client: &Client, program: &Program| {
        let stream = client.connect(program).unwrap();
        let agreed = stream.conn.negotiated_cipher_suite().unwrap();
        agreed.suite().as_str().unwrap().to_owned()
    };
    assert_eq!(agreed(&old, &program), suite);
    // A list for older versions leaves the newest on, also where it is the only one.
    assert!(agreed(&bench.client(), &program).starts_with("TLS13_"));
    let program = bench.start(&[
        ("REGISTRY_HTTP_TLS_CIPHERSUITES", &format!("[{suite}]")),
        ("REGISTRY_HTTP_TLS_MINIMUMTLS", "tls1.3"),
    ]);
    assert!(agreed(&bench.client(), &program).starts_with("TLS13_"));
    assert!(old.connect(&program).is_err());
    // One that names some of the newest has those alone.
    let newest = "TLS_CHACHA20_POLY1305_SHA256";
    let list = format!("[{suite}, {newest}]");
    let program = bench.start(&[("REGISTRY_HTTP_TLS_CIPHERSUITES", &list)]);
    let (new, ours) = (agreed(&bench.client(), &program), agreed(&old, &program));
    assert_eq!(
        (new.as_str(), ours.as_str()),
        ("TLS13_CHACHA20_POLY1305_SHA256", suite)
    );
}

#[test]
fn clients_certificates_in_four_modes() {
    let bench = Bench::new();
    let ca = format!("[{}]", bench.ca().display());
    let known = bench.authority.pair();
    let stranger = Authority::new().pair();
    for (mode, none, strange) in [
        ("request-client-cert", true, true),
        ("require-any-client-cert", false, true),
        ("verify-client-cert-if-given", true, false),
        ("require-and-verify-client-cert", false, false),
    ] {
        let program = bench.start(&[
            ("REGISTRY_HTTP_TLS_CLIENTCAS", &ca),
            ("REGISTRY_HTTP_TLS_CLIENTAUTH", mode),
        ]);
        let comes_in = |own: Option<&(String, String)>| {
            let mut client = bench.client();
            client.own = own.cloned();
            client
                .get(&program)
                .is_ok_and(|answer| answer.status == 200)
        };
        assert!(comes_in(Some(&known)), "{mode}");
        assert_eq!(comes_in(None), none, "{mode}");
        assert_eq!(comes_in(Some(&stranger)), strange, "{mode}");
    }
}

#[test]
fn the_reason_why_a_clients_certificate_is_refused_is_told() {
    let bench = Bench::new();
    let ca = format!("[{}]", bench.ca().display());
    let program = bench.start(&[
        ("REGISTRY_HTTP_TLS_CLIENTCAS", &ca),
        ("REGISTRY_LOG_LEVEL", "debug"),
    ]);
    let pem = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pem");
    let text = |name| fs::read_to_string(pem.join(name)).unwrap();
    for (own, reason) in [
        (Authority::new().pair(), "BadSignature"),
        (
            (text("v1.crt"), text("rsa.pkcs8.key")),
            "UnsupportedCertVersion",
        ),
    ] {
        let mut client = bench.client();
        client.own = Some(own);
        assert!(client.get(&program).is_err());
        program.wait_for(reason);
    }
    // Who is no client at all is told of to nobody but who looks for it.
    drop(bench.client().get(&program));
    let mut stream = program.connect();
    stream.write_all(&[22, 9, 9, 0, 1, 0]).unwrap();
    program.wait_for_times("a handshake failed", 2);
    program.signal("TERM");
    let log = program.end().log;
    let told = log
        .lines()
        .filter(|line| line.contains("TLS: the certificate of a client was refused"));
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 2, "{log}");
    for line in told {
        assert!(line.contains("127.0.0.1:"), "{line}");
    }
}

/// Lets in who has this certificate.
#[derive(Debug)]
struct Owner(CertificateDer<'static>);

#[async_trait]
impl Authenticator for Owner {
    async fn authenticate(&self, request: &AuthRequest<'_>) -> Result<Principal, AuthError> {
        match request.client_certificate {
            Some(shown) if shown == &*self.0 => Ok(Principal::named("owner")),
            _ => Err(AuthError::Rejected("it is not the owner's certificate")),
        }
    }

    fn challenge(&self, _: &[Access]) -> Challenge {
        Challenge::basic("here")
    }
}

#[test]
fn an_authenticator_sees_the_certificates_that_an_authority_vouches_for() {
    let bench = Bench::new();
    let own = bench.authority.pair();
    let certificate = CertificateDer::from_pem_slice(own.0.as_bytes()).unwrap();
    let file = bench.home.path().join("c.yml");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (mode, vouched) in [
        ("request-client-cert", false),
        ("require-any-client-cert", false),
        ("verify-client-cert-if-given", true),
        ("require-and-verify-client-cert", true),
    ] {
        let (server, key, ca) = (&bench.certificate, &bench.key, bench.ca());
        let text = format!(
            "version: 0.1\nstorage: inmemory\nhttp: {{tls: {{certificate: {}, key: {}, clientcas: [{}], \
             clientauth: {mode}}}}}\n",
            server.display(),
            key.display(),
            ca.display()
        );
        fs::write(&file, text).unwrap();
        let config = Config::load(Some(file.clone()), &Environment::default()).unwrap();
        let acceptor = Acceptor::new(&config.http.tls.unwrap(), true).unwrap();
        let storage = MemoryStorage::new();
        let engine = Engine::builder()
            .blobs(storage.blobs())
            .metadata(storage.metadata())
            .build();
        let service = RegistryService::new(engine).authenticator(Owner(certificate.clone()));
        let address = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(serve(TlsListener::new(listener, acceptor), service));
            address
        });
        let mut client = bench.client();
        client.own = Some(own.clone());
        let stream = client.connect_by(TcpStream::connect(address).unwrap());
        let answer = get(stream.unwrap()).unwrap();
        assert_eq!(answer.status == 200, vouched, "{mode}: {}", answer.status);
    }
}

#[test]
fn certificates_change_under_clients_that_pull() {
    let bench = Bench::new();
    let program = bench.start(&[]);
    let client = bench.client();
    let first = client.certificate(&program);
    let (stop, pulls) = (AtomicBool::new(false), AtomicUsize::new(0));
    /// Ends the clients also when the test fails.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..16 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(client.get(&program).unwrap().status, 200);
                    pulls.fetch_add(1, Ordering::Relaxed);
                    // So many are under way all the time, and the processor is not theirs alone.
                    thread::park_timeout(Duration::from_millis(20));
                }
            });
        }
        until("pulls", || pulls.load(Ordering::Relaxed) > 32);
        let (certificate, key) = bench.authority.pair();
        // Half of it: the old pair stays.
        fs::write(&bench.certificate, &certificate).unwrap();
        program.wait_for("are no pair; the old one stays");
        assert_eq!(client.certificate(&program), first);
        fs::write(&bench.key, &key).unwrap();
        let begun = Instant::now();
        until("the new one", || client.certificate(&program) != first);
        let took = begun.elapsed();
        // And by a link that is turned, as in Kubernetes.
        let second = client.certificate(&program);
        let (certificate, key) = bench.authority.pair();
        let (new, link) = (
            bench.home.path().join("new"),
            bench.home.path().join("link"),
        );
        fs::write(&new, certificate).unwrap();
        std::os::unix::fs::symlink(&new, &link).unwrap();
        fs::write(&bench.key, key).unwrap();
        fs::rename(&link, &bench.certificate).unwrap();
        until("the third", || client.certificate(&program) != second);
        println!("the new certificate was served after {took:?}");
    });
    program.wait_for_times("the certificate was replaced", 2);
}

/// Makes a named pipe, to which nobody writes, in the place of a file.
fn pipe(bench: &Bench, file: &Path) {
    let pipe = bench.home.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo is everywhere").success());
    fs::rename(&pipe, file).unwrap();
}

#[test]
fn a_pipe_in_the_place_of_a_file_holds_nothing_up() {
    let bench = Bench::new();
    let ca = format!("[{}]", bench.ca().display());
    let program = bench.start(&[
        ("REGISTRY_HTTP_TLS_CLIENTCAS", &ca),
        (
            "REGISTRY_HTTP_TLS_CLIENTAUTH",
            "verify-client-cert-if-given",
        ),
    ]);
    let client = bench.client();
    let first = client.certificate(&program);
    pipe(&bench, &bench.certificate);
    pipe(&bench, &bench.ca());
    program.wait_for("server.crt: is a named pipe, and no file");
    // Whoever asks for it is told each time, however often it was told before.
    for times in 1..=2 {
        program.signal("HUP");
        for what in ["TLS certificates", "authorities of clients"] {
            program.wait_for_times(&format!("{what}: could not be read again"), times);
        }
        program.wait_for_times("ca.crt: is a named pipe, and no file", times);
    }
    assert!(!program.log().contains("TLS certificates: read again"));
    assert_eq!(client.get(&program).unwrap().status, 200);
    assert_eq!(client.certificate(&program), first);
    let (certificate, key) = bench.authority.pair();
    fs::remove_file(&bench.certificate).unwrap();
    bench.write(&certificate, &key);
    until("the new one", || client.certificate(&program) != first);
    fs::remove_file(bench.ca()).unwrap();
    fs::write(bench.ca(), &bench.authority.text).unwrap();
    program.signal("HUP");
    program.wait_for("TLS certificates: read again");
    program.wait_for("authorities of clients: read again");
}

#[test]
fn a_self_made_certificate_of_version_1_is_served_with_a_warning() {
    let home = TempDir::new().unwrap();
    let pem = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pem");
    let (certificate, key) = (pem.join("v1.crt"), pem.join("rsa.pkcs1.key"));
    let variables = [
        (
            "REGISTRY_HTTP_TLS_CERTIFICATE",
            certificate.to_str().unwrap(),
        ),
        ("REGISTRY_HTTP_TLS_KEY", key.to_str().unwrap()),
    ];
    let program = Program::in_memory(home.path(), &variables);
    let log = program.log();
    assert!(
        log.contains("X.509 version 1") && log.contains("subjectAltName=DNS:"),
        "{log}"
    );
    // No client of rustls takes it; what is sent can still be seen.
    let bench = Bench::new();
    let refused = bench.client().connect(&program).unwrap_err().to_string();
    assert!(
        refused.contains("UnsupportedCertVersion") || refused.contains("certificate"),
        "{refused}"
    );
}

#[test]
fn a_check_finds_what_would_stop_the_start() {
    let bench = Bench::new();
    let run = |more: &str| {
        let (certificate, key) = (bench.certificate.display(), bench.key.display());
        let text = format!(
            "version: 0.1\nstorage: inmemory\nhttp:\n  tls:\n    certificate: {certificate}\n    \
             key: {key}\n{more}"
        );
        let file = bench.home.path().join("c.yml");
        fs::write(&file, text).unwrap();
        let check = ["config", "--check", file.to_str().unwrap()];
        let output = output(bench.home.path(), &check, &[]);
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(run(""), (Some(0), String::new()));
    let key = fs::read(&bench.key).unwrap();
    pipe(&bench, &bench.key);
    let (status, told) = run("");
    assert_eq!(status, Some(78));
    let said = format!(
        "c.yml:6: http.tls.key: {}: is a named pipe, and no file",
        bench.key.display()
    );
    assert!(told.contains(&said), "{told}");
    fs::remove_file(&bench.key).unwrap();
    fs::write(&bench.key, key).unwrap();
    let (status, told) = run("    ciphersuites: [TLS_NULL]\n");
    assert_eq!(status, Some(78));
    assert!(told.contains("c.yml:7: http.tls.ciphersuites: "), "{told}");
    let (certificate, _) = bench.authority.pair();
    fs::write(&bench.certificate, certificate).unwrap();
    let (status, told) = run("");
    assert_eq!(status, Some(78));
    assert!(told.contains("c.yml:5: http.tls.certificate: "), "{told}");
    let kept = bench.home.path().join("kept");
    let acme = format!(
        "version: 0.1\nstorage: inmemory\nhttp: {{tls: {{letsencrypt: {{cachefile: {}, hosts: [a.b]}}}}}}\n",
        kept.display()
    );
    let file = bench.home.path().join("acme.yml");
    fs::write(&file, acme).unwrap();
    let check = ["config", "--check", file.to_str().unwrap()];
    let output = output(bench.home.path(), &check, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!kept.exists(), "a check writes nothing");
}

#[test]
fn what_is_no_pair_stops_the_start() {
    let bench = Bench::new();
    let (certificate, key) = bench.authority.pair();
    let other = bench.authority.pair().1;
    let file = bench.home.path().join("c.yml");
    let (crt, pem) = (bench.certificate.display(), bench.key.display());
    let config = format!(
        "version: 0.1\nstorage: inmemory\nhttp:\n  tls:\n    certificate: {crt}\n    key: {pem}\n"
    );
    for (certificate, key, more, said) in [
        (&certificate, &other, "", "c.yml:5: http.tls.certificate: "),
        (&certificate, &String::new(), "", "c.yml:6: http.tls.key: "),
        (&String::new(), &key, "", "c.yml:5: http.tls.certificate: "),
        (
            &certificate,
            &key,
            "    clientcas: [/absent]\n",
            "c.yml:7: http.tls.clientcas: /absent",
        ),
        (
            &certificate,
            &key,
            "    ciphersuites: [TLS_RSA_WITH_RC4_128_SHA]\n",
            "c.yml:7: http.tls.ciphersuites: TLS_RSA_WITH_RC4_128_SHA is not offered; those",
        ),
    ] {
        bench.write(certificate, key);
        fs::write(&file, format!("{config}{more}")).unwrap();
        let output = output(bench.home.path(), &["serve", file.to_str().unwrap()], &[]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{told}");
        assert!(told.contains(said), "{said} is not in\n{told}");
    }
}
