//! Lists in pages: `limit` entries after the one named by `cursor`.

use serde::Deserialize;

use super::problem::Problem;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

/// Which part of a list is asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Most entries to answer with, 1 to 1000. Default: 100.
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One page, and where the next one begins.
pub struct Page<T> {
    pub items: Vec<T>,
    /// Absent on the last page.
    pub next_cursor: Option<String>,
}

/// The limit that was asked for, or the usual one.
///
/// Errors: a [`Problem`] for one out of range.
pub fn checked_limit(limit: Option<usize>) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::bad_request(format!("limit: must be 1 to {MAX_LIMIT}")))
    }
}

impl PageQuery {
    /// Cuts a page out of a sorted list. The cursor is the key of the last entry seen.
    ///
    /// Errors: a [`Problem`] for a limit out of range, and for a cursor whose entry is gone.
    pub fn cut<T>(self, items: Vec<T>, key: impl Fn(&T) -> String) -> Result<Page<T>, Problem> {
        let limit = checked_limit(self.limit)?;
        let start = match &self.cursor {
            None => 0,
            Some(cursor) => {
                let found = items.iter().position(|item| key(item) == *cursor);
                found
                    .ok_or_else(|| Problem::bad_request("cursor: its entry is gone; begin again"))?
                    + 1
            }
        };
        let more = items.len() > start + limit;
        let items: Vec<T> = items.into_iter().skip(start).take(limit).collect();
        let next_cursor = items.last().filter(|_| more).map(key);
        Ok(Page { items, next_cursor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: Option<usize>, cursor: Option<&str>) -> Result<Page<u32>, Problem> {
        let query = PageQuery { limit, cursor: cursor.map(str::to_owned) };
        query.cut((1..=5).collect(), u32::to_string)
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let first = page(Some(2), None).unwrap();
        assert_eq!((first.items, first.next_cursor.as_deref()), (vec![1, 2], Some("2")));
        let second = page(Some(2), Some("2")).unwrap();
        assert_eq!((second.items, second.next_cursor.as_deref()), (vec![3, 4], Some("4")));
        let last = page(Some(2), Some("4")).unwrap();
        assert_eq!((last.items, last.next_cursor), (vec![5], None));
    }

    #[test]
    fn a_bad_limit_or_a_lost_cursor_is_refused() {
        assert!(page(Some(0), None).is_err());
        assert!(page(Some(1001), None).is_err());
        assert!(page(None, Some("9")).is_err());
    }
}
