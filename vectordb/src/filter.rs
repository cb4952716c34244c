//! Which documents a search may look into.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{About, CollectionId, Db, DocumentId};

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
    /// Only documents with an author whose name has this in it, in upper or lower case.
    pub author: Option<String>,
    /// Only documents that say they were written then or later: ISO 8601, compared as text, so that `2026-11`
    /// stands for its beginning.
    pub created_from: Option<String>,
    /// Only documents that say they were written before.
    pub created_before: Option<String>,
}

impl Filter {
    /// Whether nothing but a list of documents is asked for.
    fn is_plain(&self) -> bool {
        *self == Self { documents: self.documents.clone(), ..Self::default() }
    }

    /// Whether a document says of itself what is asked for.
    fn is_met_by(&self, about: &About) -> bool {
        let is_by = |name: &String| {
            let name = name.to_lowercase();
            about.authors.iter().any(|author| author.to_lowercase().contains(&name))
        };
        // Dates in other words than ISO 8601 cannot be compared.
        let created = about.created.as_ref().filter(|date| date.starts_with(|c: char| c.is_ascii_digit()));
        self.author.as_ref().is_none_or(is_by)
            && self.created_from.as_ref().is_none_or(|from| created.is_some_and(|date| date >= from))
            && self.created_before.as_ref().is_none_or(|before| created.is_some_and(|date| date < before))
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
                && filter.is_met_by(&info.about)
        };
        let infos = self.catalog.documents.values().map(|stored| &stored.info);
        Some(infos.filter(passes).map(|info| info.id).collect())
    }

    /// The filter as the indexes take it: by documents alone.
    pub(crate) fn resolved(&self, filter: &Filter) -> Filter {
        Filter { documents: self.matching(filter), ..Filter::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_and_dates_are_compared_as_text() {
        let about = About {
            authors: vec!["Ana Duarte".into(), "Émile Ruiz <e@x.org>".into()],
            created: Some("2026-11-25T08:30:00".into()),
        };
        let text = |text: &str| Some(text.to_owned());
        let check = |filter: Filter, expected: bool| {
            assert_eq!(filter.is_met_by(&about), expected, "{filter:?}");
            let unknown = About { authors: Vec::new(), created: text("last spring") };
            assert!(!filter.is_met_by(&unknown), "{filter:?}");
        };
        for (author, expected) in [("duarte", true), ("ÉMILE", true), ("nobody", false)] {
            check(Filter { author: text(author), ..Filter::default() }, expected);
        }
        for (date, is_later) in
            [("2026", true), ("2026-11-25", true), ("2026-11-25T09", false), ("2027", false)]
        {
            check(Filter { created_from: text(date), ..Filter::default() }, is_later);
            check(Filter { created_before: text(date), ..Filter::default() }, !is_later);
        }
        assert!(Filter::default().is_met_by(&About::default()));
    }
}
