//! Listings: repositories, tags, referrers (end-8, end-12, Distribution's catalog).

use http::{HeaderName, Response};
use serde_json::json;

use super::Received;
use crate::{
    access::Visible,
    digest::Digest,
    error::Result,
    media_type::TypeName,
    name::RepositoryName,
    protocol::Route,
    registry::ReferrersFilter,
    server::{body::Body, render},
};

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

pub(super) async fn catalog(received: &Received) -> Result<Response<Body>> {
    let page = received.query.page(received.settings.catalog)?;
    let limit = page.limit;
    let registry = &received.settings.registry;
    let listing = registry
        .list_repositories(&received.context, page, Visible::All)
        .await?;
    let mut response = render::json(
        &json!({ "repositories": listing.items }),
        "application/json",
    );
    if let Some(last) = listing.items.last().filter(|_| listing.more) {
        let headers = response.headers_mut();
        render::link(
            headers,
            &received.place,
            &Route::Catalog,
            limit,
            last.as_str(),
            &[],
        );
    }
    Ok(response)
}

pub(super) async fn tags(received: &Received, name: &RepositoryName) -> Result<Response<Body>> {
    let page = received.query.page(received.settings.tags)?;
    let limit = page.limit;
    let listing = received
        .settings
        .registry
        .list_tags(&received.context, name, page)
        .await?;
    let document = json!({ "name": name, "tags": listing.items });
    let mut response = render::json(&document, "application/json");
    if let Some(last) = listing.items.last().filter(|_| listing.more) {
        let route = Route::Tags(name.clone());
        let headers = response.headers_mut();
        render::link(headers, &received.place, &route, limit, last.as_str(), &[]);
    }
    Ok(response)
}

pub(super) async fn referrers(
    received: &Received,
    name: &RepositoryName,
    subject: &Digest,
) -> Result<Response<Body>> {
    let page = received.query.page(received.settings.referrers)?;
    let limit = page.limit;
    let wanted = received
        .query
        .first("artifactType")
        .filter(|wanted| !wanted.is_empty());
    let filter = match wanted {
        Some(wanted) => ReferrersFilter::none().artifact_type(TypeName::from(wanted)),
        None => ReferrersFilter::none(),
    };
    let registry = &received.settings.registry;
    let listing = registry
        .list_referrers(&received.context, name, subject, page, filter)
        .await?;
    let document = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": listing.items,
    });
    let mut response = render::json(&document, "application/vnd.oci.image.index.v1+json");
    let headers = response.headers_mut();
    if let Some(last) = listing.items.last().filter(|_| listing.more) {
        let route = Route::Referrers(name.clone(), subject.clone());
        let kept: Vec<_> = wanted
            .map(|wanted| ("artifactType", wanted))
            .into_iter()
            .collect();
        render::link(
            headers,
            &received.place,
            &route,
            limit,
            last.digest.as_str(),
            &kept,
        );
    }
    if wanted.is_some() {
        render::set(headers, FILTERS_APPLIED, "artifactType");
    }
    Ok(response)
}
