//! Variables over a file: what they set, and what they may not.

use std::fs;

use super::{links::tests::LINKS, *};

const FILE: &str = "version: 0.1\nstorage: {filesystem: {rootdirectory: /a}, delete: {enabled: \
                    true}}\nhttp: {headers: {X-A: [a, b]}}\n";

fn applied(variables: &str) -> Result<(Value, Vec<String>), String> {
    let mut tree = Tree::parse(FILE, Origin::File("c".into(), None)).unwrap();
    let variables = variables.lines().map(|line| {
        let (name, value) = line.split_once('=').expect("each row is NAME=value");
        (name.to_owned(), value.to_owned())
    });
    match apply(&mut tree, variables, Reading::First) {
        Ok(warnings) => Ok((tree.root, warnings)),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn variables_overwrite_as_distributions_do() {
    let rows = [
        (
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/b",
            "/storage/filesystem",
            r#"{"rootdirectory":"/b"}"#,
        ),
        (
            "REGISTRY_STORAGE=inmemory",
            "/storage",
            r#"{"inmemory":{}}"#,
        ),
        (
            "REGISTRY_STORAGE_DELETE_ENABLED=true\nREGISTRY_STORAGE=inmemory",
            "/storage",
            r#"{"delete":{"enabled":true},"inmemory":{}}"#,
        ),
        (
            "REGISTRY_STORAGE_DELETE={enabled: false}",
            "/storage/delete",
            r#"{"enabled":false}"#,
        ),
        ("REGISTRY_HTTP_ADDR=:5001", "/http/addr", r#"":5001""#),
        (
            "REGISTRY_HTTP_HEADERS_X-A_1=c",
            "/http/headers",
            r#"{"X-A":["a","c"]}"#,
        ),
        (
            "REGISTRY_HTTP_HEADERS_X-A_2=c",
            "/http/headers",
            r#"{"X-A":["a","b","c"]}"#,
        ),
        (
            "REGISTRY_HTTP_HEADERS_X-B=[d]",
            "/http/headers",
            r#"{"X-A":["a","b"],"x-b":["d"]}"#,
        ),
        (
            "REGISTRY_LOG_FIELDS_SERVICE=registry",
            "/log",
            r#"{"fields":{"service":"registry"}}"#,
        ),
        (
            "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS=linux",
            "/validation/manifests/indexes/platformlist",
            r#"[{"os":"linux"}]"#,
        ),
        (
            "REGISTRY_AUTH=htpasswd\nREGISTRY_AUTH_HTPASSWD_REALM=Registry \
             Realm\nREGISTRY_AUTH_HTPASSWD_PATH=/auth/htpasswd",
            "/auth",
            r#"{"htpasswd":{"path":"/auth/htpasswd","realm":"Registry Realm"}}"#,
        ),
        (
            "REGISTRY_CATALOG={maxentries: 5}",
            "/catalog",
            r#"{"maxentries":5}"#,
        ),
    ];
    for (variables, pointer, expected) in rows {
        let (root, warnings) = applied(variables).unwrap();
        let found = root.pointer(pointer).map(Value::to_string);
        assert_eq!(found.as_deref(), Some(expected), "{variables:?}");
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

#[test]
fn what_distribution_does_not_know_warns() {
    for name in [
        "REGISTRY_PORT",
        "REGISTRY_SERVICE_HOST",
        "REGISTRY_HTTP_FOO",
        "REGISTRY_HTTP_ADDR_FOO",
    ] {
        let (root, warnings) = applied(&format!("{name}=tcp://10.0.0.1:5000")).unwrap();
        assert_eq!(warnings, [format!("{name}: not a setting, ignored")]);
        assert_eq!(root, Tree::parse(FILE, Origin::Defaults).unwrap().root);
    }
    let (_, warnings) = applied("REGISTRY_HTTP_ADR=:1").unwrap();
    assert!(warnings[0].ends_with("; REGISTRY_HTTP_ADDR is meant, maybe"));
    assert!(
        applied("REGISTRY_CONFIGURATION_PATH=x\nPATH=/bin")
            .unwrap()
            .1
            .is_empty()
    );
}

#[test]
fn what_asks_for_nothing_is_no_matter() {
    for variable in [
        "REGISTRY_PROXY_REMOTEURL=",
        "REGISTRY_LOG_HOOKS=[]",
        "REGISTRY_REDIS={}",
        "REGISTRY_COMPATIBILITY_SCHEMA1_ENABLED=false",
        "REGISTRY_LOG={hooks: []}",
    ] {
        assert_eq!(applied(variable).unwrap().1, [""; 0], "{variable}");
    }
}

#[test]
fn links_of_other_services_are_ignored() {
    for service in [
        "REDIS",
        "REDIS_0",
        "PROXY",
        "AUTH",
        "STORAGE",
        "STORAGE_S3",
        "HTTP",
        "WEB",
    ] {
        for (name, value) in LINKS {
            let name = format!("REGISTRY_{service}_{name}");
            let (root, warnings) = applied(&format!("{name}={value}")).unwrap();
            assert!(warnings[0].starts_with(&format!("{name}: not a setting, ignored")));
            assert_eq!(root, Tree::parse(FILE, Origin::Defaults).unwrap().root);
        }
    }
    for (name, value) in [
        ("AUTH_TOKEN_SERVICE", "r"),
        ("REDIS_PORT", "6379"),
        ("REDIS_PORT_6379", "x"),
        ("REDIS_ADDR", "["),
    ] {
        let told = applied(&format!("REGISTRY_{name}={value}")).unwrap_err();
        assert!(told.contains(": not supported"), "{told}");
    }
}

#[test]
fn a_container_that_is_linked_is_told_by_its_port() {
    let port = "REGISTRY_AUTH_PORT=tcp://10.0.0.1:80";
    for variable in [
        "REGISTRY_AUTH_NAME=/web/auth",
        "REGISTRY_AUTH_ENV_FOO=x",
        "REGISTRY_AUTH_ENV_REALM_OF=x",
    ] {
        let name = variable.split('=').next().unwrap_or_default();
        let (root, warnings) = applied(&format!("{port}\n{variable}")).unwrap();
        assert_eq!(root, Tree::parse(FILE, Origin::Defaults).unwrap().root);
        let begin = format!("{name}: not a setting, ignored");
        assert!(
            warnings.iter().any(|said| said.starts_with(&begin)),
            "{warnings:?}"
        );
        // Without the port it is a slip of the pen; so it is with that of another.
        for other in [
            "",
            "REGISTRY_STORAGE_PORT=tcp://10.0.0.1:80",
            "REGISTRY_AUTH_PORT=80",
        ] {
            let told = applied(format!("{other}\n{variable}").trim()).unwrap_err();
            assert!(told.contains(&format!("{name}: auth.")), "{told}");
        }
    }
    for variable in [
        "REGISTRY_AUTH_NAME=web",
        "REGISTRY_AUTH_NAME=/web",
        "REGISTRY_AUTH_ENV=x",
    ] {
        applied(&format!("{port}\n{variable}")).unwrap_err();
    }
}

/// Who comes in, and what may be done, is not decided by what means nothing.
#[test]
fn what_is_unknown_below_storage_and_auth_is_an_error() {
    let rows = [
        (
            "AUTH_HTPASSWD_PATH_FILE",
            "auth.htpasswd.path.file: unknown setting; REGISTRY_AUTH_HTPASSWD_PATH is meant, maybe",
        ),
        (
            "AUTH_HTPASSWD_FILE",
            "auth.htpasswd.file: unknown setting; the variables here are: \
             REGISTRY_AUTH_HTPASSWD_REALM, REGISTRY_AUTH_HTPASSWD_PATH",
        ),
        (
            "AUTH_HTPASWD_PATH",
            "auth.htpaswd: no kind of authentication of this registry",
        ),
        (
            "AUTH_NONE_X",
            "auth.none.x: unknown setting; REGISTRY_AUTH_NONE is meant, maybe",
        ),
        (
            "STORAGE_MAINTENANCE_READONLY_ENABLED_FOO",
            "storage.maintenance.readonly.enabled.foo: unknown setting; \
             REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED is meant, maybe",
        ),
        (
            "STORAGE_DELETE_ENABLE",
            "storage.delete.enable: unknown setting; REGISTRY_STORAGE_DELETE_ENABLED is meant",
        ),
        (
            "STORAGE_MAINTENANCE_FOO",
            "storage.maintenance.foo: unknown setting; the variables here are: \
             REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED, ",
        ),
    ];
    for (name, start) in rows {
        let told = applied(&format!("REGISTRY_{name}=true")).unwrap_err();
        assert!(
            told.starts_with(&format!("REGISTRY_{name}: {start}")),
            "{told}"
        );
    }
}

#[test]
fn what_is_not_honoured_is_named() {
    let rows = [
        (
            "REGISTRY_AUTH",
            "token",
            "REGISTRY_AUTH: auth.token: not supported",
        ),
        (
            "REGISTRY_AUTH_TOKEN_REALM",
            "/p",
            "REGISTRY_AUTH_TOKEN_REALM: auth.token: not supported",
        ),
        (
            "REGISTRY_AUTH_LDAP_URL",
            "/p",
            "REGISTRY_AUTH_LDAP_URL: auth.ldap: no kind of authentication",
        ),
        (
            "REGISTRY_STORAGE",
            "s3",
            "REGISTRY_STORAGE: storage.s3: not supported",
        ),
        (
            "REGISTRY_STORAGE_S3_BUCKET",
            "b",
            "REGISTRY_STORAGE_S3_BUCKET: storage.s3: not supp",
        ),
        (
            "REGISTRY_STORAGE",
            "ftp",
            "REGISTRY_STORAGE: storage.ftp: unknown key",
        ),
        (
            "REGISTRY_STORAGE_FTP_HOST",
            "h",
            "REGISTRY_STORAGE_FTP_HOST: storage.ftp: no storage",
        ),
        (
            "REGISTRY_LOG",
            "{hooks: [{type: mail}]}",
            "REGISTRY_LOG: log.hooks: not supported",
        ),
        (
            "REGISTRY_REDIS_ADDRS_0",
            "a",
            "REGISTRY_REDIS_ADDRS_0: redis: not supported",
        ),
        (
            "REGISTRY_HTTP_HEADERS_X-A_4",
            "c",
            "REGISTRY_HTTP_HEADERS_X-A_4: http.headers.X-A: 4 is",
        ),
        (
            "REGISTRY_HTTP_HEADERS_X-A_B",
            "c",
            "REGISTRY_HTTP_HEADERS_X-A_B: http.headers.X-A: B is",
        ),
        (
            "REGISTRY_HTTP_ADDR",
            "[",
            "REGISTRY_HTTP_ADDR: http.addr: not YAML",
        ),
    ];
    for (name, value, start) in rows {
        let told = applied(&format!("{name}={value}")).unwrap_err();
        assert!(told.starts_with(start), "{told}");
    }
}

#[test]
fn a_secret_can_be_left_in_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "hunter: [2\r\n").unwrap();
    let name = file.path().display();
    let (root, _) = applied(&format!("REGISTRY_HTTP_SECRET_FILE={name}")).unwrap();
    assert_eq!(root["http"]["secret"], "hunter: [2");
    for (variables, wrong) in [
        (
            format!("REGISTRY_HTTP_SECRET=a\nREGISTRY_HTTP_SECRET_FILE={name}"),
            "http.secret: REGISTRY_HTTP_SECRET sets it as well",
        ),
        (
            "REGISTRY_HTTP_SECRET_FILE=/absent".to_owned(),
            "http.secret: /absent cannot be read",
        ),
        (
            "REGISTRY_HTTP_SECRET_FILE=/dev/null".to_owned(),
            "http.secret: /dev/null is empty",
        ),
    ] {
        let told = applied(&variables).unwrap_err();
        assert!(told.starts_with("REGISTRY_HTTP_SECRET_FILE: "), "{told}");
        assert!(told.contains(wrong), "{told}");
    }
    // What is no secret stays where it can be seen.
    let (_, warnings) = applied(&format!("REGISTRY_HTTP_HOST_FILE={name}")).unwrap();
    assert_eq!(warnings.len(), 1);
}
