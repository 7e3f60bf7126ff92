use std::sync::mpsc;

use actix::System;
use diesel::connection::SimpleConnection as _;
use secrecy::ExposeSecret as _;

use super::*;
use crate::{
    crypto::master_key::MasterKey,
    domain::{
        credential::StoredSecret,
        provider::{Origin, ProviderSettings, SecretHeader, StoredHeaders},
        usage::UsageRange,
    },
    persistence::{
        migrate,
        testing::{POOL_SIZE, TestDatabase, on_every_database},
    },
};

fn sealer() -> Arc<Sealer> {
    Arc::new(Sealer::new(&MasterKey::generate().unwrap()))
}

fn start(database: &TestDatabase, sealer: &Arc<Sealer>) -> DbHandle {
    let on_restart: OnRestart = Arc::new(|_| ());
    let (pool, sealer) = (database.pool.clone(), Arc::clone(sealer));
    DbHandle::start(pool, &database.connector, sealer, 2, on_restart)
}

/// A database in memory with one thread, and what it says of restarts.
fn start_in_memory() -> (DbHandle, mpsc::Receiver<&'static str>) {
    let pool = crate::persistence::connection::open(":memory:", 1).unwrap();
    migrate::run(&mut pool.get().unwrap()).unwrap();
    let (restarted, restarts) = mpsc::channel();
    let on_restart: OnRestart = Arc::new(move |actor| restarted.send(actor).unwrap());
    let connector = Connector::to(":memory:").unwrap();
    (DbHandle::start(pool, &connector, sealer(), 4, on_restart), restarts)
}

fn provider(headers: Option<StoredHeaders>) -> StoredProvider {
    let at = Timestamp::from_millis(1);
    StoredProvider {
        id: ProviderId::parse("acme").unwrap(),
        custom: true,
        settings: ProviderSettings { headers, ..ProviderSettings::default() },
        detected_formats: None,
        last_error: None,
        created_at: at,
        updated_at: at,
    }
}

fn headers(value: &str) -> StoredHeaders {
    StoredHeaders::Open(vec![SecretHeader { name: "x-team".into(), value: value.into() }])
}

async fn stored_headers(db: &DbHandle) -> Option<StoredHeaders> {
    db.load_providers().await.unwrap().rows.remove(0).settings.headers
}

async fn header_value(db: &DbHandle) -> Option<String> {
    match stored_headers(db).await? {
        StoredHeaders::Open(headers) => Some(headers[0].value.expose_secret().to_owned()),
        StoredHeaders::Locked { key_id } => panic!("locked under {key_id}"),
    }
}

fn credential(id: &str) -> Credential {
    Credential {
        id: id.into(),
        provider_id: ProviderId::parse("acme").unwrap(),
        settings: CredentialSettings::default(),
        origin: Origin::Api,
        secret: StoredSecret::open("sk-plain"),
        mask: "****".into(),
        fingerprint: "f1".into(),
        created_at: Timestamp::from_millis(1),
    }
}

#[test]
fn headers_are_saved_changed_and_removed() {
    on_every_database(|database| {
        System::new().block_on(async {
            let db = start(database, &sealer());
            db.save_provider(provider(Some(headers("one")))).await.unwrap();
            assert_eq!(header_value(&db).await.as_deref(), Some("one"));
            db.save_provider(provider(Some(headers("two")))).await.unwrap();
            assert_eq!(header_value(&db).await.as_deref(), Some("two"));
            db.save_provider(provider(Some(StoredHeaders::Open(vec![])))).await.unwrap();
            assert_eq!(header_value(&db).await, None);
            db.save_provider(provider(Some(headers("three")))).await.unwrap();
            db.save_provider(provider(None)).await.unwrap();
            assert_eq!(header_value(&db).await, None);
        });
    });
}

