//! Where a request comes from, and what it is called.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};

use super::service::Settings;
use crate::{
    access::Context,
    protocol::{Forwarded, headers},
};

/// The other end of the connection that a request came by: put it into the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an address with a meaning")]
pub struct Peer(pub SocketAddr);

/// The other end of the connection is a process of this machine that has no address, as behind a
/// Unix socket: put it into the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it holds nothing, and is made by naming it"
)]
pub struct LocalPeer;

/// The DER of the certificate that a client proved to own in the TLS handshake, and that an authority
/// of the listener's vouches for: put it into the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "bytes with a meaning")]
pub struct ClientCertificate(pub Bytes);

/// The connection is encrypted, as with TLS: put it into the request's extensions, so that a
/// `Location` with a host in it begins with `https`. (A request over HTTP/1.1 does not say.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it holds nothing, and is made by naming it"
)]
pub struct Encrypted;

/// Whether the client of a connection is to be listened to for a while after the last answer: it sends
/// what nobody reads, and would not see the answer if it were cut off at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Lingering(Arc<AtomicBool>);

impl Lingering {
    pub(super) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    #[cfg(feature = "hyper")]
    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The header that carries the identifier of a request, both ways.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest identifier that is taken from a proxy.
const REQUEST_ID_LENGTH: usize = 128;

/// What is known of a request before anybody looks at what it asks.
pub(super) struct Origin {
    /// Nobody's, so far.
    pub(super) context: Context,
    /// What the proxies in front say, if they are trusted.
    pub(super) forwarded: Option<Forwarded>,
}

impl Origin {
    pub(super) fn of(settings: &Settings, extensions: &Extensions, headers: &HeaderMap) -> Self {
        let peer = extensions.get::<Peer>();
        let peer = peer.map(|peer| peer.0.ip().to_canonical());
        let trusts = |ip: IpAddr| settings.trusted.as_ref().is_some_and(|trusts| trusts(ip));
        let trusted = match peer {
            Some(ip) => trusts(ip),
            None => settings.trusted_local && extensions.get::<LocalPeer>().is_some(),
        };
        let forwarded = trusted.then(|| Forwarded::read(headers, trusts));
        let given = headers::text(headers, &REQUEST_ID).filter(|id| trusted && is_sane(id));
        let request_id = match given {
            Some(id) => Arc::from(id),
            None => Arc::from(settings.entropy.random_hex()),
        };
        let mut context = Context::anonymous();
        context.client = forwarded.as_ref().and_then(|said| said.client).or(peer);
        context.user_agent = headers::text(headers, &header::USER_AGENT).map(Into::into);
        context.request_id = Some(request_id);
        Self { context, forwarded }
    }
}

/// Names the request in its answer.
pub(super) fn name(headers: &mut HeaderMap, context: &Context) {
    let id = context.request_id.as_deref();
    if let Some(Ok(id)) = id.map(HeaderValue::from_str) {
        headers.insert(REQUEST_ID, id);
    }
}

/// Whether an identifier can stand in a log and an answer as it is.
fn is_sane(id: &str) -> bool {
    (1..=REQUEST_ID_LENGTH).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}
