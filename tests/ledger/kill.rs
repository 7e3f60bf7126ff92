//! The process is killed under load, again and again.

use std::fs;

use crate::{Database, Stage, run};

/// How often the process is killed.
const KILLS: usize = 12;

impl Stage {
    fn kill_under_load(&mut self) {
        let moment = self.clients.random(1..=150);
        run(async {
            let crowd = self.clients.set_on(self.pool.address, usize::MAX);
            crowd.received(moment).await;
            self.pool.kill();
            crowd.gone().await;
        });
    }
}

fn kill_again_and_again(database: Database) {
    let mut stage = Stage::start(database, "");
    for _ in 0..KILLS {
        stage.kill_under_load();
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

/// Every entry then has to be committed to the database before the answer ends.
fn kill_again_and_again_without_a_journal(database: Database) {
    let mut stage = Stage::start(database, "");
    let journal = stage.workplace.path("data/journal");
    for kill in 0..KILLS {
        if kill % 2 == 0 {
            // Files that are being written when they are deleted; before that, what was written to
            // them is brought into the database.
            stage.serve_more();
            stage.recorded();
        }
        fs::remove_dir_all(&journal).unwrap();
        fs::write(&journal, "not a folder").unwrap();
        stage.kill_under_load();
        fs::remove_file(&journal).unwrap();
        stage.restart();
    }
    stage.check_ledger();
}

#[test]
fn what_was_received_whole_survives_kill_9_without_a_journal_on_sqlite() {
    kill_again_and_again_without_a_journal(Database::Sqlite);
}

#[test]
fn what_was_received_whole_survives_kill_9_without_a_journal_on_postgresql() {
    let test = "kill::what_was_received_whole_survives_kill_9_without_a_journal_on_postgresql";
    if let Some(database) = Database::on_postgres(test) {
        kill_again_and_again_without_a_journal(database);
    }
}