#[test]
fn locked_headers_survive_every_change_but_new_headers() {
    on_every_database(|database| {
        System::new().block_on(async {
            let (ours, theirs) = (sealer(), sealer());
            let (db, other) = (start(database, &ours), start(database, &theirs));
            other.save_provider(provider(Some(headers("theirs")))).await.unwrap();

            let read = stored_headers(&db).await;
            assert!(
                matches!(&read, Some(StoredHeaders::Locked { key_id }) if key_id == theirs.key_id())
            );
            db.save_provider(provider(read)).await.unwrap();
            db.save_provider(provider(None)).await.unwrap();
            assert_eq!(header_value(&other).await.as_deref(), Some("theirs"));

            db.save_provider(provider(Some(headers("ours")))).await.unwrap();
            assert_eq!(header_value(&db).await.as_deref(), Some("ours"));
        });
    });
}

#[test]
fn a_credential_opens_under_its_key_and_is_locked_under_another() {
    on_every_database(|database| {
        System::new().block_on(async {
            let sealed_with = sealer();
            let (db, other) = (start(database, &sealed_with), start(database, &sealer()));
            db.insert_credential(credential("c1")).await.unwrap();
            assert_eq!(db.insert_credential(credential("c2")).await, Err(DbError::Duplicate));

            let read = db.load_credentials().await.unwrap().remove(0);
            assert!(matches!(&read.secret, StoredSecret::Open(secret) if secret.expose_secret() == "sk-plain"));
            let locked = other.load_credentials().await.unwrap().remove(0);
            let key_id = sealed_with.key_id().to_owned();
            assert!(matches!(&locked.secret, StoredSecret::Locked { key_id: by } if *by == key_id));
            assert_eq!(other.insert_credential(locked).await, Err(DbError::Locked { key_id }));
            assert!(db.delete_credential("c1".into()).await.unwrap());
        });
    });
}

#[test]
fn a_panic_is_told_rolled_back_and_survived() {
    System::new().block_on(async {
        let (db, restarts) = start_in_memory();
        let panicked = db.run::<(), DbError>(|conn| {
            diesel::Connection::transaction(conn, |conn| {
                providers::delete(conn, &ProviderId::parse("acme").unwrap())?;
                credentials::insert(
                    conn,
                    &secrets::seal_credential(&sealer(), &credential("c1"))?,
                )?;
                panic!("asked to")
            })
        });
        assert_eq!(panicked.await, Err(DbError::Panicked));
        assert_eq!(restarts.recv(), Ok("db"));
        assert!(db.load_credentials().await.unwrap().is_empty(), "half a query was committed");
        db.insert_credential(credential("c2")).await.unwrap();
    });
}

#[cfg(feature = "fault-injection")]
#[test]
fn a_crash_is_survived_by_the_data_of_others() {
    System::new().block_on(async {
        let (db, restarts) = start_in_memory();
        db.insert_credential(credential("c1")).await.unwrap();
        for _ in 0..3 {
            assert_eq!(db.crash().await, Err(DbError::Panicked));
            assert_eq!(restarts.recv(), Ok("db"));
        }
        assert_eq!(db.load_credentials().await.unwrap().len(), 1);
        assert_eq!(db.waiting.available_permits(), MAX_WAITING);
    });
}

#[test]
fn more_than_may_wait_are_turned_away_at_once() {
    System::new().block_on(async {
        let (db, _restarts) = start_in_memory();
        let all = u32::try_from(MAX_WAITING).unwrap();
        let places = Arc::clone(&db.waiting).try_acquire_many_owned(all).unwrap();
        assert_eq!(db.ping().await, Err(DbError::Busy));
        drop(places);
        assert_eq!(db.ping().await, Ok(()));
    });
}

/// Keeps the only thread of a database busy until told to go on. Given when the thread has begun.
async fn occupy(db: &DbHandle) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<(), DbError>>) {
    let (release, held) = mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let db = db.clone();
    let slow = actix::spawn(async move {
        db.run(move |conn| {
            begun.send(()).expect("waited for below");
            held.recv().expect("released by the test");
            ping(conn)
        })
        .await
    });
    begins.await.unwrap();
    (release, slow)
}

