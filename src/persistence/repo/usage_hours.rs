//! The ledger summed up by hour, so that a summary costs what the hours hold and not what the entries do.

use std::{collections::BTreeMap, ops::Range};

use diesel::{dsl::min, prelude::*, sql_query, sql_types::Text};

use crate::{
    domain::{
        id::ProviderId,
        time::Timestamp,
        usage::{UsageEntry, UsageQuestion, UsageRange, UsageTotals},
    },
    persistence::{
        RepoError,
        connection::{DbConnection, on_backend},
        rows::{AddToHour, UsageHourRow, UsageSumRow},
        schema::usage_hours,
    },
};

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Counts entries that have just been written, in the transaction that wrote them.
pub fn add(conn: &mut DbConnection, entries: &[&UsageEntry]) -> QueryResult<()> {
    // In order, so that of two that count at once none waits for what the other holds.
    let mut hours = BTreeMap::new();
    for entry in entries {
        let provider = entry.provider_id.as_ref().map_or("", ProviderId::as_str);
        let key = (hour_of(entry.at.as_millis()), provider, entry.summed_model().as_str());
        let new = || UsageHourRow::new(key.0, key.1, key.2);
        hours.entry(key).or_insert_with(new).add(entry);
    }
    on_backend!(conn, |conn| {
        for row in hours.values() {
            AddToHour(row).execute(conn)?;
        }
    });
    Ok(())
}

/// One page of totals by provider and model, sorted so by their bytes; requests that reached no
/// provider come first. Exact to the millisecond as far back as there are entries; before that, the
/// hour in which the range begins counts from its end.
pub fn summarize(
    conn: &mut DbConnection,
    question: &UsageQuestion,
) -> Result<Vec<UsageTotals>, RepoError> {
    let Some(cut) = Cut::of(question.range) else { return Ok(Vec::new()) };
    let query = sql_query(cut.into_sql(conn, question.limit));
    let (provider, model) = match &question.after {
        None => ("", ""),
        Some(place) => {
            (place.provider_id.as_ref().map_or("", ProviderId::as_str), place.model.as_str())
        }
    };
    let rows: Vec<UsageSumRow> = on_backend!(conn, |conn| {
        query.bind::<Text, _>(provider).bind::<Text, _>(model).load(conn)
    })?;
    Ok(rows.into_iter().map(UsageTotals::try_from).collect::<Result<_, _>>()?)
}

/// Deletes the oldest hour that began before `before`. Says how many rows it had; none: there is none
/// left.
pub fn purge(conn: &mut DbConnection, before: Timestamp) -> QueryResult<usize> {
    let oldest: Option<i64> = usage_hours::table.select(min(usage_hours::hour)).first(conn)?;
    let Some(oldest) = oldest.filter(|hour| *hour < before.as_millis()) else { return Ok(0) };
    diesel::delete(usage_hours::table.filter(usage_hours::hour.eq(oldest))).execute(conn)
}

fn hour_of(at: i64) -> i64 {
    at.div_euclid(HOUR_MS).saturating_mul(HOUR_MS)
}

/// The first full hour from here on.
fn next_hour(at: i64) -> i64 {
    let hour = hour_of(at);
    if hour == at { at } else { hour.saturating_add(HOUR_MS) }
}

/// A range as hours, and entries where it does not begin or end on the hour.
#[derive(Debug, PartialEq, Eq)]
struct Cut {
    hours: Range<i64>,
    /// Entries to count besides.
    added: Range<i64>,
    /// Entries that the hours hold and the range does not. A range that ends now has none, however
    /// many the last hour holds.
    taken: Range<i64>,
}

impl Cut {
    /// `None`: the range is empty.
    fn of(range: UsageRange) -> Option<Self> {
        let (from, until) = (range.from.as_millis(), range.until.as_millis());
        if from >= until {
            return None;
        }
        let first = next_hour(from);
        if first > until {
            return Some(Self { hours: 0..0, added: from..until, taken: 0..0 });
        }
        let end = next_hour(until);
        Some(Self { hours: first..end, added: from..first, taken: until..end })
    }

