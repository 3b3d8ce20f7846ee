//! Uploads (end-4, end-5, end-6, end-11, end-13, end-14).

use http::{Response, StatusCode, header};

use super::Received;
use crate::{
    descriptor::Descriptor,
    digest::Digest,
    error::{Error, ErrorCode, Result},
    hash::Algorithm,
    name::RepositoryName,
    protocol::{Route, headers},
    registry::{Chunk, Finish, Mount, StartUpload, UploadStart},
    server::{body::Body, render},
    store::{UploadId, UploadKey, UploadState},
};

pub(super) async fn start(received: &Received, name: &RepositoryName) -> Result<Response<Body>> {
    let query = &received.query;
    let digest = query.digest()?;
    let mut request = StartUpload {
        algorithm: query.digest_algorithm()?,
        mount: query
            .mount()?
            .map(|(digest, from)| Mount::new(digest, from)),
        ..StartUpload::default()
    };
    if request.algorithm.is_none() {
        request.algorithm = digest.as_ref().and_then(Digest::content_algorithm);
    }
    if let Some(digest) = &digest {
        // Refused before anything is begun that would have to be ended again.
        storable(digest)?;
    }
    let mounting = request.mount.is_some();
    let registry = &received.settings.registry;
    let session = match registry
        .start_upload(&received.context, name, request)
        .await?
    {
        UploadStart::Started(session) => session,
        UploadStart::Mounted { descriptor, .. } => return Ok(created(received, name, &descriptor)),
    };
    if let Some(digest) = digest.filter(|digest| !mounting && brings(received, digest)) {
        let chunk = Chunk::new(received.incoming.stream())
            .at(0)
            .hint(session.hint.clone());
        let chunk = Chunk {
            length: received.incoming.length,
            ..chunk
        };
        let finish = Finish::new(digest).chunk(chunk);
        let finished = registry
            .finish_upload(&received.context, name, &session.id, finish)
            .await;
        return match finished {
            Ok(descriptor) => Ok(created(received, name, &descriptor)),
            Err(error) => {
                // The client does not know of the session: it would stay until it is purged. Should
                // that fail too, it is purged then; the client is told what went wrong first.
                let _ = registry
                    .cancel_upload(&received.context, name, &session.id, session.hint)
                    .await;
                Err(error)
            }
        };
    }
    let response = render::status(StatusCode::ACCEPTED);
    Ok(render::session(
        response,
        &received.settings,
        &received.place,
        name,
        &session,
    ))
}

pub(super) async fn session(
    received: &Received,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response<Body>> {
    let hint = hint(received, name, id);
    let registry = &received.settings.registry;
    let session = registry
        .upload_session(&received.context, name, id, hint)
        .await?;
    let response = render::status(StatusCode::NO_CONTENT);
    Ok(render::session(
        response,
        &received.settings,
        &received.place,
        name,
        &session,
    ))
}

pub(super) async fn append(
    received: &Received,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response<Body>> {
    let chunk = chunk(received, name, id)?;
    let registry = &received.settings.registry;
    match registry
        .append_upload(&received.context, name, id, chunk)
        .await
    {
        Ok(session) => {
            let response = render::status(StatusCode::ACCEPTED);
            Ok(render::session(
                response,
                &received.settings,
                &received.place,
                name,
                &session,
            ))
        }
        Err(error) => misplaced(received, name, id, error).await,
    }
}

pub(super) async fn finish(
    received: &Received,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response<Body>> {
    let digest = received.query.digest()?.ok_or_else(|| {
        Error::new(
            ErrorCode::DigestInvalid,
            "an upload is finished with the digest of its content",
        )
    })?;
    let finish = Finish::new(digest).chunk(chunk(received, name, id)?);
    let registry = &received.settings.registry;
    match registry
        .finish_upload(&received.context, name, id, finish)
        .await
    {
        Ok(descriptor) => Ok(created(received, name, &descriptor)),
        Err(error) => misplaced(received, name, id, error).await,
    }
}

/// The refusal of a chunk. One that is not the next says where to go on, as asking for the status
/// would.
async fn misplaced(
    received: &Received,
    name: &RepositoryName,
    id: &UploadId,
    error: Error,
) -> Result<Response<Body>> {
    if error.code() != ErrorCode::RangeInvalid {
        return Err(error);
    }
    let hint = hint(received, name, id);
    let registry = &received.settings.registry;
    let Ok(session) = registry
        .upload_session(&received.context, name, id, hint)
        .await
    else {
        return Err(error);
    };
    let response = render::session(
        render::failure(&error, None),
        &received.settings,
        &received.place,
        name,
        &session,
    );
    Ok(render::because(response, error))
}

pub(super) async fn cancel(
    received: &Received,
    name: &RepositoryName,
    id: &UploadId,
) -> Result<Response<Body>> {
    let hint = hint(received, name, id);
    let registry = &received.settings.registry;
    registry
        .cancel_upload(&received.context, name, id, hint)
        .await?;
    Ok(render::status(StatusCode::NO_CONTENT))
}

/// The chunk that a request brings. Without a `Content-Range` it begins at the offset that its
/// Location carries.
fn chunk(received: &Received, name: &RepositoryName, id: &UploadId) -> Result<Chunk> {
    let declared = headers::content_range(&received.headers)?;
    let length = received
        .incoming
        .length
        .or_else(|| headers::content_length(&received.headers));
    if let (Some(range), Some(length)) = (declared, length)
        && range.length != length
    {
        let message = "the Content-Range does not span Content-Length bytes";
        return Err(Error::new(ErrorCode::SizeInvalid, message));
    }
    let carried = received
        .query
        .first("offset")
        .and_then(|offset| offset.parse().ok());
    let chunk = Chunk::new(received.incoming.stream()).hint(hint(received, name, id));
    Ok(Chunk {
        start: declared.map(|range| range.start).or(carried),
        length: declared.map(|range| range.length).or(length),
        ..chunk
    })
}

fn hint(received: &Received, name: &RepositoryName, id: &UploadId) -> Option<UploadState> {
    let key = UploadKey::new(name.clone(), id.clone());
    received
        .settings
        .signer
        .verify(&key, received.query.first("hint")?)
}

/// Whether a POST with a digest brings the content too. One without a body only names what will come,
/// unless it is the digest of nothing.
fn brings(received: &Received, digest: &Digest) -> bool {
    let nothing = |algorithm: Algorithm| algorithm.digest(b"") == *digest;
    received.incoming.length != Some(0) || digest.content_algorithm().is_some_and(nothing)
}

fn storable(digest: &Digest) -> Result<()> {
    if digest.content_algorithm().is_some() {
        return Ok(());
    }
    let message = "content is stored under sha256 and sha512 only";
    Err(Error::new(ErrorCode::DigestInvalid, message))
}

fn created(received: &Received, name: &RepositoryName, descriptor: &Descriptor) -> Response<Body> {
    let mut response = render::status(StatusCode::CREATED);
    let headers = response.headers_mut();
    let route = Route::Blob(name.clone(), descriptor.digest.clone());
    render::set(headers, header::LOCATION, &received.place.of(&route));
    render::set_digest(headers, &descriptor.digest);
    response
}
