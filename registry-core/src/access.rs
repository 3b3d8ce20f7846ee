//! Who is asking, and what they may do.
//!
//! Authentication ([`Authenticator`]) happens at the edge, where credentials arrive. Authorization
//! ([`Authorizer`]) happens at seam 1, in the `Authorized` layer, so that mounts, catalogs and
//! in-process callers pass through the same decisions as a client.

mod client_network;
mod shared;

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;

pub use self::client_network::ClientNetwork;
use crate::name::RepositoryName;

/// Who asks, and through which request: handed to every method of seam 1.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Context {
    /// Who asks.
    pub principal: Principal,
    /// The identifier of the request, for logs and events.
    pub request_id: Option<Arc<str>>,
    /// The address of the client.
    pub client: Option<IpAddr>,
    /// What the client calls itself.
    pub user_agent: Option<Arc<str>>,
}

impl Context {
    /// The context of nobody in particular: an anonymous, in-process caller.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// The context of `principal`.
    pub fn of(principal: Principal) -> Self {
        Self {
            principal,
            ..Self::default()
        }
    }
}

/// An authenticated user, or nobody.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Principal {
    /// The name, or `None` for nobody.
    pub name: Option<Arc<str>>,
    /// What is known of them, such as groups.
    pub labels: Arc<BTreeMap<String, Vec<String>>>,
    /// Whatever the authenticator wants its authorizer to find, such as verified claims.
    pub extension: Option<Arc<dyn Any + Send + Sync>>,
}

impl Principal {
    /// Nobody.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// The user of that name.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }

    /// Whether it is nobody.
    pub fn is_anonymous(&self) -> bool {
        self.name.is_none()
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What can be done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Read.
    Pull,
    /// Write.
    Push,
    /// Delete.
    Delete,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 3] = [Self::Pull, Self::Push, Self::Delete];

    /// The name in a token's scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }
}

/// A set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions(u8);

impl Actions {
    /// No action.
    pub const NONE: Self = Self(0);
    /// Every action.
    pub const ALL: Self = Self(0b111);

    /// The set with `action` in it.
    #[must_use]
    pub fn with(self, action: Action) -> Self {
        Self(self.0 | 1 << action as u8)
    }

    /// Whether `action` is in the set.
    pub fn contains(self, action: Action) -> bool {
        self.0 & 1 << action as u8 != 0
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        actions.into_iter().fold(Self::NONE, Self::with)
    }
}

/// What is acted upon.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resource {
    /// The list of all repositories.
    Catalog,
    /// One repository.
    Repository(RepositoryName),
}

/// Actions on a resource, as a request needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access {
    /// What is acted upon.
    pub resource: Resource,
    /// What is done.
    pub actions: Vec<Action>,
}

impl Access {
    /// Actions on a resource.
    pub fn new(resource: Resource, actions: impl Into<Vec<Action>>) -> Self {
        Self {
            resource,
            actions: actions.into(),
        }
    }

    /// Actions on a repository.
    pub fn repository(name: &RepositoryName, actions: impl Into<Vec<Action>>) -> Self {
        Self::new(Resource::Repository(name.clone()), actions)
    }
}

/// A password or token. `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// A secret.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The secret itself: compare it, never print it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a client showed to say who it is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// A name and a password (RFC 7617).
    Basic {
        /// The name.
        username: Arc<str>,
        /// The password.
        password: Secret,
    },
    /// A token (RFC 6750).
    Bearer(Secret),
}

/// All that is known about a client before it is known who it is.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct AuthRequest<'a> {
    /// What it showed.
    pub credentials: Credentials,
    /// The other end of the connection.
    pub peer: Option<SocketAddr>,
    /// The client's address: the peer's, or what a trusted proxy says.
    pub client: Option<IpAddr>,
    /// The DER of the certificate that it proved to own in the TLS handshake, and that an authority
    /// of the listener's vouches for.
    pub client_certificate: Option<&'a [u8]>,
    /// What the host application attached to the request, such as a session of its own.
    pub host: Option<&'a (dyn Any + Send + Sync)>,
}

impl fmt::Debug for AuthRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest")
            .field("credentials", &self.credentials)
            .field("peer", &self.peer)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// The value of a `WWW-Authenticate` header (RFC 9110 §11.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge(String);

impl Challenge {
    /// `Basic realm="…"`; quotes and backslashes in the realm are escaped.
    pub fn basic(realm: &str) -> Self {
        let realm: String = realm
            .chars()
            .filter(|c| !c.is_control())
            .flat_map(|c| {
                matches!(c, '"' | '\\')
                    .then_some('\\')
                    .into_iter()
                    .chain([c])
            })
            .collect();
        Self(format!("Basic realm=\"{realm}\""))
    }

