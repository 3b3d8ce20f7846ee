//! Authenticators for [`registry_core`]: who is asking.
//!
//! [`htpasswd::Htpasswd`] knows users by the file that Apache's `htpasswd` writes. It opens no sockets and
//! decides nothing but who somebody is; what they may do is an
//! [`Authorizer`](registry_core::access::Authorizer)'s business.
//!
//! ```no_run
//! use registry_auth::htpasswd::Htpasswd;
//! use registry_core::{Registry, server::RegistryService};
//!
//! fn api(registry: impl Registry) -> RegistryService {
//!     RegistryService::new(registry).authenticator(Htpasswd::new("/auth/htpasswd", "Registry Realm"))
//! }
//! ```

mod attempts;
pub mod htpasswd;
