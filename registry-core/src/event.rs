//! The event port: what happened, told to whoever wants to know before the client is answered.

use std::{fmt, net::IpAddr, sync::Arc, time::SystemTime};

use async_trait::async_trait;

use crate::{access::Context, descriptor::Descriptor, name::RepositoryName, reference::Tag};

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

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: EventSink + ?Sized> EventSink for Arc<S> {
    async fn publish(&self, event: &Event) -> Result<(), EventError> {
        (**self).publish(event).await
    }
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

impl Event {
    /// An event that the caller of `cx` brought about, and nothing else known of it.
    pub fn new(id: String, at: SystemTime, action: EventAction, cx: &Context) -> Self {
        Self {
            id,
            at,
            action,
            repository: None,
            target: None,
            tags: Vec::new(),
            from: None,
            actor: cx.principal.name.clone(),
            request_id: cx.request_id.clone(),
            client: cx.client,
            user_agent: cx.user_agent.clone(),
        }
    }

    /// In that repository.
    #[must_use]
    pub fn repository(self, repository: RepositoryName) -> Self {
        Self {
            repository: Some(repository),
            ..self
        }
    }

    /// To that content.
    #[must_use]
    pub fn target(self, target: Descriptor) -> Self {
        Self {
            target: Some(target),
            ..self
        }
    }

    /// Under those tags.
    #[must_use]
    pub fn tags(self, tags: impl Into<Vec<Tag>>) -> Self {
        Self {
            tags: tags.into(),
            ..self
        }
    }

    /// With a blob from that repository.
    #[must_use]
    pub fn from(self, from: RepositoryName) -> Self {
        Self {
            from: Some(from),
            ..self
        }
    }
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
