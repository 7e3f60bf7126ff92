//! Lists in pages: `limit` entries after the one named by `cursor`.

use serde::Deserialize;

use super::problem::Problem;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

/// Which part of a list is asked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Most entries to answer with, 1 to 1000. Default: 100.
    #[param(minimum = 1, maximum = 1_000)]
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
        Err(Problem::bad_request(format!("limit: must be 1 to {MAX_LIMIT}")).about("limit"))
    }
}

/// The entries of a list, from somewhere on.
pub type Rest<'l, T> = Box<dyn Iterator<Item = T> + 'l>;

impl PageQuery {
    /// Takes a page of a sorted list, and looks at no more of it. The cursor is the key of the last
    /// entry seen. `rest` gives all entries, or those behind the one of a cursor; `None` when that is
    /// gone.
    ///
    /// Errors: a [`Problem`] for a limit out of range, and for a cursor whose entry is gone.
    pub fn take<'l, T>(
        self,
        rest: impl FnOnce(Option<&str>) -> Option<Rest<'l, T>>,
        key: impl Fn(&T) -> String,
    ) -> Result<Page<T>, Problem> {
        let limit = checked_limit(self.limit)?;
        let gone = || Problem::bad_request("cursor: its entry is gone; begin again");
        let mut rest = rest(self.cursor.as_deref()).ok_or_else(gone)?;
        let items: Vec<T> = rest.by_ref().take(limit).collect();
        let next_cursor = if rest.next().is_some() { items.last().map(key) } else { None };
        Ok(Page { items, next_cursor })
    }

    /// Cuts a page out of a sorted list that is put together for it.
    ///
    /// Errors: as [`Self::take`].
    pub fn cut<T>(self, items: Vec<T>, key: impl Fn(&T) -> String) -> Result<Page<T>, Problem> {
        let rest = |cursor: Option<&str>| -> Option<Rest<'_, T>> {
            let start = match cursor {
                None => 0,
                Some(cursor) => items.iter().position(|item| key(item) == *cursor)? + 1,
            };
            Some(Box::new(items.into_iter().skip(start)))
        };
        self.take(rest, &key)
    }
}

impl<T> Page<T> {
    /// The same page, with its entries as they are shown.
    pub fn map<U>(self, show: impl FnMut(T) -> U) -> Page<U> {
        let items = self.items.into_iter().map(show).collect();
        Page { items, next_cursor: self.next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

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
    fn no_more_of_a_list_is_looked_at_than_the_page_and_whether_there_is_another() {
        let query = PageQuery { limit: Some(2), cursor: Some("7".into()) };
        let looked_at = RefCell::new(Vec::new());
        let looked_at = &looked_at;
        let rest = |cursor: Option<&str>| -> Option<Rest<'_, u32>> {
            let first: u32 = cursor?.parse().ok()?;
            Some(Box::new((first + 1..100).inspect(|n| looked_at.borrow_mut().push(*n))))
        };
        let page = query.take(rest, u32::to_string).unwrap();
        assert_eq!((page.items, page.next_cursor.as_deref()), (vec![8, 9], Some("9")));
        assert_eq!(*looked_at.borrow(), [8, 9, 10]);
    }

    #[test]
    fn a_bad_limit_or_a_lost_cursor_is_refused() {
        assert!(page(Some(0), None).is_err());
        assert!(page(Some(1001), None).is_err());
        assert!(page(None, Some("9")).is_err());
    }
}
