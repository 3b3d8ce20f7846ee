//! Who is asking, found out at the edge.

use std::sync::Arc;

use http::request::Parts;

use super::{
    origin::{ClientCertificate, Peer},
    service::Settings,
};
use crate::{
    access::{Access, AuthError, AuthRequest, Context, Credentials, Principal},
    error::{Error, ErrorCode, Result},
    event::{Event, EventAction},
    protocol::headers,
};

/// The principal of a request. Without an authenticator everybody is anonymous, whatever they show:
/// a proxy in front may have checked a password of its own.
pub(super) async fn principal(
    settings: &Settings,
    parts: &Parts,
    context: &Context,
    wanted: Vec<Access>,
) -> Result<Principal> {
    let Some(authenticator) = &settings.authenticator else {
        return Ok(Principal::anonymous());
    };
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0);
    let certificate = parts.extensions.get::<ClientCertificate>();
    let request = AuthRequest {
        credentials: headers::credentials(&parts.headers),
        peer,
        client: context.client,
        client_certificate: certificate.map(|certificate| &certificate.0[..]),
        host: Some(&parts.extensions),
    };
    match authenticator.authenticate(&request).await {
        Ok(principal) => Ok(principal),
        Err(AuthError::Rejected(reason)) => {
            let shown = !matches!(request.credentials, Credentials::None);
            if let Some(sink) = settings.events.as_ref().filter(|_| shown) {
                let id = settings.entropy.random_hex();
                let at = settings.clock.now();
                let mut event = Event::new(id, at, EventAction::LoginFailed, context);
                if let Credentials::Basic { username, .. } = &request.credentials {
                    event.actor = Some(Arc::clone(username));
                }
                sink.publish(&event).await.map_err(|error| {
                    Error::new(ErrorCode::Unavailable, "the event could not be published")
                        .caused_by(error)
                })?;
            }
            Err(wanted
                .into_iter()
                .fold(Error::new(ErrorCode::Unauthorized, reason), Error::wanting))
        }
        Err(error @ AuthError::Throttled { retry_after }) => {
            Err(Error::new(ErrorCode::TooManyRequests, error.to_string()).retry_after(retry_after))
        }
        Err(error @ AuthError::Unavailable(_)) => Err(Error::new(
            ErrorCode::Unavailable,
            "who is asking cannot be found out at present",
        )
        .caused_by(error)),
    }
}
