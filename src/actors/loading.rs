//! Loading what is stored, before an actor handles anything else.

use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, WrapFuture, clock::sleep};

use super::db::DbError;

/// How long to wait before reading the database again, when it did not answer.
const PAUSE: Duration = Duration::from_millis(500);

/// The same when it is damaged: that does not pass by itself.
const DAMAGED_PAUSE: Duration = Duration::from_mins(1);

/// Asks the database with `load` until it answers, then hands the answer to `adopt`. The mailbox
/// waits until then. `what` names it in the log.
pub fn load_first<A, T, L, F>(
    actor: &A,
    ctx: &mut Context<A>,
    what: &'static str,
    load: L,
    adopt: fn(&mut A, T),
) where
    A: Actor<Context = Context<A>>,
    T: 'static,
    L: Fn() -> F + 'static,
    F: Future<Output = Result<T, DbError>> + 'static,
{
    ctx.wait(load().into_actor(actor).map(move |loaded, actor, ctx| match loaded {
        Ok(rows) => adopt(actor, rows),
        Err(error) => {
            tracing::error!(%error, "{what} could not be loaded; trying again");
            let damaged = matches!(error, DbError::Damaged(_));
            let pause = if damaged { DAMAGED_PAUSE } else { PAUSE };
            let pause = sleep(pause).into_actor(actor);
            ctx.wait(pause.map(move |(), actor, ctx| load_first(actor, ctx, what, load, adopt)));
        }
    }));
}
