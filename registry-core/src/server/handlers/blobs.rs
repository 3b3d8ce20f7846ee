//! Reading and deleting blobs (end-2, end-10).

use http::{HeaderValue, Response, StatusCode, header};

use super::Received;
use crate::{
    content::{Blob, BlobReply},
    digest::Digest,
    error::{Error, ErrorCode, Result},
    name::RepositoryName,
    protocol::{failure, headers},
    range::{ByteRange, Ranges},
    registry::GetBlob,
    server::{body::Body, render},
};

/// Content never changes under its digest. What may change is who may read it.
const CACHE: HeaderValue = HeaderValue::from_static("max-age=31536000");
const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(super) async fn head(
    received: &Received,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response<Body>> {
    let registry = &received.settings.registry;
    let descriptor = registry.stat_blob(&received.context, name, digest).await?;
    if headers::not_modified(&received.headers, digest) {
        return Ok(described(StatusCode::NOT_MODIFIED, digest));
    }
    let mut response = described(StatusCode::OK, digest);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, OCTET_STREAM);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, descriptor.size.into());
    Ok(response)
}

pub(super) async fn get(
    received: &Received,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response<Body>> {
    let registry = &received.settings.registry;
    if headers::not_modified(&received.headers, digest) {
        registry.stat_blob(&received.context, name, digest).await?;
        return Ok(described(StatusCode::NOT_MODIFIED, digest));
    }
    let reply = registry
        .get_blob(&received.context, name, digest, GetBlob::default())
        .await?;
    let blob = match reply {
        BlobReply::Blob(blob) => blob,
        BlobReply::Redirect(location) => {
            let mut response = described(StatusCode::TEMPORARY_REDIRECT, digest);
            response.headers_mut().remove(header::CACHE_CONTROL);
            render::set(response.headers_mut(), header::LOCATION, location.as_str());
            return Ok(response);
        }
    };
    let asked = headers::text(&received.headers, &header::RANGE)
        .filter(|_| headers::range_counts(&received.headers, digest))
        .map_or(Ranges::Ignored, |value| Ranges::parse(value, blob.size));
    match asked {
        Ranges::Ignored => {
            let mut response = described(StatusCode::OK, digest);
            *response.body_mut() = Body::blob(&blob, ByteRange::whole(blob.size));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, OCTET_STREAM);
            Ok(response)
        }
        Ranges::Satisfiable(parts) => Ok(partial(digest, &blob, &parts)),
        Ranges::Unsatisfiable => {
            let error = Error::new(ErrorCode::RangeInvalid, "the blob has no such bytes");
            let mut response = render::json(&failure::body(&error), "application/json");
            *response.status_mut() = failure::status(error.code());
            let whole = format!("bytes */{}", blob.size);
            render::set(response.headers_mut(), header::CONTENT_RANGE, &whole);
            Ok(response)
        }
    }
}

pub(super) async fn delete(
    received: &Received,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Response<Body>> {
    received
        .settings
        .registry
        .delete_blob(&received.context, name, digest)
        .await?;
    Ok(render::status(StatusCode::ACCEPTED))
}

fn described(status: StatusCode, digest: &Digest) -> Response<Body> {
    let mut response = render::status(status);
    let headers = response.headers_mut();
    render::set_digest(headers, digest);
    headers.insert(header::CACHE_CONTROL, CACHE);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

/// One part as it is, several as `multipart/byteranges` (RFC 9110 §14.6). The boundary is made of the
/// digest: content would have to know its own hash to imitate it.
fn partial(digest: &Digest, blob: &Blob, parts: &[ByteRange]) -> Response<Body> {
    let mut response = described(StatusCode::PARTIAL_CONTENT, digest);
    let content_range = |part: &ByteRange| {
        format!(
            "bytes {}-{}/{}",
            part.start,
            part.end.saturating_sub(1),
            blob.size
        )
    };
    if let [part] = parts {
        *response.body_mut() = Body::blob(blob, *part);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, OCTET_STREAM);
        render::set(
            response.headers_mut(),
            header::CONTENT_RANGE,
            &content_range(part),
        );
        return response;
    }
    let boundary = digest.encoded().get(..40).unwrap_or("part");
    let mut body = Body::empty();
    for part in parts {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: {}\r\n\r\n",
            content_range(part)
        );
        body = body.and_bytes(head.into()).and_blob(blob, *part);
    }
    *response.body_mut() = body.and_bytes(format!("\r\n--{boundary}--\r\n").into());
    let media_type = format!("multipart/byteranges; boundary={boundary}");
    render::set(response.headers_mut(), header::CONTENT_TYPE, &media_type);
    response
}
