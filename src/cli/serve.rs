//! `providerpool serve`: the pool itself, until it is told to stop.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::greeting;
use crate::{
    app::{App, OnGiveUp},
    config::{Config, Environment},
    telemetry,
};

/// Exit code after an actor panicked so often that going on makes no sense.
const EXIT_GIVEN_UP: i32 = 70;

pub fn run(config: Config, environment: &Environment) -> anyhow::Result<ExitCode> {
    telemetry::init(&config.log)?;
    actix_web::rt::System::new().block_on(async {
        let app = App::start(config, environment, give_up()).await?;
        match (greeting::print(&app), &app.first_keys) {
            (Ok(()), _) => until_told_to_stop(app).await,
            (Err(error), None) => {
                tracing::warn!(%error, "the greeting could not be printed");
                until_told_to_stop(app).await
            }
            (Err(error), Some(keys)) => {
                app.take_back(keys).await.context(
                    "the first keys could not be printed, nor taken back: make others with \
                     'providerpool keys create'",
                )?;
                app.stop().await;
                Err(error).context("cannot print the first keys, which the next start makes anew")
            }
        }
    })
}

/// Ends the process at once: whatever runs it starts it afresh.
pub fn give_up() -> OnGiveUp {
    Arc::new(|actor| {
        tracing::error!(actor, "an actor cannot be kept alive; the process ends");
        std::process::exit(EXIT_GIVEN_UP);
    })
}

/// Waits for SIGTERM or SIGINT and drains. A second signal ends the process without waiting.
pub async fn until_told_to_stop(app: App) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    eprintln!("providerpool: stopping; a second signal stops at once");
    tokio::select! {
        _ = app.stop() => Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => Ok(ExitCode::FAILURE),
        _ = interrupt.recv() => Ok(ExitCode::FAILURE),
    }
}
