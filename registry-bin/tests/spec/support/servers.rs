//! Registries that listen on loopback, each with its own data.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use registry_core::{
    Context, Engine, Registry,
    access::{
        Access, Action, AuthError, AuthRequest, Authenticator, Authorizer, Challenge, Credentials,
        Decision, Principal, Resource, Visible,
    },
    engine::{Limits, ReferencePolicy},
    event::EventSink,
    layer::{Authorized, Observed},
    server::RegistryService,
    store::{BlobStore, MetadataStore},
};
use registry_storage::{fs::FsStorage, memory::MemoryStorage};
use tokio::{net::TcpListener, runtime::Runtime};

/// Which store is under a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Fs,
    Memory,
}

impl Store {
    /// An instance: on disk over what lies in `folder`, in memory over nothing.
    pub(crate) fn open(self, folder: &Path) -> (Arc<dyn BlobStore>, Arc<dyn MetadataStore>) {
        match self {
            Self::Fs => {
                let storage = FsStorage::open(folder).expect("the folder can be written");
                (storage.blobs(), storage.metadata())
            }
            Self::Memory => {
                let storage = MemoryStorage::new();
                (storage.blobs(), storage.metadata())
            }
        }
    }
}

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "{}-{}",
            std::process::id(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("cargo's folder for tests can be written");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a registry is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    store: Store,
    deletes: bool,
    references: ReferencePolicy,
    limits: Limits,
    guarded: bool,
    sink: Option<Arc<dyn EventSink>>,
    configure: fn(RegistryService) -> RegistryService,
}

impl Setup {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            deletes: true,
            references: ReferencePolicy::Everything,
            limits: Limits::default(),
            guarded: false,
            sink: None,
            configure: |service| service,
        }
    }

    pub(crate) fn deletes(self, deletes: bool) -> Self {
        Self { deletes, ..self }
    }

    pub(crate) fn references(self, references: ReferencePolicy) -> Self {
        Self { references, ..self }
    }

    /// Sets up the service too.
    pub(crate) fn configured(self, configure: fn(RegistryService) -> RegistryService) -> Self {
        Self { configure, ..self }
    }

    pub(crate) fn referrers(mut self, page: usize) -> Self {
        self.limits.referrers = page;
        self
    }

    pub(crate) fn open_uploads(mut self, uploads: usize) -> Self {
        self.limits.open_uploads = uploads;
        self
    }

    /// Tells what happens.
    pub(crate) fn observed(self, sink: Arc<dyn EventSink>) -> Self {
        Self {
            sink: Some(sink),
            ..self
        }
    }

    /// Asks for a name and a password: `reader` may pull, `writer` anything.
    pub(crate) fn guarded(self) -> Self {
        Self {
            guarded: true,
            ..self
        }
    }
}

/// How many threads of servers have panicked.
pub(crate) fn panics() -> usize {
    PANICS.load(Ordering::SeqCst)
}

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// The threads of all servers.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() == Some("server") {
            PANICS.fetch_add(1, Ordering::SeqCst);
        }
        before(info);
    }));
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("server")
        .enable_all()
        .build()
        .expect("threads can be started")
});

/// A registry that listens.
#[derive(Clone, Debug)]
pub(crate) struct Server(Arc<Running>);

#[derive(Debug)]
struct Running {
    address: SocketAddr,
    store: Store,
    folder: Folder,
    task: tokio::task::AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// The one that all tests share who need nothing special.
    pub(crate) fn shared(store: Store) -> Self {
        static FS: LazyLock<Server> = LazyLock::new(|| Server::start(Setup::new(Store::Fs)));
        static MEMORY: LazyLock<Server> =
            LazyLock::new(|| Server::start(Setup::new(Store::Memory)));
        match store {
            Store::Fs => FS.clone(),
            Store::Memory => MEMORY.clone(),
        }
    }

    pub(crate) fn start(setup: Setup) -> Self {
        let folder = Folder::new();
        let (blobs, metadata) = setup.store.open(folder.path());
        let engine = Engine::builder()
            .blobs(blobs)
            .metadata(metadata)
            .deletes(setup.deletes)
            .references(setup.references)
            .limits(setup.limits)
            .build();
        let listener = RUNTIME
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("loopback is there");
        let address = listener.local_addr().expect("it is bound");
        let registry: Arc<dyn Registry> = match setup.sink {
            _ if setup.guarded => Arc::new(Authorized::new(engine, Arc::new(Door))),
            Some(sink) => Arc::new(Observed::new(engine, sink)),
            None => Arc::new(engine),
        };
        let service = (setup.configure)(RegistryService::new(registry));
        let service = if setup.guarded {
            service.authenticator(Door)
        } else {
            service
        };
        let task = RUNTIME.spawn(async move {
            let _ = registry_core::server::hyper::serve(listener, service).await;
        });
        Self(Arc::new(Running {
            address,
            store: setup.store,
            folder,
            task: task.abort_handle(),
        }))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Where its data lies, if that is on disk.
    pub(crate) fn folder(&self) -> Option<&Path> {
        (self.0.store == Store::Fs).then(|| self.0.folder.path())
    }
}

/// Knows `reader` and `writer`, whose password is `pw`.
#[derive(Debug)]
struct Door;

#[async_trait]
impl Authenticator for Door {
    async fn authenticate(&self, request: &AuthRequest<'_>) -> Result<Principal, AuthError> {
        match &request.credentials {
            Credentials::Basic { username, password }
                if password.expose() == "pw" && ["reader", "writer"].contains(&&**username) =>
            {
                Ok(Principal::named(Arc::clone(username)))
            }
            _ => Err(AuthError::Rejected("the name or the password is wrong")),
        }
    }

    fn challenge(&self, _: &[Access]) -> Challenge {
        Challenge::basic("test")
    }
}

#[async_trait]
impl Authorizer for Door {
    async fn permitted(&self, cx: &Context, _: &Resource) -> Result<Decision, AuthError> {
        Ok(match cx.principal.name.as_deref() {
            Some("writer") => Decision::all(),
            Some("reader") => Decision::only([Action::Pull]),
            _ => Decision::only([]),
        })
    }

    async fn visible(&self, cx: &Context) -> Result<Visible, AuthError> {
        Ok(if cx.principal.is_anonymous() {
            Visible::none()
        } else {
            Visible::All
        })
    }
}
