//! Nothing is lost: what a client has received whole is on the ledger, once and with the right
//! tokens, whatever happens to the process, the journal or the database.

#![expect(
    clippy::unwrap_used,
    reason = "in tests, helpers of tests included, it says what is wrong"
)]

mod clients;
mod database;
mod kill;
mod outage;
#[expect(dead_code, reason = "shared with the tests of the commands, which use more of it")]
#[path = "../support/mod.rs"]
mod support;
mod upstream;

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use clients::Clients;
use database::{Database, Row};
use rand::{SeedableRng as _, rngs::StdRng};
use support::{PATIENCE, Process, Workplace, http};

/// A pool with one provider, the database it uses, and the clients that use it.
struct Stage {
    /// Before the workplace, whose files it uses.
    pool: Process,
    clients: Clients,
    database: Database,
    workplace: Workplace,
    admin: String,
}

impl Stage {
    /// The seed is printed, and taken from the variable `LEDGER_SEED` to see the same run again.
    fn start(database: Database, usage: &str) -> Self {
        let given = std::env::var("LEDGER_SEED").ok();
        let seed = given.map_or_else(rand::random, |seed| seed.parse().unwrap());
        println!("LEDGER_SEED={seed}");
        let (upstream, section) = (upstream::start(), database.section());
        let workplace = Workplace::new(&format!(
            r#"
            {section}
            [server]
            workers = 2

            [usage]
            {usage}

            [[providers]]
            id = "upstream"
            base_url = "http://{upstream}/v1"
            location = "local"
            models = [{{ name = "m" }}]
            "#
        ));
        let client = workplace.create_key("client");
        let admin = workplace.create_key("admin");
        let pool = workplace.serve();
        let clients = Clients::new(client, StdRng::seed_from_u64(seed));
        Self { pool, clients, database, workplace, admin }
    }

    /// Has the clients receive some answers more, and waits for it.
    fn serve_more(&self) {
        let enough = self.clients.receipts().len() + 100;
        run(async { self.clients.set_on(self.pool.address, enough).gone().await });
        assert!(self.clients.receipts().len() >= enough);
    }

    /// Waits until every answer received is on the ledger. Only after a restart must it be at once.
    fn recorded(&self) {
        let receipts = self.clients.receipts();
        let received: Vec<String> = receipts.iter().map(|it| it.request_id.clone()).collect();
        self.until_recorded(&received);
    }

    /// Waits until all of these requests are on the ledger.
    fn until_recorded(&self, requests: &[String]) {
        let until = Instant::now() + PATIENCE;
        loop {
            http::get(self.pool.address, "/api/v1/usage", &self.admin);
            let rows = self.database.rows(&self.workplace);
            let ids: HashSet<&str> = rows.iter().map(|row| &*row.request_id).collect();
            let Some(missing) = requests.iter().find(|id| !ids.contains(&***id)) else { return };
            assert!(Instant::now() < until, "not on the ledger: {missing}");
        }
    }

    /// Starts the pool again after its end.
    fn restart(&mut self) {
        self.pool = self.workplace.serve();
    }

    /// Compares what the clients have with what is on the ledger, line by line and in sum.
    fn check_ledger(&self) {
        let answer = http::get(self.pool.address, "/api/v1/usage?period=all", &self.admin);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let rows = self.database.rows(&self.workplace);
        let mut by_id: HashMap<&str, &Row> = HashMap::new();
        let mut by_order: HashMap<i64, &Row> = HashMap::new();
        for row in &rows {
            let twin = by_id.insert(&row.request_id, row);
            assert!(twin.is_none(), "twice on the ledger: {row:?}");
            // An order has its own number of input tokens, so that one counted under two ids shows.
            if let Some(input) = row.input {
                let twin = by_order.insert(input, row);
                assert!(twin.is_none(), "one order counted twice: {row:?} and {twin:?}");
            }
        }
        for receipt in self.clients.receipts().iter() {
            let row = by_id.get(&*receipt.request_id);
            let row = row.unwrap_or_else(|| panic!("not on the ledger: {receipt:?}"));
            assert_eq!(row.outcome, "completed", "{receipt:?}");
            assert_eq!(row.streamed, receipt.order.streamed, "{receipt:?}");
            let (input, output) = (receipt.order.input, receipt.order.output);
            let tokens = (Some(as_stored(input)), Some(as_stored(output)));
            assert_eq!((row.input, row.output), tokens, "{receipt:?}");
        }
        let received = self.clients.receipts().len() as u64;
        let count = rows.len() as u64;
        assert!(received <= count && count <= self.clients.orders());
        println!("{received} answers received whole, {count} entries");
        check_totals(&answer.json(), &rows);
    }
}

fn as_stored(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap()
}

fn check_totals(summary: &serde_json::Value, rows: &[Row]) {
    let totals = summary["totals"].as_array().unwrap();
    let sum = |field: &dyn Fn(&serde_json::Value) -> &serde_json::Value| -> i64 {
        totals.iter().map(|total| field(total).as_i64().unwrap()).sum()
    };
    let count = |outcome: &str| {
        i64::try_from(rows.iter().filter(|row| row.outcome == outcome).count()).unwrap()
    };
    assert_eq!(sum(&|total| &total["requests"]), i64::try_from(rows.len()).unwrap());
    for outcome in ["completed", "failed", "cancelled"] {
        assert_eq!(sum(&|total| &total[outcome]), count(outcome), "{outcome}");
    }
    let tokens = |field: fn(&Row) -> Option<i64>| rows.iter().filter_map(field).sum::<i64>();
    assert_eq!(sum(&|total| &total["tokens"]["input"]), tokens(|row| row.input));
    assert_eq!(sum(&|total| &total["tokens"]["output"]), tokens(|row| row.output));
}

/// Runs the asynchronous part of a test.
fn run<T>(work: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(work)
}
