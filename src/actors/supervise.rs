//! Supervision that survives panics.
//!
//! actix's own supervisor shares the task of its actor, so a panicking handler takes both down. Here
//! the actor is polled inside `catch_unwind`, and a panic is followed by a restart of its context:
//!
//! 1. the message that was being handled is lost, and its asker gets `MailboxError::Closed` at once;
//! 2. futures and intervals spawned into the context are dropped;
//! 3. [`Supervised::restarting`] is called on the same actor value: repair or reload the core there;
//! 4. [`Actor::started`] is called again: spawn intervals there and nowhere else, or they run twice
//!    (handles kept from before the panic are void: their numbers are given again);
//! 5. the messages waiting in the mailbox are handled, in order.
//!
//! Facts are told with `do_send`, past the bound of a mailbox. Requests tell each actor a handful of them, and
//! no more requests are under way than admission lets in; management asks one question for each call, and the
//! calls at once are bounded by the server. Who waits for storage with its mailbox (Registry, Credentials,
//! AccessKeys) is told nothing of requests but what its own documentation bounds.
//!
//! An end on purpose is not undone: `ctx.stop()`, a [`Stop`] message, or the last address dropped.
//! An actor with intervals outlives its last address, as everywhere in actix: send it [`Stop`].

use std::{
    any::Any,
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};

use actix::{
    Actor, ActorContext, Addr, ArbiterHandle, Context, Message, Supervised,
    dev::{
        ContextFut,
        channel::{self, AddressReceiver},
    },
};
use tokio::time::Instant;
use tracing::error;

/// Messages an actor's mailbox takes before senders wait, unless the actor sets another number.
const MAILBOX: usize = 16;

/// Restarts within [`PANIC_WINDOW`] that one actor may have. One more, and it is given up.
const MAX_RESTARTS: usize = 20;

const PANIC_WINDOW: Duration = Duration::from_secs(10);

