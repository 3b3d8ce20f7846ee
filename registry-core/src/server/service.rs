//! The service: a request in, an answer out.

use std::{
    convert::Infallible,
    fmt,
    net::IpAddr,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method, Request, Response, Version, header, request::Parts};
use http_body::Body as HttpBody;
use tower_service::Service;

use super::{
    asked::Asked,
    authenticate,
    body::{Body, Tell},
    exchange::Exchange,
    fallback::NotFound,
    handlers::{self, Received},
    incoming::Incoming,
    origin::{self, Lingering, Origin},
    render::{self, Place},
    task,
};
use crate::{
    access::Authenticator,
    clock::{Clock, SystemClock},
    entropy::{Entropy, SystemEntropy},
    error::{Error, ErrorCode, Result},
    event::EventSink,
    protocol::{PageSize, Query, Route, headers, hint::Signer},
    registry::Registry,
    runtime::Runtime,
};

/// The HTTP API over a registry.
///
/// It is a [`tower_service::Service`] (and with the `hyper` feature a `hyper::service::Service`) for
/// requests with any body. Clones share the registry. It answers `/v2` and what lies below it;
/// everything else goes to the [`fallback`](Self::fallback), or is 404.
///
/// ```
/// # #[cfg(feature = "tokio")] {
/// use registry_core::{Registry, server::RegistryService};
///
/// fn api(registry: impl Registry) -> RegistryService {
///     RegistryService::new(registry).prefix("/registry")
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RegistryService<F = NotFound> {
    settings: Arc<Settings>,
    fallback: F,
}

type Admits = Arc<dyn Fn() -> Result<()> + Send + Sync>;
type Trusts = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;
type Watches = Arc<dyn Fn(&Exchange<'_>) + Send + Sync>;
type Ends = Arc<dyn Fn(&Exchange<'_>) -> Tell + Send + Sync>;

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) authenticator: Option<Arc<dyn Authenticator>>,
    pub(super) events: Option<Arc<dyn EventSink>>,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) signer: Signer,
    pub(super) prefix: String,
    pub(super) host: Option<String>,
    pub(super) absolute: bool,
    pub(super) trusted: Option<Trusts>,
    pub(super) trusted_local: bool,
    pub(super) admits: Option<Admits>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) catalog: PageSize,
    pub(super) tags: PageSize,
    pub(super) referrers: PageSize,
    pub(super) manifest_bytes: usize,
    pub(super) patience: Duration,
    pub(super) watch: Option<Watches>,
    pub(super) ends: Option<Ends>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("registry", &self.registry)
            .field("authenticator", &self.authenticator)
            .field("prefix", &self.prefix)
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "tokio")]
impl RegistryService {
    /// The API over `registry`, on Tokio.
    pub fn new(registry: impl Registry) -> Self {
        Self::with_runtime(registry, Arc::new(crate::runtime::TokioRuntime))
    }
}

impl RegistryService {
    /// The API over `registry`, whose tasks run on `runtime`.
    pub fn with_runtime(registry: impl Registry, runtime: Arc<dyn Runtime>) -> Self {
        let settings = Settings {
            registry: Arc::new(registry),
            authenticator: None,
            events: None,
            runtime,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            signer: Signer::new(SystemEntropy.random_hex().as_bytes()),
            prefix: String::new(),
            host: None,
            absolute: false,
            trusted: None,
            trusted_local: false,
            admits: None,
            headers: Vec::new(),
            catalog: PageSize::new(100, 1000),
            tags: PageSize::new(1000, 1000),
            referrers: PageSize::new(1000, 1000),
            manifest_bytes: crate::manifest::Limits::default().size,
            patience: Duration::from_secs(60),
            watch: None,
            ends: None,
        };
        Self {
            settings: Arc::new(settings),
            fallback: NotFound,
        }
    }
}

impl<F> RegistryService<F> {
    fn with(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }

    /// Finds out who is asking. Without one, everybody is anonymous.
    pub fn authenticator(self, authenticator: impl Authenticator) -> Self {
        self.with(|settings| settings.authenticator = Some(Arc::new(authenticator)))
    }

    /// Is told of failed logins. What happens in the registry is told by the `Observed` layer.
    pub fn events(self, sink: Arc<dyn EventSink>) -> Self {
        self.with(|settings| settings.events = Some(sink))
    }