    /// A challenge as it goes out.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value of the header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why nobody could be authenticated or nothing decided.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The credentials are missing, wrong or expired.
    #[error("{0}")]
    Rejected(&'static str),
    /// Too many attempts failed before this one, which was not looked at.
    #[error("too many failed logins; wait before the next")]
    Throttled {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Whoever decides does not answer: neither yes nor no.
    #[error("who is asking cannot be found out at present")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Finds out who is asking, from what a request shows.
#[async_trait]
pub trait Authenticator: fmt::Debug + Send + Sync + 'static {
    /// Who is asking. An authenticator that lets anonymous clients in answers
    /// [`Principal::anonymous`] for [`Credentials::None`]; one that does not rejects.
    ///
    /// # Errors
    ///
    /// [`AuthError::Rejected`] is answered with 401 and the challenge, [`AuthError::Throttled`] with 429,
    /// [`AuthError::Unavailable`] with 503.
    async fn authenticate(&self, request: &AuthRequest<'_>) -> Result<Principal, AuthError>;

    /// What a client must do to be let in, given what it wants.
    fn challenge(&self, wanted: &[Access]) -> Challenge;
}

/// What is permitted on a resource.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Decision {
    /// What is permitted.
    pub granted: Actions,
    /// Why the rest is not, in words for whoever asked.
    pub reason: Option<String>,
}

impl Decision {
    /// Everything is permitted.
    pub fn all() -> Self {
        Self {
            granted: Actions::ALL,
            reason: None,
        }
    }

    /// Exactly these actions are permitted.
    pub fn only(actions: impl IntoIterator<Item = Action>) -> Self {
        Self {
            granted: actions.into_iter().collect(),
            reason: None,
        }
    }

    /// Adds why the rest is not permitted.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..self
        }
    }
}

/// Decides what a principal may do.
#[async_trait]
pub trait Authorizer: fmt::Debug + Send + Sync + 'static {
    /// What the principal of `cx` may do with `resource`. Listing the catalog is [`Action::Pull`] on
    /// [`Resource::Catalog`].
    ///
    /// # Errors
    ///
    /// [`AuthError::Unavailable`] when no decision can be had: 503, never a silent yes or no.
    async fn permitted(&self, cx: &Context, resource: &Resource) -> Result<Decision, AuthError>;

    /// The repositories that the principal may pull: for the pages of the catalog, and for mounts
    /// that name no source. It must agree with [`permitted`](Self::permitted).
    ///
    /// # Errors
    ///
    /// As [`permitted`](Self::permitted).
    async fn visible(&self, cx: &Context) -> Result<Visible, AuthError>;
}

/// A set of repositories.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Visible {
    /// All of them.
    #[default]
    All,
    /// Those for which the function says so.
    Filter(Arc<dyn Fn(&RepositoryName) -> bool + Send + Sync>),
    /// Those whose names begin with one of these prefixes, byte for byte. An empty list is no
    /// repository at all.
    Prefixes(Arc<[String]>),
}

impl Visible {
    /// None of them.
    pub fn none() -> Self {
        Self::Prefixes(Arc::new([]))
    }

    /// Those for which `allow` says so.
    pub fn filter(allow: impl Fn(&RepositoryName) -> bool + Send + Sync + 'static) -> Self {
        Self::Filter(Arc::new(allow))
    }

    /// Those with one of the prefixes.
    pub fn prefixes(prefixes: impl IntoIterator<Item = String>) -> Self {
        Self::Prefixes(prefixes.into_iter().collect())
    }

    /// Whether `name` is in the set.
    pub fn contains(&self, name: &RepositoryName) -> bool {
        match self {
            Self::All => true,
            Self::Filter(allow) => allow(name),
            Self::Prefixes(prefixes) => prefixes
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix.as_str())),
        }
    }

    /// What is in both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, other) => other,
            (this, Self::All) => this,
            (this, other) => Self::filter(move |name| this.contains(name) && other.contains(name)),
        }
    }
}

impl fmt::Debug for Visible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("All"),
            Self::Filter(_) => f.write_str("Filter(…)"),
            Self::Prefixes(prefixes) => f.debug_tuple("Prefixes").field(prefixes).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_repositories() {
        let name = |text: &str| RepositoryName::parse(text).unwrap();
        let team = Visible::prefixes(["team/".to_owned()]);
        assert!(team.contains(&name("team/app")) && !team.contains(&name("teams/app")));
        assert!(!Visible::none().contains(&name("a")));
        let both = team.and(Visible::filter(|name| name.as_str().ends_with("app")));
        assert!(both.contains(&name("team/app")));
        assert!(!both.contains(&name("team/db")) && !both.contains(&name("app")));
    }

    #[test]
    fn sets_of_actions() {
        let set: Actions = [Action::Pull, Action::Delete].into_iter().collect();
        assert_eq!(
            Action::ALL.map(|action| set.contains(action)),
            [true, false, true]
        );
        assert!(
            Action::ALL
                .iter()
                .all(|action| Actions::ALL.contains(*action))
        );
    }

    #[test]
    fn secrets_stay_secret() {
        let credentials = Credentials::Basic {
            username: "u".into(),
            password: Secret::new("hunter2"),
        };
        let request = AuthRequest {
            credentials,
            ..AuthRequest::default()
        };
        assert!(!format!("{request:?}").contains("hunter2"));
        assert_eq!(Challenge::basic("a\"b\n").as_str(), r#"Basic realm="a\"b""#);
    }
}
