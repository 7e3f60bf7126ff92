//! The process is killed under load, again and again.

use crate::{Database, Stage, run};

/// How often the process is killed.
const KILLS: usize = 12;

fn kill_again_and_again(database: Database) {
    let mut stage = Stage::start(database, "");
    for _ in 0..KILLS {
        let moment = stage.clients.random(1..=150);
        run(async {
            let crowd = stage.clients.set_on(stage.pool.address, usize::MAX);
            crowd.received(moment).await;
            stage.pool.kill();
            crowd.gone().await;
        });
        stage.restart();
    }
    stage.check_ledger();
}

#[test]
fn what_was_received_whole_survives_kill_9_on_sqlite() {
    kill_again_and_again(Database::Sqlite);
}

#[test]
fn what_was_received_whole_survives_kill_9_on_postgresql() {
    let test = "kill::what_was_received_whole_survives_kill_9_on_postgresql";
    if let Some(database) = Database::on_postgres(test) {
        kill_again_and_again(database);
    }
}
