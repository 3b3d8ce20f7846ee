//! The table of keys. Its order is that of the reference.
//!
//! It is one table, and so as long as the configuration is.

use super::{
    Node::{self, List, Map, Refused, Section},
    Setting,
};

/// The keys of `storage` that are not the name of a driver.
pub(crate) const BESIDE_THE_DRIVER: [&str; 5] =
    ["maintenance", "cache", "delete", "redirect", "tag"];

/// The whole configuration.
pub(crate) const ROOT: Node = Section(&[
    ("version", Node::value("none", "`0.1`; required in a file")),
    ("log", LOG),
    ("storage", STORAGE),
    ("auth", AUTH),
    ("http", HTTP),
    ("health", HEALTH),
    ("validation", VALIDATION),
    ("policy", POLICY),
    (
        "catalog",
        Section(&[(
            "maxentries",
            Node::typed(
                "1000",
                "the most repositories in one answer; `0` is the default, too",
            ),
        )]),
    ),
    (
        "tags",
        Section(&[(
            "maxtags",
            Node::typed(
                "1000",
                "the most tags in an answer to whoever asks with `n`; all are in the others, as in \
                 Distribution; `0` is the default, too",
            ),
        )]),
    ),
    (
        "loglevel",
        Node::value(
            "none",
            "what `log.level` is now; it counts where that is not written, with a warning",
        ),
    ),
    (
        "middleware",
        Refused("middleware for a CDN or for redirects comes with object stores; remove it"),
    ),
    (
        "notifications",
        Refused(
            "events for other programs come with a later release; remove it, and read the access \
             log meanwhile",
        ),
    ),
    (
        "proxy",
        Refused(
            "a pull-through cache comes with a later release; remove it, and point clients at the \
             upstream, or let Distribution do it meanwhile",
        ),
    ),
    (
        "redis",
        Refused(
            "Redis comes with object stores; on a disk nothing is gained by it: remove it, and set \
             storage.cache.blobdescriptor to inmemory",
        ),
    ),
    (
        "compatibility",
        Refused("schema 1 is gone, in Distribution 3 as well; remove it"),
    ),
    (
        "reporting",
        Refused(
            "reports to Bugsnag and New Relic are gone, in Distribution 3 as well; remove it, and \
             collect the log",
        ),
    ),
]);

const LOG: Node = Section(&[
    (
        "level",
        Node::value(
            "info",
            "how much is told: `error`, `warn`, `info` or `debug`",
        ),
    ),
    (
        "levels",
        Map(
            Setting::new(
                "none",
                "levels for parts of the program, by the begin of the name of a module: \
                 `{registry_bin::requests: debug}` tells of each request",
            ),
            &Node::ENTRY,
        )
        .ours(),
    ),
    (
        "formatter",
        Node::value("text", "`text` (key=value), `json` or `logstash`"),
    ),
    (
        "fields",
        Map(
            Setting::new(
                "none",
                "keys and texts, added to each line; a list or a section is added as JSON",
            ),
            &Node::ENTRY,
        ),
    ),
    (
        "reportcaller",
        Node::typed("false", "add the file and line of the source to each line"),
    ),
    (
        "file",
        Node::value(
            "none",
            "the file that the log goes to, instead of standard error; made with the mode 0640 if it \
             is not there, in a folder that is; opened again on SIGHUP; a path that is not absolute \
             begins at the working directory",
        )
        .ours(),
    ),
    (
        "accesslog",
        Section(&[
            ("disabled", Node::typed("false", "no line for each request")),
            (
                "format",
                Node::value(
                    "combined",
                    "`combined` (Apache's) or `json`, with the request's id",
                )
                .ours(),
            ),
            (
                "file",
                Node::value(
                    "none",
                    "the file that the lines of requests go to, instead of standard output; like \
                     `log.file`",
                )
                .ours(),
            ),
        ]),
    ),
    (
        "hooks",
        Refused(
            "mail for log lines is not sent by this program; remove it, and let whatever collects \
             the log do it",
        ),
    ),
]);