    /// Serves every path that is not the API's. It finds the [`Context`](crate::Context) of each
    /// request in its extensions, without a principal.
    pub fn fallback<G>(self, fallback: G) -> RegistryService<G> {
        RegistryService {
            settings: self.settings,
            fallback,
        }
    }

    /// The path in front of `/v2`, such as `/registry`. Default: none.
    pub fn prefix(self, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!("/{prefix}")
        };
        self.with(|settings| settings.prefix = prefix)
    }

    /// The scheme and host under which clients reach this registry, such as `https://r.example`: every
    /// `Location` is absolute then. Default: none.
    pub fn host(self, host: &str) -> Self {
        let host = host.trim_end_matches('/').to_owned();
        self.with(|settings| settings.host = Some(host).filter(|host| !host.is_empty()))
    }

    /// Whether a `Location` is a path alone, which works behind every proxy. Default: yes. Otherwise it
    /// is made of the `Host` header.
    pub fn relative_locations(self, relative: bool) -> Self {
        self.with(|settings| settings.absolute = !relative)
    }

    /// Whose `X-Forwarded-*`, `Forwarded`, `X-Real-IP` and `X-Request-Id` headers count. Default:
    /// nobody's. An IPv4 address is asked about as one, also where the socket is of IPv6.
    pub fn trusted_proxies(self, trusts: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.trusted = Some(Arc::new(trusts)))
    }

    /// Whether these headers count when they come from a [`LocalPeer`](super::LocalPeer). Default: no.
    pub fn trusted_local_peers(self, trusted: bool) -> Self {
        self.with(|settings| settings.trusted_local = trusted)
    }

    /// Is asked before each request whether it is let in: an error is the answer, before anybody
    /// looks at what is asked, or by whom. It must not wait.
    pub fn admission(self, admits: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.admits = Some(Arc::new(admits)))
    }

    /// Signs the states of uploads that travel through clients. Every process that serves the same
    /// uploads needs the same secret. Default: a random one.
    pub fn secret(self, secret: &[u8]) -> Self {
        self.with(|settings| settings.signer = Signer::new(secret))
    }

    /// Adds a header to every answer of the API, unless it has one of that name. (A fallback adds its
    /// own.)
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.with(|settings| settings.headers.push((name, value)))
    }

    /// The pages of the catalog. Default: 100 entries, at most 1000.
    pub fn catalog_pages(self, size: PageSize) -> Self {
        self.with(|settings| settings.catalog = size)
    }

    /// The pages of tags. Default: 1000 entries, at most 1000.
    pub fn tag_pages(self, size: PageSize) -> Self {
        self.with(|settings| settings.tags = size)
    }

    /// The most bytes of a manifest that are read. Default: 4 MiB. The engine has a limit of its own.
    pub fn manifest_bytes(self, limit: usize) -> Self {
        self.with(|settings| settings.manifest_bytes = limit)
    }

    /// How long the body of a request may make no progress. Default: 60 s. Then the answer is 408; what
    /// arrived of an upload is kept.
    pub fn patience(self, patience: Duration) -> Self {
        self.with(|settings| settings.patience = patience)
    }

    /// Is shown every answer of the API before it is sent: for logs and counters. It must not wait. A
    /// request that is cut off before it was answered has the status 499.
    pub fn on_response(self, watch: impl Fn(&Exchange<'_>) + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.watch = Some(Arc::new(watch)))
    }

    /// As [`on_response`](Self::on_response); what it gives is called once the answer was sent, or cut
    /// off, with the bytes of the body that were sent by then.
    ///
    /// ```
    /// # use registry_core::{Registry, server::RegistryService};
    /// # fn counted(registry: impl Registry) -> RegistryService {
    /// RegistryService::new(registry).on_end(|exchange| {
    ///     let path = exchange.uri.path().to_owned();
    ///     Box::new(move |sent| println!("{path}: {sent} bytes"))
    /// })
    /// # }
    /// ```
    pub fn on_end(
        self,
        watch: impl Fn(&Exchange<'_>) -> Box<dyn FnOnce(u64) + Send> + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.ends = Some(Arc::new(watch)))
    }

    /// Whether a path is the API's.
    fn is_ours(&self, path: &str) -> bool {
        let below = path.strip_prefix(self.settings.prefix.as_str());
        let below = below.and_then(|path| path.strip_prefix("/v2"));
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl<B, F, G> Service<Request<B>> for RegistryService<F>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    F: Service<Request<B>, Response = Response<G>, Error = Infallible> + Clone + Send + 'static,
    F::Future: Send + 'static,
    G: HttpBody<Data = Bytes> + Send + 'static,
    G::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        self.fallback.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if self.is_ours(request.uri().path()) {
            let settings = Arc::clone(&self.settings);
            return Box::pin(async move { Ok(respond(settings, request).await) });
        }
        let origin = Origin::of(&self.settings, request.extensions(), request.headers());
        request.extensions_mut().insert(origin.context);
        // The clone takes the readiness with it that was waited for, as services ask for.
        let clone = self.fallback.clone();
        let mut ready = std::mem::replace(&mut self.fallback, clone);
        let answer = ready.call(request);
        Box::pin(async move { Ok(answer.await?.map(Body::foreign)) })
    }
}

async fn respond<B>(settings: Arc<Settings>, request: Request<B>) -> Response<Body>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let expects = headers::text(&parts.headers, &header::EXPECT);
    let awaits_continue = expects.is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
    let runtime = Arc::clone(&settings.runtime);
    let incoming = Incoming::new(body, awaits_continue, runtime, settings.patience);
    let mut asked = Asked::new(settings, parts);

    let answer = answer(
        &asked.settings,
        &asked.parts,
        &mut asked.origin,
        incoming.clone(),
    );
    let answer = task::caught(answer).await.unwrap_or_else(broken);
    let settings = Arc::clone(&asked.settings);
    let context = &asked.origin.context;
    let (mut response, error) = match answer {
        Ok(mut response) => {
            let error = render::reason(&mut response);
            (response, error)
        }
        Err(error) => {
            let error = render::unauthorized(error, &settings, &context.principal);
            let response = render::failure(&error, settings.authenticator.as_deref());
            (response, Some(Arc::new(error)))
        }
    };
    // HTTP/2 has no such header; there the stream is reset instead.
    if !incoming.drain(&*settings.runtime).await && asked.parts.version <= Version::HTTP_11 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        if let Some(lingering) = asked.parts.extensions.get::<Lingering>() {
            lingering.ask();
        }
    }
    origin::name(response.headers_mut(), context);
    render::finish(&mut response, &settings.headers);
    let ended = asked.answered(&response, error.as_deref());
    if asked.parts.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    if let Some(ended) = ended {
        response.body_mut().on_end(ended);
    }
    response
}

