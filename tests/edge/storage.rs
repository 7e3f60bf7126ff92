//! What is on the disk: damaged files are told and lose nothing else, no clock deletes the ledger, nobody
//! else can read it, and a full disk or a database that is away is said.

use std::{
    fs,
    os::unix::fs::{FileExt as _, MetadataExt as _, symlink},
    path::Path,
    process::Command,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};
use providerpool::{
    domain::{
        id::{ModelName, RequestId},
        time::Timestamp,
        usage::{Outcome, TokenUsage, UsageEntry},
    },
    persistence::{connection::open, repo},
};
use serde_json::{Value, json};

use crate::{
    scripted::{Scripted, json as scripted_json},
    support::{
        Workplace, binary,
        http::{Answer, Events, ask, get},
    },
    wait::until,
};

const DATABASE: &str = "data/providerpool.db";
const DAY: Duration = Duration::from_hours(24);

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

fn entry(at: Timestamp, model: &str) -> UsageEntry {
    UsageEntry {
        request_id: RequestId::generate(),
        at,
        client_key_id: "0123456789ab".into(),
        model: ModelName::parse(model).unwrap(),
        provider_id: None,
        upstream_model: None,
        credential_id: None,
        outcome: Outcome::Completed,
        failure: None,
        streamed: false,
        attempts: 1,
        tokens: Some(TokenUsage { input: 3, output: 4, ..TokenUsage::default() }),
        usage_estimated: false,
        first_event_ms: None,
        duration_ms: 5,
    }
}

fn lines(entries: &[UsageEntry]) -> String {
    entries.iter().map(|entry| serde_json::to_string(entry).unwrap() + "\n").collect()
}

fn requests(usage: &Answer) -> u64 {
    let totals = usage.json()["totals"].clone();
    totals.as_array().unwrap().iter().map(|total| total["requests"].as_u64().unwrap()).sum()
}

/// How many entries are on the ledger, whatever the totals say.
fn count_entries(workplace: &Workplace) -> u64 {
    let pool = open(workplace.path(DATABASE).to_str().unwrap(), 1).unwrap();
    repo::usage::count(&mut pool.get().unwrap()).unwrap()
}

/// A connection that waits for the pool's own.
fn connect(path: &Path) -> SqliteConnection {
    let mut other = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    other.batch_execute("PRAGMA busy_timeout = 20000").unwrap();
    other
}

/// Brings what is in the write-ahead log into the file.
fn write_out(path: &Path) {
    connect(path).batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

/// A workplace with a database that has something in it, and nothing beside it.
fn with_database() -> Workplace {
    let workplace = Workplace::new("");
    workplace.create_key("admin");
    write_out(&workplace.path(DATABASE));
    workplace
}

/// What is done to a database file.
type Spoil = fn(&Path);

#[test]
fn a_damaged_database_is_told_with_what_to_do_and_left_as_it_is() {
    let spoils: [(&str, Spoil); 4] = [
        ("header", |path| write_at(path, 0, &[0xA5; 100])),
        ("middle page", |path| {
            write_at(path, path.metadata().unwrap().len() / 8192 * 4096, &[0xA5; 4096]);
        }),
        ("truncated", |path| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(path.metadata().unwrap().len() / 2).unwrap();
        }),
        ("not SQLite", |path| fs::write(path, "dear diary, ".repeat(1_000)).unwrap()),
    ];
    for ((name, spoil), was_killed) in spoils.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let workplace = with_database();
        let path = workplace.path(DATABASE);
        let wal = workplace.path(&format!("{DATABASE}-wal"));
        if was_killed {
            let mut process = workplace.serve();
            workplace.create_key("viewer");
            process.kill();
            assert!(wal.metadata().unwrap().len() > 0, "what was written last is not beside it");
        }
        spoil(&path);
        // To look at a file SQLite may put an empty one beside it.
        let files = || (fs::read(&path).unwrap(), fs::read(&wal).unwrap_or_default());
        let spoilt = files();
        for command in [&["serve", "--bind", "127.0.0.1:0"][..], &["migrate"], &["keys", "list"]] {
            let refused = workplace.run(command);
            assert_eq!(refused.code, Some(1), "{name}: {command:?}: {}", refused.stderr);
            for words in ["the database data/providerpool.db is damaged (", ".recover", "backup"] {
                assert!(refused.stderr.contains(words), "{name}: {}", refused.stderr);
            }
        }
        assert!(files() == spoilt, "{name}, killed: {was_killed}: it was changed");
    }
}