    /// The question in one statement, which sees hours and entries as of the same moment.
    fn into_sql(self, conn: &DbConnection, limit: usize) -> String {
        // Both databases then sort alike, by bytes.
        let collate = match conn {
            DbConnection::Sqlite(_) => "COLLATE BINARY",
            DbConnection::Postgres(_) => "COLLATE \"C\"",
        };
        let mut parts = vec![format!(
            "SELECT provider_id {collate} AS provider_id, model {collate} AS model, requests, \
             completed, failed, cancelled, unreported, estimated, tokens_input, tokens_cache_read, \
             tokens_cache_write_5m, tokens_cache_write_1h, tokens_output, completed_ms \
             FROM usage_hours WHERE hour >= {} AND hour < {}",
            self.hours.start, self.hours.end
        )];
        for (sign, range) in [(1, self.added), (-1, self.taken)] {
            if range.is_empty() {
                continue;
            }
            let count = |what: &str| format!("CASE WHEN {what} THEN {sign} ELSE 0 END");
            parts.push(format!(
                "SELECT COALESCE(provider_id, '') {collate}, \
                 COALESCE(upstream_model, model) {collate}, {sign}, \
                 {}, {}, {}, {}, {}, {sign} * tokens_input, {sign} * tokens_cache_read, \
                 {sign} * tokens_cache_write_5m, {sign} * tokens_cache_write_1h, \
                 {sign} * tokens_output, \
                 CASE WHEN outcome = 'completed' THEN {sign} * duration_ms ELSE 0 END \
                 FROM usage_entries WHERE at >= {} AND at < {}",
                count("outcome = 'completed'"),
                count("outcome = 'failed'"),
                count("outcome = 'cancelled'"),
                count("outcome = 'completed' AND tokens_input IS NULL"),
                count("usage_estimated"),
                range.start,
                range.end
            ));
        }
        let sums = [
            "requests",
            "completed",
            "failed",
            "cancelled",
            "unreported",
            "estimated",
            "tokens_input",
            "tokens_cache_read",
            "tokens_cache_write_5m",
            "tokens_cache_write_1h",
            "tokens_output",
            "completed_ms",
        ];
        // PostgreSQL makes the sum of big integers a decimal, and a column without a value is no sum.
        let sums = sums.map(|sum| format!("CAST(COALESCE(SUM({sum}), 0) AS BIGINT) AS {sum}"));
        format!(
            "SELECT provider_id, model, {} FROM ({}) AS parts \
             WHERE (provider_id, model) > ($1 {collate}, $2 {collate}) \
             GROUP BY provider_id, model HAVING SUM(requests) <> 0 \
             ORDER BY provider_id, model LIMIT {limit}",
            sums.join(", "),
            parts.join(" UNION ALL ")
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    use super::*;
    use crate::{
        domain::{
            failure::FailureClass,
            id::ModelName,
            usage::{Outcome, TokenUsage},
        },
        persistence::{
            Corrupt,
            repo::usage::{append, purge as purge_entries, tests::entry},
            testing::on_every_database,
        },
    };

    fn range(from: i64, until: i64) -> UsageRange {
        UsageRange { from: Timestamp::from_millis(from), until: Timestamp::from_millis(until) }
    }

    fn whole(range: UsageRange) -> UsageQuestion {
        UsageQuestion { range, after: None, limit: 1_000 }
    }

    /// What entries add up to, found by looking at each.
    fn plain_sum(entries: &[UsageEntry], range: UsageRange) -> Vec<UsageTotals> {
        let mut rows = BTreeMap::new();
        for entry in entries.iter().filter(|it| it.at >= range.from && it.at < range.until) {
            let key = (entry.provider_id.clone(), entry.summed_model().clone());
            let total = rows.entry(key).or_insert(UsageTotals {
                provider_id: entry.provider_id.clone(),
                model: entry.summed_model().clone(),
                requests: 0,
                completed: 0,
                failed: 0,
                cancelled: 0,
                unreported: 0,
                estimated: 0,
                tokens: TokenUsage::default(),
                // The sum, until the end.
                mean_duration_ms: Some(0),
            });
            total.requests += 1;
            match entry.outcome {
                Outcome::Completed => {
                    total.completed += 1;
                    total.unreported += u64::from(entry.tokens.is_none());
                    *total.mean_duration_ms.as_mut().unwrap() += entry.duration_ms;
                }
                Outcome::Failed => total.failed += 1,
                Outcome::Cancelled => total.cancelled += 1,
            }
            total.estimated += u64::from(entry.usage_estimated);
            total.tokens = total.tokens.plus(entry.tokens.unwrap_or_default());
        }
        let mean = |total: UsageTotals| UsageTotals {
            mean_duration_ms: total.mean_duration_ms.unwrap().checked_div(total.completed),
            ..total
        };
        rows.into_values().map(mean).collect()
    }

    /// Some entries over five hours, many of them on the hour or next to it.
    fn some_entries(random: &mut StdRng) -> Vec<UsageEntry> {
        let some = |random: &mut StdRng| {
            let near_the_hour = random.random_range(0..5) * HOUR_MS + random.random_range(-2..=2);
            let anywhere = random.random_range(0..5 * HOUR_MS);
            let at = if random.random() { near_the_hour.max(0) } else { anywhere };
            let provider = ["acme", "a-b", ""][random.random_range(0..3)];
            let tokens =
                TokenUsage { input: random.random_range(0..99), ..entry(0).tokens.unwrap() };
            UsageEntry {
                provider_id: ProviderId::parse(provider).ok(),
                model: ModelName::parse(["fast", "Fast", "_x"][random.random_range(0..3)]).unwrap(),
                upstream_model: ModelName::parse(["", "Fast", "up"][random.random_range(0..3)])
                    .ok(),
                outcome: [Outcome::Completed, Outcome::Failed, Outcome::Cancelled]
                    [random.random_range(0..3)],
                tokens: random.random::<bool>().then_some(tokens),
                usage_estimated: random.random(),
                duration_ms: random.random_range(0..1_000),
                ..entry(at)
            }
        };
        (0..200).map(|_| some(random)).collect()
    }

    #[test]
    fn hours_and_edges_add_up_to_what_the_entries_do_over_any_range() {
        let seed = rand::random();
        println!("seed {seed}");
        on_every_database(|database| {
            let (mut conn, mut random) = (database.conn(), StdRng::seed_from_u64(seed));
            let entries = some_entries(&mut random);
            for part in entries.chunks(30) {
                append(&mut conn, part).unwrap();
            }
            append(&mut conn, &entries[..50]).unwrap();
            let mut edges = vec![0, HOUR_MS, 3 * HOUR_MS, 5 * HOUR_MS, i64::MAX];
            edges.extend((0..30).map(|_| random.random_range(0..6 * HOUR_MS)));
            edges.extend(entries.iter().take(20).map(|entry| entry.at.as_millis()));
            for _ in 0..150 {
                let mut edge = || edges[random.random_range(0..edges.len())];
                let range = range(edge(), edge());
                let summed = summarize(&mut conn, &whole(range)).unwrap();
                assert_eq!(summed, plain_sum(&entries, range), "{range:?}");
            }
        });
    }

    proptest! {
        #[test]
        fn a_cut_covers_the_range_and_nothing_else(
            from in 0..4 * HOUR_MS, length in 1..4 * HOUR_MS, at in 0..9 * HOUR_MS
        ) {
            let until = from + length;
            let cut = Cut::of(range(from, until)).unwrap();
            let counted = i32::from(cut.hours.contains(&hour_of(at)))
                + i32::from(cut.added.contains(&at)) - i32::from(cut.taken.contains(&at));
            prop_assert_eq!(counted, i32::from((from..until).contains(&at)));
        }
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        on_every_database(|database| {
            let mut conn = database.conn();
            let named = |(n, provider): (i64, &str)| UsageEntry {
                provider_id: ProviderId::parse(provider).ok(),
                upstream_model: ModelName::parse(&format!("m{n}")).ok(),
                // Some in the hour that is cut, some in whole ones.
                ..entry(n * HOUR_MS / 2)
            };
            let entries: Vec<_> =
                (0..9).flat_map(|n| ["", "acme", "b-2"].map(|id| named((n, id)))).collect();
            append(&mut conn, &entries).unwrap();
            let all = summarize(&mut conn, &whole(range(7, HOUR_MS * 9))).unwrap();
            assert_eq!(all.len(), 24);
            let (mut paged, mut after) = (Vec::new(), None);
            loop {
                let question = UsageQuestion { range: range(7, HOUR_MS * 9), after, limit: 5 };
                let page = summarize(&mut conn, &question).unwrap();
                assert!(page.len() <= 5);
                let Some(last) = page.last() else { break };
                after = Some(last.place());
                paged.extend(page);
            }
            assert_eq!(paged, all);
        });
    }

    #[test]
    fn hours_outlive_entries_until_they_are_purged_themselves() {
        on_every_database(|database| {
            let mut conn = database.conn();
            let all = whole(range(0, i64::MAX));
            let requests = |conn: &mut DbConnection| {
                let totals = summarize(conn, &all).unwrap();
                totals.iter().map(|total| total.requests).sum::<u64>()
            };
            let entries: Vec<_> = (0..6).map(|n| entry(n * HOUR_MS + 7)).collect();
            append(&mut conn, &entries).unwrap();
            let before = Timestamp::from_millis(3 * HOUR_MS);
            assert_eq!(purge_entries(&mut conn, before, 100).unwrap(), 3);
            assert_eq!(requests(&mut conn), 6);
            let purged: Vec<_> = (0..4).map(|_| purge(&mut conn, before).unwrap()).collect();
            assert_eq!(purged, [1, 1, 1, 0]);
            assert_eq!(requests(&mut conn), 3);
        });
    }

    #[test]
    fn a_migration_sums_up_what_is_there() {
        on_every_database(|database| {
            let mut conn = database.conn();
            let seed = rand::random();
            println!("seed {seed}");
            let mut entries = some_entries(&mut StdRng::seed_from_u64(seed));
            entries[0].failure = Some(FailureClass::Server);
            append(&mut conn, &entries).unwrap();
            crate::persistence::migrate::tests::redo_from(&mut conn, "usage_hours");
            let range = range(0, 4 * HOUR_MS);
            assert_eq!(summarize(&mut conn, &whole(range)).unwrap(), plain_sum(&entries, range));
        });
    }

    #[test]
    fn a_value_nobody_understands_is_named_by_table_row_and_column() {
        on_every_database(|database| {
            let mut conn = database.conn();
            append(&mut conn, &[entry(1)]).unwrap();
            for (change, column) in
                [("completed = 0", "requests"), ("tokens_output = -1", "tokens_output")]
            {
                let update = format!("UPDATE usage_hours SET {change}");
                sql_query(update).execute(&mut *conn).unwrap();
                let expected =
                    Corrupt { table: "usage_hours", row: "acme/vendor/fast-1".into(), column };
                let read = summarize(&mut conn, &whole(range(0, HOUR_MS))).err();
                assert!(matches!(read, Some(RepoError::Corrupt(corrupt)) if corrupt == expected));
                sql_query("UPDATE usage_hours SET completed = 1").execute(&mut *conn).unwrap();
            }
        });
    }
}