#[test]
fn a_person_waits_no_longer_than_the_bound_and_what_was_given_up_is_never_done() {
    System::new().block_on(async {
        let (db, _restarts) = start_in_memory();
        let (release, slow) = occupy(&db).await;
        tokio::time::pause();
        let started = tokio::time::Instant::now();

        let queued = db.insert_credential(credential("c1")).await;

        // The clock is virtual: it stands still but for what somebody waits for.
        assert!(started.elapsed() < std::time::Duration::from_secs(2));
        assert_eq!(queued, Err(DbError::Late));
        assert_eq!(slow.await.unwrap(), Err(DbError::Timeout));
        tokio::time::resume();
        release.send(()).unwrap();
        assert_eq!(db.ping().await, Ok(()));
        assert!(db.load_credentials().await.unwrap().is_empty(), "it was done after all");
    });
}

#[test]
fn a_write_that_others_keep_from_beginning_changes_nothing_and_says_so() {
    on_every_database(|database| {
        System::new().block_on(async {
            let db = start(database, &sealer());
            let mut other = database.conn();
            let hold = match &mut *other {
                DbConnection::Sqlite(_) => "BEGIN EXCLUSIVE",
                DbConnection::Postgres(_) => "BEGIN; LOCK TABLE credentials",
            };
            other.batch_execute(hold).unwrap();

            let refused = db.insert_credential(credential("c1")).await;

            assert!(matches!(refused, Err(DbError::Taken(_))), "{refused:?}");
            assert_eq!(db.ping().await, Ok(()), "a sign of life waits for the locks of others");
            other.batch_execute("ROLLBACK").unwrap();
            assert!(db.load_credentials().await.unwrap().is_empty());
            assert_eq!(db.insert_credential(credential("c1")).await, Ok(()));
        });
    });
}

#[test]
fn summaries_leave_threads_to_others_and_readiness_waits_for_none() {
    on_every_database(|database| {
        System::new().block_on(async {
            let db = start(database, &sealer());
            let _places = Arc::clone(&db.summaries).try_acquire_many_owned(1).unwrap();
            let question = UsageQuestion {
                range: UsageRange {
                    from: Timestamp::from_millis(0),
                    until: Timestamp::from_millis(1),
                },
                after: None,
                limit: 1,
            };
            let waiting: Vec<_> = (0..MAX_WAITING_SUMMARIES)
                .map(|_| {
                    let (db, question) = (db.clone(), question.clone());
                    actix::spawn(async move { db.summarize_usage(question).await })
                })
                .collect();
            while db.waiting_summaries.available_permits() > 0 {
                tokio::task::yield_now().await;
            }

            assert_eq!(db.summarize_usage(question).await, Err(DbError::Busy));
            db.insert_credential(credential("c1")).await.unwrap();
            db.ping().await.unwrap();
            waiting.iter().for_each(tokio::task::JoinHandle::abort);
        });
    });
}

#[test]
fn a_sign_of_life_does_not_wait_for_connections_or_threads() {
    on_every_database(|database| {
        System::new().block_on(async {
            let db = start(database, &sealer());
            let _all: Vec<_> = (0..POOL_SIZE).map(|_| database.conn()).collect();
            let all = u32::try_from(MAX_WAITING).unwrap();
            let _places = Arc::clone(&db.waiting).try_acquire_many_owned(all).unwrap();
            assert_eq!(db.ping().await, Ok(()));
        });
    });
}

#[test]
fn a_purge_takes_a_part_at_a_time() {
    System::new().block_on(async {
        let (db, _restarts) = start_in_memory();
        let entries: Vec<_> = (0..PURGE_AT_ONCE * 2 + 7).map(usage::tests::entry).collect();
        db.append_usage(entries).await.unwrap();
        let before = Timestamp::from_millis(PURGE_AT_ONCE + 1);
        let mut parts = Vec::new();
        for _ in 0..3 {
            parts.push(db.purge_usage(before).await.unwrap());
        }
        assert_eq!(parts, [1_000, 1, 0]);
        assert_eq!(db.count_usage().await.unwrap(), 1_006);
    });
}