fn write_at(path: &Path, place: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, place).unwrap();
}

#[test]
fn a_database_that_was_emptied_is_not_taken_for_a_new_one() {
    let workplace = with_database();
    workplace.serve().kill();
    for end in ["-wal", "-shm"] {
        fs::remove_file(workplace.path(&format!("{DATABASE}{end}"))).unwrap();
    }
    fs::write(workplace.path(DATABASE), "").unwrap();

    let refused = workplace.run(&["serve", "--bind", "127.0.0.1:0"]);

    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("is empty, and this pool has been running before"));
    fs::remove_file(workplace.path(DATABASE)).unwrap();
    workplace.serve();
}

#[test]
fn damage_that_is_met_while_the_pool_runs_is_told_and_the_next_start_says_what_to_do() {
    let workplace = Workplace::new("");
    let admin = workplace.create_key("admin");
    let mut pool = workplace.serve();
    let mut events = Events::subscribe(pool.address, &admin, "system");
    let path = workplace.path(DATABASE);
    write_out(&path);
    write_at(&path, 0, &vec![0xA5; usize::try_from(path.metadata().unwrap().len()).unwrap()]);

    until(|| {
        let ready = get(pool.address, "/health/ready", "");
        (ready.status == 503 && ready.json()["database"] == false).then_some(())
    });

    events.wait_for("system.database_damaged");
    assert_eq!(get(pool.address, "/health/live", "").status, 200);
    pool.kill();
    let refused = workplace.run(&["serve", "--bind", "127.0.0.1:0"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("is damaged"), "{}", refused.stderr);
}

#[test]
fn what_is_used_after_damage_was_met_stays_in_the_journal_until_a_backup_is_there() {
    let upstream = Scripted::start(|_| {
        let message = r#"{"role":"assistant","content":"hi"}"#;
        scripted_json(
            200,
            "",
            &format!(
                r#"{{"id":"1","object":"chat.completion","created":0,"model":"m","choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":1,"completion_tokens":1}}}}"#
            ),
        )
    });
    let workplace = Workplace::new(&format!(
        r#"
        [[providers]]
        id = "upstream"
        base_url = "http://{}/v1"
        location = "local"
        models = [{{ name = "m" }}]
        "#,
        upstream.address
    ));
    let (admin, client) = (workplace.create_key("admin"), workplace.create_key("client"));
    let path = workplace.path(DATABASE);
    write_out(&path);
    let backup = fs::read(&path).unwrap();
    let mut pool = workplace.serve();
    write_out(&path);
    write_at(&path, 0, &vec![0xA5; usize::try_from(path.metadata().unwrap().len()).unwrap()]);
    until(|| {
        let ready = get(pool.address, "/health/ready", "");
        (ready.status == 503 && ready.json()["database"] == false).then_some(())
    });
    let question = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    for _ in 0..3 {
        let answer = ask(pool.address, "POST /v1/chat/completions", &client, question);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    pool.terminate();
    pool.ended();

    for end in ["-wal", "-shm"] {
        // They may be gone already.
        let _ = fs::remove_file(workplace.path(&format!("{DATABASE}{end}")));
    }
    fs::write(&path, backup).unwrap();
    let pool = workplace.serve();
    until(|| (requests(&get(pool.address, "/api/v1/usage", &admin)) == 3).then_some(()));
}

#[test]
fn a_journal_file_that_cannot_be_read_keeps_none_of_the_others_out() {
    let workplace = Workplace::new("");
    let admin = workplace.create_key("admin");
    let journal = workplace.path("data/journal");
    fs::create_dir_all(&journal).unwrap();
    let some = |count: usize| {
        lines(&vec![(); count].iter().map(|()| entry(now(), "m")).collect::<Vec<_>>())
    };
    fs::write(journal.join("run0-1.closed"), some(3)).unwrap();
    // Whoever runs the test, this cannot be read.
    fs::create_dir(journal.join("run0-2.closed")).unwrap();
    let torn = some(1);
    fs::write(journal.join("run0-3.open"), format!("{}{}\n{}", some(1), &torn[..50], some(1)))
        .unwrap();
    fs::write(journal.join("run0-4.closed"), some(1)).unwrap();

    let pool = workplace.serve();

    assert_eq!(requests(&get(pool.address, "/api/v1/usage", &admin)), 6);
    let mut events = Events::subscribe(pool.address, &admin, "system");
    events.wait_for("system.journal_damaged");
    events.wait_for("system.journal_damaged");
    let metrics = get(pool.address, "/metrics", &admin);
    assert!(metrics.body.contains("providerpool_journal_files_damaged_total 2"));
    let mut left: Vec<_> =
        fs::read_dir(&journal).unwrap().map(|it| it.unwrap().file_name()).collect();
    left.retain(|name| name.to_string_lossy().starts_with("run0"));
    left.sort();
    assert_eq!(left, ["run0-2.damaged", "run0-3.damaged"]);
}

/// Writes entries to a ledger that no pool uses now, and whether a pool has seen the time pass since.
fn write_ledger(workplace: &Workplace, entries: &[UsageEntry], is_seen: bool) {
    let pool = open(workplace.path(DATABASE).to_str().unwrap(), 1).unwrap();
    let mut conn = pool.get().unwrap();
    repo::usage::append(&mut conn, entries).unwrap();
    if is_seen {
        repo::usage::save_retention_time(&mut conn, now()).unwrap();
    }
}

#[test]
fn a_clock_forty_days_ahead_deletes_nothing_not_even_after_it_has_written_entries() {
    let workplace = Workplace::new("");
    let admin = workplace.create_key("admin");
    // Seen from there, today's clock is ahead.
    write_ledger(
        &workplace,
        &[entry(now().minus(DAY * 40), "m"), entry(now().minus(DAY * 41), "m")],
        false,
    );

    for entries in 2..5 {
        let mut pool = workplace.serve();
        Events::subscribe(pool.address, &admin, "system").wait_for("system.clock_ahead");
        assert_eq!(count_entries(&workplace), entries);
        pool.kill();
        write_ledger(&workplace, &[entry(now(), "m")], false);
    }
}

#[test]
fn what_is_past_its_retention_goes_and_is_told_and_its_totals_stay() {
    let workplace = Workplace::new("");
    let admin = workplace.create_key("admin");
    let mut entries = vec![entry(now(), "m")];
    entries.extend((0..1_500).map(|_| entry(now().minus(DAY * 31), "m")));
    write_ledger(&workplace, &entries, true);

    let pool = workplace.serve();

    Events::subscribe(pool.address, &admin, "usage").wait_for("usage.purged");
    assert_eq!(count_entries(&workplace), 1);
    assert_eq!(requests(&get(pool.address, "/api/v1/usage?period=month", &admin)), 1);
    assert_eq!(requests(&get(pool.address, "/api/v1/usage?period=all", &admin)), 1_501);
}

#[test]
fn nothing_in_the_data_directory_is_open_to_others_whatever_the_mask_says() {
    // Nobody listens there.
    let workplace = Workplace::new(
        r#"
        [[providers]]
        id = "upstream"
        base_url = "http://127.0.0.1:1/v1"
        location = "local"
        models = [{ name = "m" }]
        "#,
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(binary());
    let mut pool =
        workplace.listening(workplace.prepared(shell, &["serve", "--bind", "127.0.0.1:0"]));
    let key = pool.line_with("client key").split("ppk_").nth(1).unwrap().trim().to_owned();
    let question = r#"{"model":"m","messages":[{"role":"user","content":"Say hello."}]}"#;
    let answer = ask(pool.address, "POST /v1/chat/completions", &format!("ppk_{key}"), question);
    assert!(answer.status >= 500, "{}", answer.body);

    let mut seen = Vec::new();
    for folder in [workplace.path("data"), workplace.path("data/journal")] {
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700, "{folder:?}");
        for file in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (name, found) = (file.file_name(), file.metadata().unwrap());
            if found.is_file() {
                assert_eq!(found.mode() & 0o777, 0o600, "{name:?}");
                seen.push(name.into_string().unwrap());
            }
        }
    }
    for wanted in [".open", ".db", "master.key", "lock"] {
        assert!(seen.iter().any(|name| name.ends_with(wanted)), "{wanted} is not in {seen:?}");
    }
}

#[test]
fn readiness_says_when_the_disk_takes_nothing_and_when_it_does_again() {
    let workplace = Workplace::new("");
    let pool = workplace.serve();
    let disk = || get(pool.address, "/health/ready", "").json()["disk"].clone();
    let room = workplace.path("data/journal/room");
    assert_eq!(disk(), true);

    symlink("/dev/full", &room).unwrap();
    until(|| (disk() == false).then_some(()));

    fs::remove_file(&room).unwrap();
    until(|| (disk() == true).then_some(()));
}

#[test]
fn readiness_says_when_there_is_less_room_than_there_must_be() {
    let workplace = Workplace::new("[data]\nmin_free_bytes = 1125899906842624");
    let mut pool = workplace.serve();
    let ready = get(pool.address, "/health/ready", "");
    assert_eq!((ready.status, &ready.json()["disk"]), (503, &json!(false)));
    pool.terminate();
    pool.ended();
    assert!(pool.said().contains("data.min_free_bytes"), "{}", pool.said());
}

#[test]
fn a_change_while_the_database_is_away_is_refused_and_not_made_later() {
    let workplace = Workplace::new("");
    let admin = workplace.create_key("admin");
    let pool = workplace.serve();
    let path = workplace.path(DATABASE);
    let mut other = connect(&path);
    other.batch_execute("BEGIN EXCLUSIVE").unwrap();
    let acme =
        json!({"id": "acme", "name": "acme", "base_url": "https://acme.example/v1"}).to_string();
    let create = |body: &str| ask(pool.address, "POST /api/v1/providers", &admin, body);

    let refused = create(&acme);

    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (503, &json!("database_unavailable"))
    );
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("nothing was changed"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(get(pool.address, "/health/ready", "").json()["database"], true, "it can be read");
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(get(pool.address, "/api/v1/providers/acme", &admin).status, 404);
    assert_eq!(create(&acme).status, 201);
}

#[test]
fn usage_comes_in_pages_and_summaries_at_once_leave_room_for_readiness() {
    let workplace = Workplace::new("");
    let admin = workplace.create_key("admin");
    let entries: Vec<_> =
        (0..250).map(|n| entry(now(), &format!("chosen-by-a-client-{n:03}"))).collect();
    write_ledger(&workplace, &entries, true);
    let pool = workplace.serve();
    let usage = |query: &str| get(pool.address, &format!("/api/v1/usage{query}"), &admin);

    let mut models = Vec::new();
    let mut query = String::new();
    loop {
        let page = usage(&query).json();
        let totals = page["totals"].as_array().unwrap();
        assert!(totals.len() <= 100, "{}", totals.len());
        models.extend(totals.iter().map(|total| total["model"].as_str().unwrap().to_owned()));
        let Value::String(next) = &page["next_cursor"] else { break };
        query = format!("?cursor={next}");
    }
    assert_eq!(models, entries.iter().map(|entry| entry.model.to_string()).collect::<Vec<_>>());
    assert_eq!(usage("?limit=1000").json()["totals"].as_array().unwrap().len(), 250);
    for refused in ["?limit=0", "?limit=1001", "?cursor=acme"] {
        assert_eq!(usage(refused).status, 400, "{refused}");
    }

    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| assert_eq!(usage("?period=all&limit=1000").status, 200));
        }
        let ready = get(pool.address, "/health/ready", "").json();
        assert_eq!((&ready["database"], &ready["disk"]), (&json!(true), &json!(true)));
    });
}
