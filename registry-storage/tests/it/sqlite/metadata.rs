//! Links, manifests, tags and referrers.

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use registry_core::{
    Descriptor, Digest, Expect, Listing, Page, RepositoryName, Tag,
    access::Visible,
    store::{
        BlobLink, Capabilities, ManifestRecord, MetadataStore, ReferrersFilter, StoreError,
        StoredManifest, TagChange,
    },
};
use rusqlite::{OptionalExtension as _, Params, Transaction, params};

use super::{Database, Failure, millis, storable, streamed};

/// The page whose entries are the first column of a query that is in order and begins where the
/// page does. What is no entry is skipped.
fn paged<T>(
    transaction: &Transaction<'_>,
    limit: usize,
    sql: &str,
    params: impl Params,
    entry: impl Fn(&str) -> Option<T>,
) -> Result<Listing<T>, Failure> {
    let mut listing = Listing::empty();
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while limit > 0
        && let Some(row) = rows.next()?
    {
        let text = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        let Some(entry) = entry(text) else { continue };
        if listing.items.len() == limit {
            listing.more = true;
            break;
        }
        listing.items.push(entry);
    }
    Ok(listing)
}

/// The name that a page begins behind; none is shorter than the empty one.
fn after(page: &Page) -> &str {
    page.after.as_deref().unwrap_or_default()
}

fn digest(text: &str) -> Result<Digest, Failure> {
    let damaged = |_| StoreError::corrupt("a digest cannot be read");
    Ok(Digest::parse(text).map_err(damaged)?)
}

fn create(transaction: &Transaction<'_>, repository: &RepositoryName) -> Result<(), Failure> {
    let sql = "INSERT INTO repositories (name) VALUES (?) ON CONFLICT DO NOTHING";
    transaction.execute(sql, [repository.as_str()])?;
    Ok(())
}

fn find_tag(
    transaction: &Transaction<'_>,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Option<Digest>, Failure> {
    let sql = "SELECT digest FROM tags WHERE repository = ? AND name = ?";
    let found = transaction
        .prepare_cached(sql)?
        .query_row([repository.as_str(), tag.as_str()], |row| {
            row.get::<_, String>(0)
        })
        .optional()?;
    found.as_deref().map(digest).transpose()
}

fn insert_manifest(
    transaction: &Transaction<'_>,
    repository: &RepositoryName,
    record: &ManifestRecord,
) -> Result<(), Failure> {
    let descriptor = &record.descriptor;
    // Not REPLACE, which would delete the tags with the row that it replaces.
    let sql =
        "INSERT INTO manifests (repository, digest, descriptor, artifact_type, subject, bytes,
            pushed_by, pushed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET descriptor = excluded.descriptor,
            artifact_type = excluded.artifact_type, subject = excluded.subject,
            bytes = excluded.bytes, pushed_by = excluded.pushed_by, pushed_at = excluded.pushed_at";
    transaction.execute(
        sql,
        params![
            repository.as_str(),
            descriptor.digest.as_str(),
            serde_json::to_string(descriptor)?,
            descriptor.artifact_type.as_ref().map(|name| name.as_str()),
            record.subject.as_ref().map(Digest::as_str),
            &record.bytes[..],
            record.by,
            millis(record.at),
        ],
    )?;
    Ok(())
}

