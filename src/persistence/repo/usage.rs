//! The ledger.

use std::collections::HashSet;

use diesel::{dsl::max, prelude::*, result::Error};

use super::usage_hours;
use crate::{
    domain::{time::Timestamp, usage::UsageEntry},
    persistence::{
        connection::{DbConnection, on_backend},
        rows::{InsertNew, UsageEntryRow},
        schema::{pool_meta, usage_entries},
    },
};

/// Where the time that retention has come to stands in `pool_meta`, in milliseconds.
const RETENTION_TIME: &str = "usage_retention_time";

/// Rows per statement on SQLite. Each size is a statement of its own, prepared once. Measured with
/// Diesel's own statement, before [`InsertNew`] took its place, in a release build, in CPU time per row of batches of 500: one by one 6.8 µs, 16 at once 4.5 µs, 64
/// at once 4.1 µs. What does not fill a group goes one by one, so a small group serves short
/// batches better.
const SQLITE_ROWS: usize = 16;

/// Rows per statement on PostgreSQL, where the way there and back costs most. Each row has 19
/// parameters, and a statement may have 65,535.
const POSTGRES_ROWS: usize = 1_000;

/// Writes entries and counts them in their hours, all or none. One whose request is on the ledger
/// already changes nothing. Says how many were new.
pub fn append(conn: &mut DbConnection, entries: &[UsageEntry]) -> QueryResult<usize> {
    let rows: Vec<UsageEntryRow<'_>> = entries.iter().map(UsageEntryRow::from).collect();
    let append = |conn: &mut DbConnection, group_size| {
        conn.transaction(|conn| {
            let new = insert(conn, entries, &rows, group_size)?;
            usage_hours::add(conn, &new)?;
            Ok(new.len())
        })
    };
    match append(conn, SQLITE_ROWS) {
        // Some are there already. Which ones, only a statement for each can tell.
        Err(Error::RollbackTransaction) => append(conn, 1),
        appended => appended,
    }
}

/// Inserts rows, and says which of the entries they stand for are new.
///
/// Errors: [`Error::RollbackTransaction`] when that cannot be told of a group of so many rows.
fn insert<'e>(
    conn: &mut DbConnection,
    entries: &'e [UsageEntry],
    rows: &[UsageEntryRow<'_>],
    group_size: usize,
) -> QueryResult<Vec<&'e UsageEntry>> {
    match conn {
        DbConnection::Sqlite(conn) if group_size == SQLITE_ROWS => {
            let (groups, rest) = rows.as_chunks::<SQLITE_ROWS>();
            for group in groups {
                all_new(InsertNew(group).execute(conn)?, group.len())?;
            }
            for row in rest {
                all_new(InsertNew(std::array::from_ref(row)).execute(conn)?, 1)?;
            }
            Ok(entries.iter().collect())
        }
        DbConnection::Sqlite(conn) => {
            let mut new = Vec::new();
            for (entry, row) in entries.iter().zip(rows) {
                if InsertNew(std::array::from_ref(row)).execute(conn)? == 1 {
                    new.push(entry);
                }
            }
            Ok(new)
        }
        DbConnection::Postgres(conn) => {
            let mut ids = HashSet::new();
            for part in rows.chunks(POSTGRES_ROWS) {
                let added: Vec<String> = diesel::insert_into(usage_entries::table)
                    .values(part)
                    .on_conflict(usage_entries::request_id)
                    .do_nothing()
                    .returning(usage_entries::request_id)
                    .get_results(conn)?;
                ids.extend(added);
            }
            // Taken out, so that of one that is named twice only the first is new, as it is there.
            let is_new = |(_, row): &(_, &UsageEntryRow<'_>)| ids.remove(row.request_id());
            Ok(entries.iter().zip(rows).filter(is_new).map(|(entry, _)| entry).collect())
        }
    }
}

fn all_new(added: usize, rows: usize) -> QueryResult<()> {
    if added == rows { Ok(()) } else { Err(Error::RollbackTransaction) }
}

/// When the newest entry is from.
pub fn newest(conn: &mut DbConnection) -> QueryResult<Option<Timestamp>> {
    let newest: Option<i64> = usage_entries::table.select(max(usage_entries::at)).first(conn)?;
    Ok(newest.map(Timestamp::from_millis))
}

/// The time that retention had come to. `None`: it was never kept, or is not understood.
pub fn load_retention_time(conn: &mut DbConnection) -> QueryResult<Option<Timestamp>> {
    let kept = pool_meta::table.find(RETENTION_TIME).select(pool_meta::value);
    let kept: Option<String> = kept.first(conn).optional()?;
    Ok(kept.and_then(|millis| millis.parse().ok()).map(Timestamp::from_millis))
}

/// Keeps the time that retention has come to.
pub fn save_retention_time(conn: &mut DbConnection, time: Timestamp) -> QueryResult<()> {
    let millis = time.as_millis().to_string();
    on_backend!(conn, |conn| {
        diesel::insert_into(pool_meta::table)
            .values((pool_meta::name.eq(RETENTION_TIME), pool_meta::value.eq(&millis)))
            .on_conflict(pool_meta::name)
            .do_update()
            .set(pool_meta::value.eq(&millis))
            .execute(conn)
    })?;
    Ok(())
}