/// What is answered: who asks is found out first, and then noted in `origin`.
async fn answer(
    settings: &Arc<Settings>,
    parts: &Parts,
    origin: &mut Origin,
    incoming: Incoming,
) -> Result<Response<Body>> {
    if let Some(admits) = &settings.admits {
        admits()?;
    }
    let path = parts.uri.path();
    let path = path.strip_prefix(settings.prefix.as_str());
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let route = Route::parse(&parts.method, path.unwrap_or_default());
    if let (&Method::OPTIONS, Ok(route)) = (&parts.method, &route) {
        // No browser shows a password with this, and the answer tells nothing of what is stored.
        return Ok(render::options(route));
    }
    let wanted = route.as_ref().map(|route| {
        let from = query.first("from").and_then(|from| from.parse().ok());
        route.access(&parts.method, from.as_ref())
    });
    let wanted = wanted.unwrap_or_default();
    let Origin { context, forwarded } = origin;
    context.principal = authenticate::principal(settings, parts, context, wanted).await?;
    let route = route?;
    if !route.allows(&parts.method) {
        let error = Error::new(
            ErrorCode::Unsupported,
            "the method is not for this end-point",
        );
        return Ok(render::not_allowed(error, &route));
    }
    let place = Place::new(settings, parts, forwarded.as_ref());
    let received = Received {
        settings: Arc::clone(settings),
        context: context.clone(),
        method: parts.method.clone(),
        headers: parts.headers.clone(),
        query,
        place,
        incoming,
    };
    let handled = handlers::handle(received, route);
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return handled.await;
    }
    // What changes something goes on when the client leaves.
    let detached = task::detached(&*settings.runtime, handled).await;
    detached.unwrap_or_else(broken)
}

/// The answer where there is none because of a panic.
fn broken<T>() -> Result<T> {
    Err(Error::new(
        ErrorCode::Unknown,
        "the request could not be carried out",
    ))
}
