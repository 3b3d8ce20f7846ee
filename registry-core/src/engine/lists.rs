//! Listings: repositories, tags, referrers. Pages are the store's, bounded here.

use super::{Inner, manifests::unknown_repository};
use crate::{
    access::Visible,
    descriptor::Descriptor,
    digest::Digest,
    error::Result,
    name::RepositoryName,
    page::{Listing, Page},
    reference::Tag,
    store::ReferrersFilter,
};

impl Inner {
    pub(super) async fn list_repositories(
        &self,
        page: Page,
        visible: &Visible,
    ) -> Result<Listing<RepositoryName>> {
        match bounded(page, self.limits.repositories) {
            Some(page) => Ok(self.metadata.repositories(page, visible).await?),
            None => Ok(Listing::empty()),
        }
    }

    pub(super) async fn list_tags(
        &self,
        repository: &RepositoryName,
        page: Page,
    ) -> Result<Listing<Tag>> {
        let listing = match bounded(page, self.limits.tags) {
            Some(page) => self.metadata.tags(repository, page).await?,
            None => Listing::empty(),
        };
        if listing.items.is_empty() && !self.metadata.repository_exists(repository).await? {
            return Err(unknown_repository(repository));
        }
        Ok(listing)
    }

    pub(super) async fn list_referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        page: Page,
        filter: ReferrersFilter,
    ) -> Result<Listing<Descriptor>> {
        let Some(page) = bounded(page, self.limits.referrers) else {
            return Ok(Listing::empty());
        };
        let most = self.limits.referrers_bytes;
        let bytes = filter.max_bytes.map_or(most, |bytes| bytes.min(most));
        let filter = filter.max_bytes(bytes);
        let stored = self
            .metadata
            .referrers(repository, subject, page.clone(), &filter)
            .await?;
        self.with_fallback(repository, subject, &page, &filter, stored)
            .await
    }
}

/// The page that is asked for, as far as one page goes; `None` where nothing is asked for.
fn bounded(page: Page, most: usize) -> Option<Page> {
    let limit = page.limit.min(most.max(1));
    (limit > 0).then_some(Page { limit, ..page })
}