/// How many entries there are.
pub fn count(conn: &mut DbConnection) -> QueryResult<u64> {
    let entries: i64 = usage_entries::table.count().get_result(conn)?;
    Ok(u64::try_from(entries).expect("a count is not negative"))
}

/// Deletes entries from before `before`, oldest first, at most `limit`. Says how many.
pub fn purge(conn: &mut DbConnection, before: Timestamp, limit: i64) -> QueryResult<usize> {
    let old = diesel::alias!(usage_entries as old_entries);
    let oldest = old
        .filter(old.field(usage_entries::at).lt(before.as_millis()))
        .order(old.field(usage_entries::at))
        .limit(limit)
        .select(old.field(usage_entries::request_id));
    diesel::delete(usage_entries::table)
        .filter(usage_entries::request_id.eq_any(oldest))
        .execute(conn)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        domain::{
            failure::FailureClass,
            id::{ModelName, ProviderId, RequestId},
            usage::{Outcome, TokenUsage, UsageQuestion, UsageRange, UsageTotals},
        },
        persistence::testing::on_every_database,
    };

    const ALL: UsageRange =
        UsageRange { from: Timestamp::from_millis(0), until: Timestamp::from_millis(i64::MAX) };

    fn summarize(conn: &mut DbConnection, range: UsageRange) -> Vec<UsageTotals> {
        let question = UsageQuestion { range, after: None, limit: 1_000 };
        usage_hours::summarize(conn, &question).unwrap()
    }

    fn tokens(each: u64) -> TokenUsage {
        TokenUsage {
            input: each,
            cache_read: each + 1,
            cache_write_5m: each + 2,
            cache_write_1h: each + 3,
            output: each + 4,
        }
    }

    pub fn entry(at: i64) -> UsageEntry {
        UsageEntry {
            request_id: RequestId::generate(),
            at: Timestamp::from_millis(at),
            client_key_id: "k1".into(),
            model: ModelName::parse("fast").unwrap(),
            provider_id: Some(ProviderId::parse("acme").unwrap()),
            upstream_model: Some(ModelName::parse("vendor/fast-1").unwrap()),
            credential_id: Some("c1".into()),
            outcome: Outcome::Completed,
            failure: None,
            streamed: true,
            attempts: 2,
            tokens: Some(tokens(10)),
            usage_estimated: false,
            first_event_ms: Some(40),
            duration_ms: 100,
        }
    }

    fn entries(count: i64) -> Vec<UsageEntry> {
        (0..count).map(entry).collect()
    }

    #[test]
    fn an_entry_is_written_whole() {
        on_every_database(|database| {
            let mut conn = database.conn();
            let entry = entry(7);
            append(&mut conn, std::slice::from_ref(&entry)).unwrap();
            let texts: (String, String, String, Option<String>, Option<String>, Option<String>) =
                usage_entries::table
                    .select((
                        usage_entries::request_id,
                        usage_entries::client_key_id,
                        usage_entries::outcome,
                        usage_entries::upstream_model,
                        usage_entries::credential_id,
                        usage_entries::failure,
                    ))
                    .first(&mut *conn)
                    .unwrap();
            let some = |text: &str| Some(text.to_owned());
            let expected = (entry.request_id.to_string(), "k1".into(), "completed".into());
            assert_eq!((texts.0, texts.1, texts.2), expected);
            assert_eq!((texts.3, texts.4, texts.5), (some("vendor/fast-1"), some("c1"), None));
            let rest: (i64, bool, i32, Option<i64>) = usage_entries::table
                .select((
                    usage_entries::at,
                    usage_entries::streamed,
                    usage_entries::attempts,
                    usage_entries::first_event_ms,
                ))
                .first(&mut *conn)
                .unwrap();
            assert_eq!(rest, (7, true, 2, Some(40)));
        });
    }

    #[test]
    fn what_is_on_the_ledger_is_not_written_again() {
        on_every_database(|database| {
            let mut conn = database.conn();
            // Neither a multiple of a group on SQLite, nor of a part on PostgreSQL.
            let mut all = entries(2_045);
            assert_eq!(append(&mut conn, &all[..1_003]).unwrap(), 1_003);
            assert_eq!(append(&mut conn, &all).unwrap(), 2_045 - 1_003);
            assert_eq!(append(&mut conn, &all).unwrap(), 0);
            let twice = entry(1);
            all.extend([twice.clone(), twice]);
            assert_eq!(append(&mut conn, &all).unwrap(), 1, "one request was entered twice");
            assert_eq!(count(&mut conn).unwrap(), 2_046);
            let requests = summarize(&mut conn, ALL)[0].requests;
            assert_eq!(requests, 2_046, "what was not written was counted");
            assert_eq!(append(&mut conn, &[]).unwrap(), 0);
        });
    }

    #[test]
    fn totals_are_by_provider_and_model_and_in_order() {
        on_every_database(|database| {
            let mut conn = database.conn();
            let model = |name| ModelName::parse(name).unwrap();
            let other = Some(ProviderId::parse("zeta").unwrap());
            let failed = || UsageEntry {
                outcome: Outcome::Failed,
                failure: Some(FailureClass::Server),
                tokens: None,
                ..entry(3)
            };
            append(
                &mut conn,
                &[
                    UsageEntry { provider_id: other.clone(), ..entry(1) },
                    UsageEntry { upstream_model: Some(model("Zoom")), ..entry(1) },
                    UsageEntry { upstream_model: Some(model("_low")), ..entry(1) },
                    UsageEntry { provider_id: None, upstream_model: None, ..failed() },
                    entry(1),
                    UsageEntry { duration_ms: 201, tokens: None, ..entry(2) },
                    UsageEntry { outcome: Outcome::Cancelled, tokens: Some(tokens(1)), ..entry(2) },
                    failed(),
                ],
            )
            .unwrap();
            let totals = summarize(&mut conn, ALL);
            let order = |total: &UsageTotals| {
                let provider = total.provider_id.as_ref().map_or("-", |id| id.as_str()).to_owned();
                format!("{provider} {}", total.model)
            };
            assert_eq!(
                totals.iter().map(order).collect::<Vec<_>>(),
                ["- fast", "acme Zoom", "acme _low", "acme vendor/fast-1", "zeta vendor/fast-1"]
            );
            let total = &totals[3];
            assert_eq!(
                (total.requests, total.completed, total.failed, total.cancelled, total.unreported),
                (4, 2, 1, 1, 1)
            );
            assert_eq!(total.tokens.input, 11);
            assert_eq!(total.tokens.total(), 10 + 11 + 12 + 13 + 14 + 1 + 2 + 3 + 4 + 5);
            assert_eq!(total.mean_duration_ms, Some(150));
            assert_eq!(totals[0].mean_duration_ms, None, "a failed request has a mean duration");
        });
    }

    #[test]
    fn what_was_estimated_is_marked_and_counted() {
        on_every_database(|database| {
            let mut conn = database.conn();
            let estimated = UsageEntry { usage_estimated: true, ..entry(1) };
            let cancelled = UsageEntry { outcome: Outcome::Cancelled, ..estimated.clone() };
            let cancelled = UsageEntry { request_id: RequestId::generate(), ..cancelled };
            append(&mut conn, &[entry(1), estimated.clone(), cancelled]).unwrap();
            let marked: Vec<String> = usage_entries::table
                .filter(usage_entries::usage_estimated)
                .filter(usage_entries::outcome.eq("completed"))
                .select(usage_entries::request_id)
                .load(&mut *conn)
                .unwrap();
            assert_eq!(marked, [estimated.request_id.to_string()]);
            let total = summarize(&mut conn, ALL).remove(0);
            assert_eq!((total.requests, total.unreported, total.estimated), (3, 0, 2));
            assert_eq!(total.tokens.input, 30);
        });
    }

    #[test]
    fn a_range_holds_its_start_and_not_its_end() {
        on_every_database(|database| {
            let mut conn = database.conn();
            append(&mut conn, &entries(10)).unwrap();
            let (from, until) = (Timestamp::from_millis(3), Timestamp::from_millis(7));
            let totals = summarize(&mut conn, UsageRange { from, until });
            assert_eq!(totals[0].requests, 4);
            let none = UsageRange { from: until, until: from };
            assert_eq!(summarize(&mut conn, none), []);
        });
    }

    #[test]
    fn sums_are_exact_beyond_what_a_float_can_hold() {
        on_every_database(|database| {
            let mut conn = database.conn();
            let big = (1 << 40) - 1;
            let liar = UsageEntry { tokens: Some(tokens(u64::MAX - 4)), ..entry(1) };
            let honest = entries(9_000).into_iter();
            let mut all: Vec<UsageEntry> =
                honest.map(|entry| UsageEntry { tokens: Some(tokens(big - 4)), ..entry }).collect();
            all.push(liar);
            append(&mut conn, &all).unwrap();
            let total = summarize(&mut conn, ALL).remove(0);
            assert_eq!(total.tokens.output, 9_000 * big + (1 << 40));
            assert!(total.tokens.output > 1 << 53);
        });
    }

    #[test]
    fn a_purge_takes_the_oldest_first_and_no_more_than_it_may() {
        on_every_database(|database| {
            let mut conn = database.conn();
            append(&mut conn, &entries(10)).unwrap();
            let before = Timestamp::from_millis(6);
            assert_eq!(purge(&mut conn, before, 4).unwrap(), 4);
            let oldest: i64 = usage_entries::table
                .select(usage_entries::at)
                .order(usage_entries::at)
                .first(&mut *conn)
                .unwrap();
            assert_eq!(oldest, 4);
            assert_eq!(purge(&mut conn, before, 4).unwrap(), 2);
            assert_eq!(purge(&mut conn, before, 4).unwrap(), 0);
            assert_eq!(count(&mut conn).unwrap(), 4);
        });
    }
}
