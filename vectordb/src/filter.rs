//! Which documents a search may look into.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{CollectionId, Db, DocumentId};

/// Which chunks a search may return: those of documents that meet all conditions. The filter is
/// applied before the best are chosen, so a filtered search still returns `k` hits when there are
/// that many.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Only these documents; `None` for all.
    pub documents: Option<Vec<DocumentId>>,
    /// Only documents in one of these collections; `None` for all.
    pub collections: Option<Vec<CollectionId>>,
    /// Only documents that have all of these tags.
    pub tags: Vec<String>,
    /// Only documents added at this time or later, in milliseconds since 1970 (UTC).
    pub added_from_unix_ms: Option<i64>,
    /// Only documents added before this time.
    pub added_before_unix_ms: Option<i64>,
}

impl Filter {
    /// Whether nothing but a list of documents is asked for.
    fn is_plain(&self) -> bool {
        let Self { documents: _, collections, tags, added_from_unix_ms, added_before_unix_ms } = self;
        collections.is_none()
            && tags.is_empty()
            && added_from_unix_ms.is_none()
            && added_before_unix_ms.is_none()
    }
}

impl Db {
    /// The documents that a filter lets through; `None` for all.
    pub fn matching(&self, filter: &Filter) -> Option<Vec<DocumentId>> {
        if filter.is_plain() {
            return filter.documents.clone();
        }
        let listed: Option<HashSet<&DocumentId>> =
            filter.documents.as_ref().map(|documents| documents.iter().collect());
        let passes = |info: &&crate::DocumentInfo| {
            listed.as_ref().is_none_or(|listed| listed.contains(&info.id))
                && filter.collections.as_ref().is_none_or(|collections| {
                    info.collection.is_some_and(|collection| collections.contains(&collection))
                })
                && filter.tags.iter().all(|tag| info.tags.contains(tag))
                && filter.added_from_unix_ms.is_none_or(|from| info.added_unix_ms >= from)
                && filter.added_before_unix_ms.is_none_or(|before| info.added_unix_ms < before)
        };
        let infos = self.catalog.documents.values().map(|stored| &stored.info);
        Some(infos.filter(passes).map(|info| info.id).collect())
    }

    /// The filter as the indexes take it: by documents alone.
    pub(crate) fn resolved(&self, filter: &Filter) -> Filter {
        Filter { documents: self.matching(filter), ..Filter::default() }
    }
}
