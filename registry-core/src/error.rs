//! What can go wrong at seam 1.
//!
//! An [`ErrorCode`] is for programs, the message for people, the source for operators. Codes know
//! nothing of HTTP; the one table of statuses is `protocol::failure`.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use crate::{
    access::Access, digest::InvalidDigest, name::InvalidName, reference::InvalidReference,
    reference::InvalidTag, store::StoreError,
};

/// A result of seam 1.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for programs.
///
/// The first group is distribution-spec's ("Error Codes"), the second Distribution's, which clients
/// know too, the third ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// code-1: the blob is not in this repository.
    BlobUnknown,
    /// code-2: the upload cannot go on like this.
    BlobUploadInvalid,
    /// code-3: there is no such upload in this repository.
    BlobUploadUnknown,
    /// code-4: the digest is malformed, of an algorithm that cannot be stored, or not that of the content.
    DigestInvalid,
    /// code-5: a manifest refers to something that this repository does not have.
    ManifestBlobUnknown,
    /// code-6: the manifest is malformed.
    ManifestInvalid,
    /// code-7: the manifest is not in this repository.
    ManifestUnknown,
    /// code-8: the repository name is malformed.
    NameInvalid,
    /// code-9: the repository is not known.
    NameUnknown,
    /// code-10: a length is not what was declared.
    SizeInvalid,
    /// code-11: nobody knows who is asking.
    Unauthorized,
    /// code-12: whoever asks may not.
    Denied,
    /// code-13: this registry does not do that.
    Unsupported,
    /// code-14: too much at once.
    TooManyRequests,

    /// The `n` of a page is not a number.
    PaginationNumberInvalid,
    /// A range of bytes cannot be had, or a chunk is not the next one.
    RangeInvalid,
    /// The tag is malformed.
    TagInvalid,
    /// Something that this registry needs does not answer.
    Unavailable,
    /// A fault of this registry.
    Unknown,

    /// What was asked for is no end-point of the API.
    NotFound,
    /// A tag is not what the request expected it to be.
    PreconditionFailed,
    /// The client stopped sending in the middle of a request.
    RequestTimeout,
    /// The content is larger than this registry takes.
    TooLarge,
    /// The request names more than this registry takes in one.
    UriTooLong,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 24] = [
        Self::BlobUnknown,
        Self::BlobUploadInvalid,
        Self::BlobUploadUnknown,
        Self::DigestInvalid,
        Self::ManifestBlobUnknown,
        Self::ManifestInvalid,
        Self::ManifestUnknown,
        Self::NameInvalid,
        Self::NameUnknown,
        Self::SizeInvalid,
        Self::Unauthorized,
        Self::Denied,
        Self::Unsupported,
        Self::TooManyRequests,
        Self::PaginationNumberInvalid,
        Self::RangeInvalid,
        Self::TagInvalid,
        Self::Unavailable,
        Self::Unknown,
        Self::NotFound,
        Self::PreconditionFailed,
        Self::RequestTimeout,
        Self::TooLarge,
        Self::UriTooLong,
    ];
}

/// A failed operation of seam 1.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: ErrorCode,
    message: Cow<'static, str>,
    detail: Option<serde_json::Value>,
    retry_after: Option<Duration>,
    wanted: Vec<Access>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with a message for whoever asked. The message must not tell what they may not know.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            detail: None,
            retry_after: None,
            wanted: Vec::new(),
            source: None,
        }))
    }

    /// A refusal: `wanted` was not permitted.
    pub fn denied(wanted: Access, message: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(ErrorCode::Denied, message);
        error.0.wanted.push(wanted);
        error
    }

    /// Adds a detail for programs, sent to whoever asked.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<serde_json::Value>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds when it is worth trying again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds the cause. It is for the operator and never sent to whoever asked.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds to what was not permitted.
    #[must_use]
    pub fn wanting(mut self, wanted: Access) -> Self {
        self.0.wanted.push(wanted);
        self
    }

    /// What went wrong, for programs.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// What went wrong, for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The detail, if there is one.
    pub fn detail_value(&self) -> Option<&serde_json::Value> {
        self.0.detail.as_ref()
    }

    /// When it is worth trying again, if that is known.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What was not permitted, for a challenge.
    pub fn wanted(&self) -> &[Access] {
        &self.0.wanted
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        use crate::store::StoreErrorKind as Kind;
        let (code, message) = match error.kind() {
            Kind::Conflict => (
                ErrorCode::RangeInvalid,
                "another request changed this meanwhile",
            ),
            Kind::Full => (ErrorCode::Unavailable, "the storage is full"),
            Kind::ReadOnly => (ErrorCode::Unavailable, "the storage is read-only"),
            Kind::Unavailable => (ErrorCode::Unavailable, "the storage does not answer"),
            Kind::Corrupt | Kind::Other => (ErrorCode::Unknown, "the storage failed"),
        };
        let retry_after = error.retry_after();
        let mut mapped = Self::new(code, message).caused_by(error);
        mapped.0.retry_after = retry_after;
        mapped
    }
}

impl From<InvalidName> for Error {
    fn from(error: InvalidName) -> Self {
        Self::new(ErrorCode::NameInvalid, error.to_string())
    }
}

impl From<InvalidDigest> for Error {
    fn from(error: InvalidDigest) -> Self {
        Self::new(ErrorCode::DigestInvalid, error.to_string())
    }
}

impl From<InvalidTag> for Error {
    fn from(error: InvalidTag) -> Self {
        Self::new(ErrorCode::TagInvalid, error.to_string())
    }
}

impl From<InvalidReference> for Error {
    fn from(error: InvalidReference) -> Self {
        match error {
            InvalidReference::Digest(error) => error.into(),
            InvalidReference::Tag(error) => error.into(),
        }
    }
}