const STORAGE: Node = Section(&[
    (
        "filesystem",
        Section(&[
            (
                "rootdirectory",
                Node::value(
                    "`/var/lib/registry` with a file, else `$STATE_DIRECTORY` (of a service of systemd), \
                     `$XDG_DATA_HOME/registry` or `~/.local/share/registry`",
                    "a directory on one file system; it is made if it is missing",
                ),
            ),
            (
                "maxthreads",
                Node::typed(
                    "100",
                    "operations on files at once; fewer than 25 are taken for 25",
                ),
            ),
        ]),
    ),
    ("inmemory", Section(&[])),
    (
        "delete",
        Section(&[(
            "enabled",
            Node::typed(
                "`false` with a file, as in Distribution; else `true`",
                "whether manifests, tags and blobs can be deleted; if not, 405",
            ),
        )]),
    ),
    ("maintenance", MAINTENANCE),
    ("cache", CACHE),
    (
        "redirect",
        Section(&[(
            "disable",
            Node::typed(
                "false",
                "never send clients elsewhere for a blob; the drivers of this release never do",
            ),
        )]),
    ),
    (
        "tag",
        Section(&[(
            "concurrencylimit",
            Node::typed(
                "none",
                "lookups of one tag listing at once. The drivers of this release need no \
                 lookups for it, so it has no effect",
            ),
        )]),
    ),
    (
        "s3",
        Refused(
            "object stores come with a later release; use storage.filesystem on a volume, or stay \
             with Distribution for this bucket meanwhile",
        ),
    ),
    (
        "s3aws",
        Refused(
            "object stores come with a later release; use storage.filesystem on a volume, or stay \
             with Distribution for this bucket meanwhile",
        ),
    ),
    (
        "gcs",
        Refused(
            "object stores come with a later release; use storage.filesystem on a volume, or stay \
             with Distribution for this bucket meanwhile",
        ),
    ),
    (
        "azure",
        Refused(
            "object stores come with a later release; use storage.filesystem on a volume, or stay \
             with Distribution for this container meanwhile",
        ),
    ),
    (
        "oss",
        Refused(
            "the driver is gone, in Distribution 3 as well; copy the content to a directory for \
             storage.filesystem",
        ),
    ),
    (
        "swift",
        Refused(
            "the driver is gone, in Distribution 3 as well; copy the content to a directory for \
             storage.filesystem (or use Swift's S3 interface once storage.s3 is supported)",
        ),
    ),
]);

const MAINTENANCE: Node = Section(&[
    (
        "readonly",
        Section(&[(
            "enabled",
            Node::typed("false", "every write is answered with 405"),
        )]),
    ),
    (
        "uploadpurging",
        Section(&[
            (
                "enabled",
                Node::typed("true", "end uploads that nobody goes on with"),
            ),
            (
                "age",
                Node::typed(
                    "168h",
                    "how long nothing arrived; at least `1s`, with its unit: a number alone is refused",
                ),
            ),
            (
                "interval",
                Node::typed(
                    "24h",
                    "from one round to the next; at least `1s`, with its unit. The first comes within the first hour, \
                     or interval if that is shorter",
                ),
            ),
            (
                "dryrun",
                Node::typed("false", "only log what would be ended"),
            ),
        ]),
    ),
]);

const CACHE: Node = Section(&[
    (
        "blobdescriptor",
        Node::value(
            "inmemory",
            "`inmemory`: what was looked up is remembered, within bounds and checked against the \
             disk; this is always so. `redis` comes with object stores",
        ),
    ),
    (
        "blobdescriptorsize",
        Node::typed(
            "none",
            "entries of Distribution's cache; ours has its own bound, so it has no effect",
        ),
    ),
    (
        "layerinfo",
        Node::value("none", "the old name of `blobdescriptor`"),
    ),
]);

