//! A store in a database, as an embedder would write it: one object is both halves, and every
//! method is one transaction.
//!
//! What a store of one's own comes to is here in full. What a bigger one would do otherwise: blobs
//! of some size belong in files or an object store, and blocking calls on threads of their own.

mod blobs;
mod metadata;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use registry_core::{
    Digest,
    store::{
        StoreError, StoreErrorKind,
        conformance::{self, Stores, Subject},
    },
};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

/// Times are milliseconds since 1970, hashes, links' details and descriptors are JSON, names and
/// digests are texts, which SQLite compares byte by byte.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS blobs (
        digest TEXT PRIMARY KEY,
        bytes BLOB NOT NULL,
        modified INTEGER NOT NULL
    );
    -- The epoch is advanced by every writer that takes the upload over.
    CREATE TABLE IF NOT EXISTS uploads (
        number INTEGER PRIMARY KEY,
        repository TEXT NOT NULL,
        id TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        length INTEGER NOT NULL,
        hash TEXT NOT NULL,
        started INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        UNIQUE (repository, id)
    );
    CREATE TABLE IF NOT EXISTS pieces (
        upload INTEGER NOT NULL REFERENCES uploads ON DELETE CASCADE,
        start INTEGER NOT NULL,
        bytes BLOB NOT NULL,
        PRIMARY KEY (upload, start)
    );
    CREATE TABLE IF NOT EXISTS repositories (
        name TEXT PRIMARY KEY
    );
    CREATE TABLE IF NOT EXISTS blob_links (
        repository TEXT NOT NULL REFERENCES repositories,
        digest TEXT NOT NULL,
        target TEXT NOT NULL,
        size INTEGER,
        PRIMARY KEY (repository, digest)
    );
    CREATE TABLE IF NOT EXISTS manifests (
        repository TEXT NOT NULL REFERENCES repositories,
        digest TEXT NOT NULL,
        descriptor TEXT NOT NULL,
        artifact_type TEXT,
        subject TEXT,
        bytes BLOB NOT NULL,
        pushed_by TEXT,
        pushed_at INTEGER NOT NULL,
        PRIMARY KEY (repository, digest)
    );
    CREATE INDEX IF NOT EXISTS referrers ON manifests (repository, subject, digest);
    -- That a tag goes with its manifest is the database's to see to.
    CREATE TABLE IF NOT EXISTS tags (
        repository TEXT NOT NULL,
        name TEXT NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (repository, name),
        FOREIGN KEY (repository, digest) REFERENCES manifests ON DELETE CASCADE
    );
    CREATE INDEX IF NOT EXISTS tags_of_manifest ON tags (repository, digest);
";

/// Both halves of seam 2 over one connection.
#[derive(Debug)]
struct Database {
    connection: Mutex<Connection>,
}

impl Database {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let open = || {
            let connection = Connection::open(path)?;
            connection.busy_timeout(Duration::from_secs(30))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // An answer means durable.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.execute_batch(SCHEMA)?;
            Ok::<_, Failure>(Self {
                connection: Mutex::new(connection),
            })
        };
        open().map_err(StoreError::from)
    }

    /// Runs a transaction that keeps every other writer out from its first statement on, so that
    /// what it read still holds when it writes. It is rolled back when it fails.
    fn write<T>(
        &self,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        Ok(self.transact(TransactionBehavior::Immediate, act)?)
    }

    /// Runs a transaction that sees the database as of one point in time.
    fn read<T>(
        &self,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        Ok(self.transact(TransactionBehavior::Deferred, act)?)
    }

    fn transact<T>(
        &self,
        behavior: TransactionBehavior,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // A transaction that was left by a panic is rolled back.
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(behavior)?;
        let answer = act(&transaction)?;
        transaction.commit()?;
        Ok(answer)
    }
}

/// Why a transaction came to nothing.
#[derive(Debug)]
enum Failure {
    Database(rusqlite::Error),
    Json(serde_json::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let error = match failure {
            Failure::Database(error) => error,
            Failure::Json(error) => {
                return Self::corrupt("a record cannot be read").caused_by(error);
            }
            Failure::Store(error) => return error,
        };
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                StoreErrorKind::Unavailable
            }
            Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
            Some(ErrorCode::ReadOnly) => StoreErrorKind::ReadOnly,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Other,
        };
        Self::new(kind, "the database").caused_by(error)
    }
}

/// Fails for the digest of an algorithm that content is not stored under, so that nothing is ever
/// found under it.
fn storable(digest: &Digest) -> Result<(), StoreError> {
    if digest.content_algorithm().is_some() {
        return Ok(());
    }
    let message = "content is stored under sha256 and sha512 only";
    Err(StoreError::new(StoreErrorKind::Other, message))
}

fn millis(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}

fn streamed<'a, T: Send + 'a>(
    entries: Result<Vec<T>, StoreError>,
) -> BoxStream<'a, Result<T, StoreError>> {
    match entries {
        Ok(entries) => stream::iter(entries).map(Ok).boxed(),
        Err(error) => stream::iter([Err(error)]).boxed(),
    }
}

/// Two connections to a fresh database, which goes with them.
pub(crate) struct Sqlite;

#[async_trait]
impl Subject for Sqlite {
    async fn fresh(&self) -> (Stores, Stores) {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory can be made"));
        let open = || {
            let database = Database::open(&directory.path().join("registry.db"));
            let database = Arc::new(database.expect("the database can be written"));
            Stores::new(Arc::<Database>::clone(&database), database)
                .keeping(Arc::clone(&directory) as _)
        };
        (open(), open())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contracts() {
    conformance::run(&Sqlite).await.assert();
}
