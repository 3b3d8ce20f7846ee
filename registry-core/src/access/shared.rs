//! Authenticators and authorizers that are shared are such, too.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Access, AuthError, AuthRequest, Authenticator, Authorizer, Challenge, Context, Decision,
    Principal, Resource, Visible,
};

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<A: Authenticator + ?Sized> Authenticator for Arc<A> {
    async fn authenticate(&self, request: &AuthRequest<'_>) -> Result<Principal, AuthError> {
        (**self).authenticate(request).await
    }

    fn challenge(&self, wanted: &[Access]) -> Challenge {
        (**self).challenge(wanted)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<A: Authorizer + ?Sized> Authorizer for Arc<A> {
    async fn permitted(&self, cx: &Context, resource: &Resource) -> Result<Decision, AuthError> {
        (**self).permitted(cx, resource).await
    }

    async fn visible(&self, cx: &Context) -> Result<Visible, AuthError> {
        (**self).visible(cx).await
    }
}