#[async_trait]
impl MetadataStore for Database {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none().with_atomic_tags()
    }

    async fn check(&self) -> Result<(), StoreError> {
        registry_core::store::BlobStore::check(self).await
    }

    async fn link_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        link: BlobLink,
    ) -> Result<(), StoreError> {
        storable(digest)?;
        self.write(|transaction| {
            create(transaction, repository)?;
            let sql = "INSERT INTO blob_links (repository, digest, target, size)
                VALUES (?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET target = excluded.target, size = excluded.size";
            let (name, target) = (repository.as_str(), link.target.as_str());
            transaction.execute(sql, params![name, digest.as_str(), target, link.size])?;
            Ok(())
        })
    }

    async fn blob_link(
        &self,
        repository: &RepositoryName,
        name: &Digest,
    ) -> Result<Option<BlobLink>, StoreError> {
        self.read(|transaction| {
            let sql = "SELECT target, size FROM blob_links WHERE repository = ? AND digest = ?";
            let key = [repository.as_str(), name.as_str()];
            let link = transaction
                .query_row(sql, key, |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))
                .optional()?;
            link.map(|(target, size)| Ok(BlobLink::new(digest(&target)?, size)))
                .transpose()
        })
    }

    async fn unlink_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM blob_links WHERE repository = ? AND digest = ?";
        let key = [repository.as_str(), digest.as_str()];
        self.write(|transaction| Ok(transaction.execute(sql, key)? > 0))
    }

    async fn put_manifest(
        &self,
        repository: &RepositoryName,
        record: ManifestRecord,
        tags: &[(Tag, Expect)],
    ) -> Result<Vec<TagChange>, StoreError> {
        let digest = &record.descriptor.digest;
        storable(digest)?;
        self.write(|transaction| {
            create(transaction, repository)?;
            insert_manifest(transaction, repository, &record)?;
            let current: Vec<_> = tags
                .iter()
                .map(|(tag, _)| find_tag(transaction, repository, tag))
                .collect::<Result<_, _>>()?;
            let mut expected = tags.iter().zip(&current);
            if !expected.all(|((_, expect), current)| expect.holds(current.as_ref())) {
                return Ok(current.into_iter().map(TagChange::Refused).collect());
            }
            let sql = "INSERT INTO tags (repository, name, digest) VALUES (?, ?, ?)
                ON CONFLICT DO UPDATE SET digest = excluded.digest";
            let mut statement = transaction.prepare_cached(sql)?;
            for (tag, _) in tags {
                statement.execute([repository.as_str(), tag.as_str(), digest.as_str()])?;
            }
            Ok(vec![TagChange::Applied; tags.len()])
        })
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<StoredManifest>, StoreError> {
        let row = self.read(|transaction| {
            let sql = "SELECT descriptor, bytes FROM manifests WHERE repository = ? AND digest = ?";
            let key = [repository.as_str(), digest.as_str()];
            let row = transaction.query_row(sql, key, |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
            });
            Ok(row.optional()?)
        })?;
        let Some((descriptor, bytes)) = row else {
            return Ok(None);
        };
        let intact = |bytes: &[u8]| Some(digest.content_algorithm()?.digest(bytes) == *digest);
        if intact(&bytes) != Some(true) {
            return Err(StoreError::corrupt("a manifest is not what was pushed"));
        }
        let descriptor: Descriptor = serde_json::from_str(&descriptor).map_err(Failure::from)?;
        let Descriptor {
            media_type, size, ..
        } = descriptor;
        let descriptor = Descriptor::new(media_type, digest.clone(), size);
        Ok(Some(StoredManifest::new(descriptor, bytes.into())))
    }

    async fn delete_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, StoreError> {
        let sql = "DELETE FROM manifests WHERE repository = ? AND digest = ?";
        let key = [repository.as_str(), digest.as_str()];
        self.write(|transaction| Ok(transaction.execute(sql, key)? > 0))
    }

    async fn tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
    ) -> Result<Option<Digest>, StoreError> {
        self.read(|transaction| find_tag(transaction, repository, tag))
    }

    async fn delete_tag(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        expect: &Expect,
    ) -> Result<TagChange, StoreError> {
        self.write(|transaction| {
            let current = find_tag(transaction, repository, tag)?;
            if current.is_none() || !expect.holds(current.as_ref()) {
                return Ok(TagChange::Refused(current));
            }
            let sql = "DELETE FROM tags WHERE repository = ? AND name = ?";
            transaction.execute(sql, [repository.as_str(), tag.as_str()])?;
            Ok(TagChange::Applied)
        })
    }

    async fn repository_exists(&self, repository: &RepositoryName) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM repositories WHERE name = ?)";
        self.read(|transaction| {
            Ok(transaction.query_row(sql, [repository.as_str()], |row| row.get(0))?)
        })
    }

    async fn repositories(
        &self,
        page: Page,
        visible: &Visible,
    ) -> Result<Listing<RepositoryName>, StoreError> {
        let sql = "SELECT name FROM repositories WHERE name > ? AND EXISTS
                (SELECT 1 FROM manifests WHERE manifests.repository = repositories.name)
            ORDER BY name COLLATE BINARY";
        self.read(|transaction| {
            paged(transaction, page.limit, sql, [after(&page)], |name| {
                let name = RepositoryName::parse(name).ok();
                name.filter(|name| visible.contains(name))
            })
        })
    }

    async fn tags(
        &self,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>, StoreError> {
        let sql = "SELECT name FROM tags WHERE repository = ? AND name > ?
            ORDER BY name COLLATE BINARY";
        let params = [repository.as_str(), after(&page)];
        self.read(|transaction| {
            paged(transaction, page.limit, sql, params, |name| {
                Tag::parse(name).ok()
            })
        })
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: &ReferrersFilter,
    ) -> Result<Listing<Descriptor>, StoreError> {
        let sql = "SELECT descriptor FROM manifests
            WHERE repository = ?1 AND subject = ?2 AND digest > ?3
                AND (?4 IS NULL OR artifact_type = ?4)
            ORDER BY digest COLLATE BINARY";
        let artifact_type = filter.artifact_type.as_ref().map(|name| name.as_str());
        let (name, subject) = (repository.as_str(), subject.as_str());
        let params = params![name, subject, after(&page), artifact_type];
        let listing = self.read(|transaction| {
            paged(transaction, page.limit, sql, params, |descriptor| {
                serde_json::from_str(descriptor).ok()
            })
        })?;
        Ok(filter.bounded(listing))
    }

    fn live_digests(&self) -> BoxStream<'_, Result<Digest, StoreError>> {
        let sql = "SELECT target FROM blob_links UNION SELECT digest FROM manifests";
        streamed(self.read(|transaction| {
            let every = |digest: &str| Digest::parse(digest).ok();
            Ok(paged(transaction, usize::MAX, sql, [], every)?.items)
        }))
    }
}