const AUTH: Node = Section(&[
    (
        "htpasswd",
        Section(&[
            (
                "realm",
                Node::value(
                    "none",
                    "what clients are shown when they are asked; required",
                ),
            ),
            (
                "path",
                Node::value(
                    "none",
                    "the file with users and bcrypt hashes, as `registry htpasswd -B` writes it; \
                     required. It is read again when it changes",
                ),
            ),
        ]),
    ),
    ("none", Section(&[])),
    (
        "silly",
        Refused("it lets everybody in who sends any header; remove it, or use auth.htpasswd"),
    ),
    (
        "token",
        Refused(
            "tokens of another server come with a later release; use auth.htpasswd, or end \
             authentication in front of the registry",
        ),
    ),
]);

const HTTP: Node = Section(&[
    (
        "addr",
        Node::value(
            "127.0.0.1:5000",
            "host and port; no host (`:5000`) is every interface, port 0 a free one. With `net: unix` \
             the path of the socket. Distribution requires it",
        ),
    ),
    ("net", Node::value("tcp", "`tcp` or `unix`")),
    (
        "host",
        Node::value(
            "none",
            "the URL that clients use, such as `https://registry.example.org`; makes `Location` \
             absolute. One with a path has to end with what `prefix` says, or what a proxy makes of it",
        ),
    ),
    (
        "prefix",
        Node::value(
            "none",
            "what stands before `/v2/` in each path, such as `/registry/`",
        ),
    ),
    (
        "secret",
        Node::secret(
            "made up at each start",
            "signs the state of uploads where it rides in `Location`; the drivers of this release \
             keep it themselves, so it has no effect with them",
        ),
    ),
    (
        "relativeurls",
        Node::typed(
            "relative, unless `host` is set",
            "`false`: absolute, by the `Host` of the request and whether it came by TLS, which is \
             Distribution's default. Without effect where `host` is set",
        ),
    ),
    (
        "draintimeout",
        Node::typed(
            "5s",
            "how long requests under way may take after SIGTERM or SIGINT; `0s` cuts them, which is \
             Distribution's default. A number without a unit is nanoseconds",
        ),
    ),
    (
        "headers",
        Map(
            Setting::new("none", "names with a list of values each, added to every answer that does not have that header"),
            &HEADER,
        ),
    ),
    (
        "trustedproxies",
        Node::texts(
            "whose `Forwarded`, `X-Forwarded-*`, `X-Real-IP` and `X-Request-Id` headers count: \
             addresses, networks such as `10.0.0.0/8`, and `unix` for whoever comes by a unix socket",
        )
        .ours(),
    ),
    ("tls", TLS),
    (
        "http2",
        Section(&[(
            "disabled",
            Node::typed("false", "no HTTP/2 over TLS"),
        )]),
    ),
    (
        "h2c",
        Section(&[(
            "enabled",
            Node::typed(
                "true",
                "HTTP/2 without TLS, for clients that begin with it. Distribution's default is off",
            ),
        )]),
    ),
    (
        "debug",
        Section(&[
            (
                "addr",
                Node::value(
                    "none",
                    "host and port of a second listener, which answers `/debug/health`",
                ),
            ),
            (
                "prometheus",
                Section(&[
                    (
                        "enabled",
                        Node::typed(
                            "false",
                            "metrics come with a later release: `true` is refused",
                        ),
                    ),
                    (
                        "path",
                        Node::value("none", "where metrics will be; it has no effect yet"),
                    ),
                ]),
            ),
        ]),
    ),
]);

const HEADER: Node = Node::texts("the values");

