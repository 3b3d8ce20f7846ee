//! Manifests (end-3, end-7, end-9).

use http::{HeaderName, Response, StatusCode, header};

use super::Received;
use crate::{
    descriptor::Descriptor,
    error::{Error, ErrorCode, Result},
    media_type::MediaType,
    name::RepositoryName,
    protocol::{Route, headers},
    reference::{Expect, Reference},
    registry::{ManifestContent, ManifestPush},
    server::{body::Body, render},
};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");

pub(super) async fn head(
    received: &Received,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response<Body>> {
    let registry = &received.settings.registry;
    let descriptor = registry
        .stat_manifest(&received.context, name, reference)
        .await?;
    if headers::not_modified(&received.headers, &descriptor.digest) {
        return Ok(described(StatusCode::NOT_MODIFIED, &descriptor));
    }
    let mut response = described(StatusCode::OK, &descriptor);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, descriptor.size.into());
    Ok(response)
}

pub(super) async fn get(
    received: &Received,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response<Body>> {
    let registry = &received.settings.registry;
    let manifest = registry
        .get_manifest(&received.context, name, reference)
        .await?;
    if headers::not_modified(&received.headers, &manifest.descriptor.digest) {
        return Ok(described(StatusCode::NOT_MODIFIED, &manifest.descriptor));
    }
    let mut response = described(StatusCode::OK, &manifest.descriptor);
    *response.body_mut() = Body::from(manifest.bytes);
    Ok(response)
}

pub(super) async fn put(
    received: &Received,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response<Body>> {
    let media_type = match received.headers.get(header::CONTENT_TYPE) {
        None => None,
        Some(value) => Some(
            value
                .to_str()
                .ok()
                // Types are compared without case (RFC 9110 §8.3.1).
                .and_then(|value| MediaType::parse(&value.to_ascii_lowercase()).ok())
                .ok_or_else(|| {
                    Error::new(
                        ErrorCode::ManifestInvalid,
                        "the Content-Type is not a media type",
                    )
                })?,
        ),
    };
    let mut tags = received.query.tags()?;
    let named = !tags.is_empty();
    let expect = headers::expect(&received.headers);
    let incoming = &received.incoming;
    let limit = received.settings.manifest_bytes;
    let content = ManifestContent::arriving(incoming.stream(), incoming.length, limit);
    let mut push = ManifestPush::new(content);
    push.media_type = media_type;
    match reference {
        Reference::Digest(digest) => push = push.digest(digest.clone()),
        Reference::Tag(tag) => tags.insert(0, tag.clone()),
    }
    if tags.is_empty() {
        push = push.expect(expect);
    } else {
        push.tags = tags.into_iter().map(|tag| (tag, expect.clone())).collect();
    }
    let registry = &received.settings.registry;
    let pushed = registry.put_manifest(&received.context, name, push).await?;

    let digest = &pushed.descriptor.digest;
    let mut response = render::status(StatusCode::CREATED);
    let headers = response.headers_mut();
    let route = Route::Manifest(name.clone(), digest.clone().into());
    render::set(headers, header::LOCATION, &received.place.of(&route));
    render::set_digest(headers, digest);
    if let Some(subject) = &pushed.subject {
        render::set(headers, SUBJECT, subject.as_str());
    }
    if named {
        let tags: Vec<_> = pushed.tags.iter().map(AsRef::as_ref).collect();
        render::set(headers, TAG, &tags.join(", "));
    }
    Ok(response)
}

pub(super) async fn delete(
    received: &Received,
    name: &RepositoryName,
    reference: &Reference,
) -> Result<Response<Body>> {
    let expect: Expect = headers::expect(&received.headers);
    let registry = &received.settings.registry;
    registry
        .delete_manifest(&received.context, name, reference, expect)
        .await?;
    Ok(render::status(StatusCode::ACCEPTED))
}

fn described(status: StatusCode, descriptor: &Descriptor) -> Response<Body> {
    let mut response = render::status(status);
    let headers = response.headers_mut();
    render::set(
        headers,
        header::CONTENT_TYPE,
        descriptor.media_type.as_str(),
    );
    render::set_digest(headers, &descriptor.digest);
    response
}