/// Told the actor's name and how often it has restarted since the start of the process.
pub type OnRestart = dyn Fn(&'static str, u64) + Send + Sync;

/// Told the name of an actor that panics too often to go on.
pub type OnGiveUp = dyn Fn(&'static str) + Send + Sync;

/// Who is told of restarts. One value is shared by all actors.
#[derive(Clone)]
pub struct Watch {
    pub on_restart: Arc<OnRestart>,
    /// The actor is gone after this: end the process, so that whatever runs it starts it afresh.
    pub on_give_up: Arc<OnGiveUp>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// Ends an actor after the messages before it. The reply means that nothing after it is handled.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Makes an actor panic, to test that nothing is lost.
#[cfg(feature = "fault-injection")]
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Crash;

/// Lets an actor be ended by [`Stop`]. For actors with nothing to finish first.
macro_rules! stops_on_request {
    ($actor:ty) => {
        impl ::actix::Handler<$crate::actors::supervise::Stop> for $actor {
            type Result = ();

            fn handle(&mut self, _: $crate::actors::supervise::Stop, ctx: &mut Self::Context) {
                ::actix::ActorContext::stop(ctx);
            }
        }
    };
}
pub(crate) use stops_on_request;

/// Lets tests make an actor panic with [`Crash`]. Expands to nothing in a shipped binary.
macro_rules! crashes_on_request {
    ($actor:ty) => {
        #[cfg(feature = "fault-injection")]
        impl ::actix::Handler<$crate::actors::supervise::Crash> for $actor {
            type Result = ();

            fn handle(&mut self, _: $crate::actors::supervise::Crash, _: &mut Self::Context) {
                panic!("crashed on request");
            }
        }
    };
}
pub(crate) use crashes_on_request;

/// The mailbox of an actor that has not been started yet: two actors that need each other's address
/// get both first, and are started then.
pub struct Unstarted<A: Actor>(AddressReceiver<A>);

/// Makes the address of an actor to come. Messages wait in its mailbox until [`Unstarted::start`].
pub fn unstarted<A>() -> (Addr<A>, Unstarted<A>)
where
    A: Actor<Context = Context<A>>,
{
    let (sender, receiver) = channel::channel(MAILBOX);
    (Addr::new(sender), Unstarted(receiver))
}

impl<A> Unstarted<A>
where
    A: Supervised + Actor<Context = Context<A>>,
{
    /// Starts the actor on `arbiter`'s thread and restarts it when it panics.
    ///
    /// `make` runs on that thread, once. An arbiter that has stopped closes the mailbox.
    pub fn start<F>(self, arbiter: &ArbiterHandle, name: &'static str, watch: Watch, make: F)
    where
        F: FnOnce(&mut Context<A>) -> A + Send + 'static,
    {
        let started = arbiter.spawn_fn(move || {
            let mut ctx = Context::with_receiver(self.0);
            let actor = make(&mut ctx);
            actix::spawn(Supervision {
                actor: ctx.into_future(actor),
                name,
                watch,
                budget: RestartBudget::default(),
                restarts: 0,
            });
        });
        if !started {
            error!(actor = name, "actor was not started: its thread has ended");
        }
    }
}

/// Starts an actor that nobody needs to know before; see [`Unstarted::start`].
pub fn start_in<A, F>(arbiter: &ArbiterHandle, name: &'static str, watch: Watch, make: F) -> Addr<A>
where
    A: Supervised + Actor<Context = Context<A>>,
    F: FnOnce(&mut Context<A>) -> A + Send + 'static,
{
    let (addr, unstarted) = unstarted::<A>();
    unstarted.start(arbiter, name, watch, make);
    addr
}

/// The task of one supervised actor. Ends when the actor ends on purpose or is given up.
struct Supervision<A>
where
    A: Supervised + Actor<Context = Context<A>>,
{
    actor: ContextFut<A, Context<A>>,
    name: &'static str,
    watch: Watch,
    budget: RestartBudget,
    restarts: u64,
}

impl<A> Supervision<A>
where
    A: Supervised + Actor<Context = Context<A>>,
{
    /// Restarts the actor after `cause`. False when it must not go on: nobody can reach it any more,
    /// or it panics too often.
    fn restart(&mut self, mut cause: Box<dyn Any + Send>) -> bool {
        loop {
            let message = panic_message(cause.as_ref());
            if !self.budget.spend(Instant::now()) {
                error!(actor = self.name, panic = message, "actor panics too often, giving it up");
                // Else dropping the context would run the actor once more, outside of any catch.
                self.actor.ctx().terminate();
                (self.watch.on_give_up)(self.name);
                return false;
            }
            self.restarts += 1;
            error!(
                actor = self.name,
                restarts = self.restarts,
                panic = message,
                "actor panicked, restarting it"
            );
            match catch_unwind(AssertUnwindSafe(|| self.actor.restart())) {
                Ok(true) => {
                    (self.watch.on_restart)(self.name, self.restarts);
                    return true;
                }
                Ok(false) => return false,
                Err(again) => cause = again,
            }
        }
    }
}

impl<A> Future for Supervision<A>
where
    A: Supervised + Actor<Context = Context<A>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            // The actor may be left half changed: that is what `restarting` repairs.
            match catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.actor).poll(cx))) {
                Ok(poll) => return poll,
                Err(cause) => {
                    if !this.restart(cause) {
                        return Poll::Ready(());
                    }
                }
            }
        }
    }
}

