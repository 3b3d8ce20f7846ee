//! The event port: what happened, told to whoever wants to know before the client is answered.

use std::{fmt, net::IpAddr, sync::Arc, time::SystemTime};

use async_trait::async_trait;

use crate::{descriptor::Descriptor, name::RepositoryName, reference::Tag};

/// Takes events.
#[async_trait]
pub trait EventSink: fmt::Debug + Send + Sync + 'static {
    /// Takes one event. It is awaited before the client is answered: `Ok` means that the sink will
    /// not lose it while this process lives; surviving the process is the sink's own promise.
    ///
    /// # Errors
    ///
    /// [`EventError`] when the event could not be taken. The client is then answered with 503: its
    /// write stands, and its retry publishes again (at least once, never lost).
    async fn publish(&self, event: &Event) -> Result<(), EventError>;
}

/// An event could not be taken.
#[derive(Debug, thiserror::Error)]
#[error("the event could not be published")]
#[non_exhaustive]
pub struct EventError {
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl EventError {
    /// An error with that cause.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            source: source.into(),
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// Unlike any other event's.
    pub id: String,
    /// When.
    pub at: SystemTime,
    /// What.
    pub action: EventAction,
    /// In which repository.
    pub repository: Option<RepositoryName>,
    /// The content it happened to, as far as it is known.
    pub target: Option<Descriptor>,
    /// The tags it happened under.
    pub tags: Vec<Tag>,
    /// Where a mounted blob came from.
    pub from: Option<RepositoryName>,
    /// Who did it; `None` is nobody in particular.
    pub actor: Option<Arc<str>>,
    /// Which request did it.
    pub request_id: Option<Arc<str>>,
    /// From where.
    pub client: Option<IpAddr>,
    /// With what.
    pub user_agent: Option<Arc<str>>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventAction {
    /// Content, or a tag, was deleted.
    Delete,
    /// Something was asked for and not permitted.
    Denied,
    /// Credentials were wrong.
    LoginFailed,
    /// A blob was linked from another repository.
    Mount,
    /// Content was read.
    Pull,
    /// Content was stored, or a tag written.
    Push,
}