const TLS: Node = Section(&[
    (
        "certificate",
        Node::value(
            "none",
            "the file with the certificate and its chain, PEM, in any order; it makes the registry \
             speak TLS, and is read again when it changes",
        ),
    ),
    (
        "key",
        Node::value(
            "none",
            "the file with the private key, PEM: PKCS#1, PKCS#8 or SEC1; RSA with 2048 to 4096 bits, \
             ECDSA P-256 or P-384, or Ed25519. (Distribution serves P-521 and other lengths of RSA as well)",
        ),
    ),
    (
        "clientcas",
        Node::texts(
            "files with the authorities that sign clients' certificates, PEM. A client's certificate that is \
             X.509 version 1 is refused, whatever `clientauth` is: issue it with an extension, such as \
             `extendedKeyUsage=clientAuth`. One with a key of P-521 cannot be used",
        ),
    ),
    (
        "clientauth",
        Node::value(
            "require-and-verify-client-cert",
            "what is asked of clients when there are `clientcas`: `request-client-cert`, \
             `require-any-client-cert`, `verify-client-cert-if-given` or \
             `require-and-verify-client-cert`",
        ),
    ),
    (
        "minimumtls",
        Node::value(
            "tls1.2",
            "`tls1.2` or `tls1.3`; `tls1.0` and `tls1.1` are refused: no client of today needs them",
        ),
    ),
    (
        "ciphersuites",
        Node::texts(
            "the cipher suites to offer, by their IANA names; none is all that are safe. Those of TLS 1.3 \
             are all offered unless the list names some of them",
        ),
    ),
    (
        "letsencrypt",
        Section(&[
            (
                "cachefile",
                Node::value(
                    "none",
                    "the directory in which account and certificates are kept; required. \
                     (Distribution keeps them in one file)",
                ),
            ),
            (
                "email",
                Node::value("none", "where the authority writes to"),
            ),
            (
                "hosts",
                Node::texts("the names to have certificates for; at least one"),
            ),
            (
                "directoryurl",
                Node::value(
                    "Let's Encrypt's",
                    "the ACME directory, such as that of an authority of one's own",
                ),
            ),
            (
                "directoryca",
                Node::value(
                    "the web's",
                    "a file with the authority that signs the directory's own certificate, PEM",
                )
                .ours(),
            ),
        ]),
    ),
]);

const HEALTH: Node = Section(&[
    (
        "storagedriver",
        Section(&[
            (
                "enabled",
                Node::typed(
                    "`false`, as in Distribution",
                    "ask the storage regularly; while it does not answer, so does the API: 503",
                ),
            ),
            (
                "interval",
                Node::typed(
                    "10s",
                    "from one question to the next; at least `1s`, and `0s` is the default, too",
                ),
            ),
            (
                "threshold",
                Node::typed("3", "how many must fail in a row; `0` is the default, too"),
            ),
        ]),
    ),
    (
        "file",
        Refused("checks of files come with a later release; remove it"),
    ),
    (
        "http",
        Refused("checks of other servers come with a later release; remove it"),
    ),
    (
        "tcp",
        Refused("checks of other servers come with a later release; remove it"),
    ),
]);

const VALIDATION: Node = Section(&[
    (
        "enabled",
        Node::typed("none", "`true` wins over `disabled`, as in Distribution"),
    ),
    (
        "disabled",
        Node::typed("false", "do not check the children of indexes, nor `urls`"),
    ),
    (
        "manifests",
        Section(&[
            (
                "urls",
                Section(&[
                    (
                        "allow",
                        Node::texts(
                            "regular expressions; if there are any, one must match each `urls` entry \
                             of a layer. Without lists any URL is fine; Distribution refuses all then",
                        ),
                    ),
                    ("deny", Node::texts("regular expressions; none may match")),
                ]),
            ),
            (
                "indexes",
                Section(&[
                    (
                        "platforms",
                        Node::value(
                            "all",
                            "which manifests of an index must be there: `all`, `none`, or `list`",
                        ),
                    ),
                    (
                        "platformlist",
                        List(
                            Setting::new(
                                "none",
                                "for `list`: entries of `architecture` and `os`; at least one",
                            ),
                            &PLATFORM,
                        ),
                    ),
                ]),
            ),
            (
                "references",
                Node::value(
                    "all",
                    "`none` lets a manifest be pushed before anything that it refers to",
                )
                .ours(),
            ),
        ]),
    ),
]);

const PLATFORM: Node = Section(&[
    ("architecture", Node::value("none", "such as `amd64`")),
    ("os", Node::value("none", "such as `linux`")),
]);

const POLICY: Node = Section(&[(
    "repository",
    Section(&[(
        "classes",
        Node::texts(
            "what may be pushed: `image`, `plugin`; none is everything. An image manifest whose \
             configuration is of another type is refused when there is a list",
        ),
    )]),
)]);
