//! Errors on the wire: the one table of codes and statuses.
//!
//! The body is distribution-spec's ("Error Codes"): `{"errors":[{"code","message","detail"}]}`.

use http::StatusCode;
use serde_json::{Value, json};

use crate::error::{Error, ErrorCode};

/// The status of a request that is none by the rules of HTTP itself.
pub const MALFORMED: StatusCode = StatusCode::BAD_REQUEST;

/// The status, in logs alone, of a request whose client left before it was answered. (nginx's, and
/// Distribution's.)
pub fn unanswered() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT)
}

/// The status of an error.
pub fn status(code: ErrorCode) -> StatusCode {
    row(code).0
}

/// The code as it is sent.
pub fn wire(code: ErrorCode) -> &'static str {
    row(code).1
}

fn row(code: ErrorCode) -> (StatusCode, &'static str) {
    use ErrorCode as E;
    use StatusCode as S;
    match code {
        E::BlobUnknown => (S::NOT_FOUND, "BLOB_UNKNOWN"),
        E::BlobUploadInvalid => (S::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
        E::BlobUploadUnknown => (S::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
        E::DigestInvalid => (S::BAD_REQUEST, "DIGEST_INVALID"),
        E::ManifestBlobUnknown => (S::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
        E::ManifestInvalid => (S::BAD_REQUEST, "MANIFEST_INVALID"),
        E::ManifestUnknown => (S::NOT_FOUND, "MANIFEST_UNKNOWN"),
        E::NameInvalid => (S::BAD_REQUEST, "NAME_INVALID"),
        E::NameUnknown => (S::NOT_FOUND, "NAME_UNKNOWN"),
        E::SizeInvalid => (S::BAD_REQUEST, "SIZE_INVALID"),
        E::Unauthorized => (S::UNAUTHORIZED, "UNAUTHORIZED"),
        E::Denied => (S::FORBIDDEN, "DENIED"),
        E::Unsupported => (S::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
        E::TooManyRequests => (S::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
        E::PaginationNumberInvalid => (S::BAD_REQUEST, "PAGINATION_NUMBER_INVALID"),
        E::RangeInvalid => (S::RANGE_NOT_SATISFIABLE, "RANGE_INVALID"),
        E::TagInvalid => (S::BAD_REQUEST, "TAG_INVALID"),
        E::Unavailable => (S::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        E::Unknown => (S::INTERNAL_SERVER_ERROR, "UNKNOWN"),
        E::NotFound => (S::NOT_FOUND, "NOT_FOUND"),
        E::PreconditionFailed => (S::PRECONDITION_FAILED, "PRECONDITION_FAILED"),
        E::RequestTimeout => (S::REQUEST_TIMEOUT, "REQUEST_TIMEOUT"),
        E::TooLarge => (S::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
        E::UriTooLong => (S::URI_TOO_LONG, "URI_TOO_LONG"),
    }
}

/// The body of an error, as JSON. A cause is never in it.
pub fn body(error: &Error) -> Value {
    let mut entry = json!({ "code": wire(error.code()), "message": error.message() });
    if let (Some(entry), Some(detail)) = (entry.as_object_mut(), error.detail_value()) {
        entry.insert("detail".to_owned(), detail.clone());
    }
    json!({ "errors": [entry] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_error_status_and_a_wire_form() {
        for code in ErrorCode::ALL {
            let (status, wire) = row(code);
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{code:?}"
            );
            assert!(
                wire.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'),
                "{wire}"
            );
        }
    }

    #[test]
    fn the_statuses_that_clients_tell_apart() {
        use ErrorCode as E;
        for (code, expected) in [
            (E::DigestInvalid, 400),
            (E::PaginationNumberInvalid, 400),
            (E::BlobUnknown, 404),
            (E::Unsupported, 405),
            (E::PreconditionFailed, 412),
            (E::TooLarge, 413),
            (E::UriTooLong, 414),
            (E::RangeInvalid, 416),
            (E::TooManyRequests, 429),
        ] {
            assert_eq!(status(code).as_u16(), expected, "{code:?}");
        }
    }

    #[test]
    fn a_cause_is_never_sent() {
        let error = Error::new(ErrorCode::Unknown, "the storage failed").caused_by("/secret/path");
        let error = error.detail("d");
        let expected =
            r#"{"errors":[{"code":"UNKNOWN","detail":"d","message":"the storage failed"}]}"#;
        assert_eq!(body(&error).to_string(), expected);
    }
}