fn panic_message(cause: &(dyn Any + Send)) -> &str {
    cause
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| cause.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// How often one actor may restart in a while.
#[derive(Debug, Default)]
struct RestartBudget {
    /// Restarts within the window, the oldest first.
    recent: VecDeque<Instant>,
}

impl RestartBudget {
    /// Takes one restart. False when there is none left.
    fn spend(&mut self, now: Instant) -> bool {
        while self.recent.front().is_some_and(|at| now.duration_since(*at) >= PANIC_WINDOW) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.recent.len() <= MAX_RESTARTS
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use actix::{Arbiter, AsyncContext, Handler, MailboxError};

    use super::*;

    /// Counts what it is told; panics on request, in a handler or from a spawned future.
    struct Counter {
        sum: u32,
        restarts: u32,
        starts: u32,
        ticks: tokio::sync::mpsc::UnboundedSender<()>,
    }

    impl Actor for Counter {
        type Context = Context<Self>;

        fn started(&mut self, ctx: &mut Self::Context) {
            self.starts += 1;
            ctx.run_interval(Duration::from_millis(1), |counter, _| {
                counter.ticks.send(()).ok();
            });
        }
    }

    impl Supervised for Counter {
        fn restarting(&mut self, _: &mut Self::Context) {
            self.restarts += 1;
        }
    }

    stops_on_request!(Counter);
    crashes_on_request!(Counter);

    #[derive(Message)]
    #[rtype(result = "u32")]
    struct Add(u32);

    impl Handler<Add> for Counter {
        type Result = u32;

        fn handle(&mut self, Add(n): Add, _: &mut Self::Context) -> u32 {
            self.sum += n;
            self.sum
        }
    }

    #[derive(Message)]
    #[rtype(result = "(u32, u32)")]
    struct Lives;

    impl Handler<Lives> for Counter {
        type Result = actix::MessageResult<Lives>;

        fn handle(&mut self, _: Lives, _: &mut Self::Context) -> Self::Result {
            actix::MessageResult((self.starts, self.restarts))
        }
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct CrashLater;

    impl Handler<CrashLater> for Counter {
        type Result = ();

        fn handle(&mut self, _: CrashLater, ctx: &mut Self::Context) {
            ctx.run_later(Duration::ZERO, |_, _| panic!("later"));
        }
    }

    struct Started {
        counter: Addr<Counter>,
        ticks: tokio::sync::mpsc::UnboundedReceiver<()>,
        restarts: mpsc::Receiver<(&'static str, u64)>,
        given_up: mpsc::Receiver<&'static str>,
    }

    fn start() -> Started {
        let (restarted, restarts) = mpsc::channel();
        let (gave_up, given_up) = mpsc::channel();
        let (ticks_sender, ticks) = tokio::sync::mpsc::unbounded_channel();
        let watch = Watch {
            on_restart: Arc::new(move |name, n| restarted.send((name, n)).unwrap()),
            on_give_up: Arc::new(move |name| gave_up.send(name).unwrap()),
        };
        let counter = start_in(&Arbiter::current(), "counter", watch, |_| Counter {
            sum: 0,
            restarts: 0,
            starts: 0,
            ticks: ticks_sender,
        });
        Started { counter, ticks, restarts, given_up }
    }

    #[actix::test]
    async fn a_panic_loses_one_message_and_no_state() {
        let started = start();
        started.counter.do_send(Add(1));
        let crash = started.counter.send(Crash);
        let next = started.counter.send(Add(2));

        assert_eq!(crash.await, Err(MailboxError::Closed));
        assert_eq!(next.await, Ok(3));
        assert_eq!(started.counter.send(Lives).await, Ok((2, 1)));
        assert_eq!(started.restarts.try_recv(), Ok(("counter", 1)));
    }

    #[actix::test]
    async fn messages_behind_the_fatal_one_are_handled_in_order() {
        let started = start();
        for n in 0..10 {
            started.counter.do_send(Add(n));
            started.counter.do_send(Crash);
        }
        assert_eq!(started.counter.send(Add(0)).await, Ok(45));
        assert_eq!(started.restarts.try_iter().last(), Some(("counter", 10)));
    }

    #[actix::test]
    async fn intervals_run_again_after_a_restart() {
        let mut started = start();
        started.ticks.recv().await.unwrap();
        started.counter.send(Crash).await.unwrap_err();
        while started.ticks.try_recv().is_ok() {}
        started.ticks.recv().await.unwrap();
    }

    #[actix::test]
    async fn a_panic_in_a_spawned_future_is_survived_too() {
        let mut started = start();
        started.counter.send(CrashLater).await.unwrap();
        while started.restarts.try_recv().is_err() {
            started.ticks.recv().await.unwrap();
        }
        assert_eq!(started.counter.send(Add(1)).await, Ok(1));
    }

    #[actix::test]
    async fn an_actor_told_to_stop_ends() {
        let started = start();
        started.counter.send(Stop).await.unwrap();
        assert_eq!(started.counter.send(Add(1)).await, Err(MailboxError::Closed));
        assert!(started.restarts.try_recv().is_err(), "a stop was taken for a failure");
    }

    #[actix::test]
    async fn an_actor_nobody_can_reach_ends() {
        let Started { counter, mut ticks, .. } = start();
        ticks.recv().await.unwrap();
        // A spawned future keeps a context alive; the restart drops it, and nothing starts it again.
        counter.do_send(Crash);
        drop(counter);
        while ticks.recv().await.is_some() {}
    }

    #[actix::test]
    async fn a_panic_loop_is_given_up() {
        let started = start();
        for _ in 0..=MAX_RESTARTS {
            started.counter.do_send(Crash);
        }
        assert_eq!(started.counter.send(Add(1)).await, Err(MailboxError::Closed));
        assert_eq!(started.given_up.try_recv(), Ok("counter"));
        assert_eq!(started.restarts.try_iter().count(), MAX_RESTARTS);
    }

    #[test]
    fn old_restarts_are_forgiven() {
        let mut budget = RestartBudget::default();
        let mut now = Instant::now();
        for _ in 0..10 * MAX_RESTARTS {
            assert!(budget.spend(now));
            now += PANIC_WINDOW / u32::try_from(MAX_RESTARTS).unwrap();
        }
        assert!(budget.spend(now));
        assert!(!budget.spend(now));
    }
}
