//! The shell around the routes and aliases: saves first, then adopts, then publishes and tells.

use std::rc::Rc;

use actix::prelude::*;
use tokio::sync::Mutex;

use super::{
    actor::Router,
    route_messages::{DeleteAlias, DeleteRoute, RouteError, SetAlias, SetRoute},
    route_state::{Kept, RouteState},
};
use crate::{
    actors::{
        clock::now,
        db::{DbHandle, StoredByName},
        events::Record,
        loading::load_first,
    },
    domain::{
        event::{EventData, EventType, Fact},
        pattern::NamePattern,
        route::{Alias, NameKind, Route},
    },
};

/// The routes and aliases of the Router, with what it takes to change them.
pub struct RouteStore {
    pub(super) state: RouteState,
    db: DbHandle,
    events: Recipient<Record>,
    /// Whoever writes to storage holds it; the others wait in line. So changes are adopted in the
    /// order in which they are saved, and the mailbox, where requests ask, waits for none of them.
    turn: Rc<Mutex<()>>,
}

impl RouteStore {
    pub fn new(state: RouteState, db: DbHandle, events: Recipient<Record>) -> Self {
        Self { state, db, events, turn: Rc::default() }
    }

    fn tell(&self, kind: EventType, name: NamePattern) {
        self.events.do_send(Record(Fact::new(kind, EventData::Named { name })));
    }
}

impl Router {
    /// Loads what is stored. The mailbox waits until then.
    pub(super) fn load_routes(&self, ctx: &mut Context<Self>) {
        let db = self.routes.db.clone();
        let load = move || {
            let db = db.clone();
            async move { Ok((db.load_named::<Route>().await?, db.load_named::<Alias>().await?)) }
        };
        load_first(self, ctx, "routes", load, |router, (routes, aliases)| {
            router.routes.state.load(routes.rows, routes.unreadable);
            router.routes.state.load(aliases.rows, aliases.unreadable);
            router.publish();
        });
    }

    /// Does `save` when it is its turn, lets `adopt` take over what was saved, and tells `kind` of
    /// the name that this is about.
    fn save_then<S: 'static, T: 'static>(
        &self,
        kind: EventType,
        save: impl Future<Output = Result<S, RouteError>> + 'static,
        adopt: impl FnOnce(&mut RouteState, S) -> Result<(NamePattern, T), RouteError> + 'static,
    ) -> ResponseActFuture<Self, Result<T, RouteError>> {
        let turn = Rc::clone(&self.routes.turn);
        let save = async move {
            let _turn = turn.lock().await;
            save.await
        };
        Box::pin(save.into_actor(self).map(move |saved, router, _| {
            let (name, answer) = adopt(&mut router.routes.state, saved?)?;
            router.publish();
            router.routes.tell(kind, name);
            Ok(answer)
        }))
    }

    /// Makes or replaces what has a name. `true`: it is new.
    fn set<T: Kept + StoredByName>(
        &self,
        entry: T,
    ) -> ResponseActFuture<Self, Result<bool, RouteError>> {
        let entry = self.routes.state.check_set(entry);
        let db = self.routes.db.clone();
        let save = async move {
            let entry = entry?;
            db.save_named(entry.clone(), now()).await?;
            Ok(entry)
        };
        let told = match T::KIND {
            NameKind::Route => EventType::RouteChanged,
            NameKind::Alias => EventType::AliasChanged,
        };
        self.save_then(told, save, |state, entry| Ok((entry.name().clone(), state.adopt(entry))))
    }

    /// Deletes what has a name.
    fn delete<T: Kept + StoredByName>(
        &self,
        name: NamePattern,
    ) -> ResponseActFuture<Self, Result<(), RouteError>> {
        let allowed = self.routes.state.check_delete::<T>(&name);
        let db = self.routes.db.clone();
        let delete = async move {
            allowed?;
            db.delete_named::<T>(name.clone()).await?;
            Ok(name)
        };
        let told = match T::KIND {
            NameKind::Route => EventType::RouteDeleted,
            NameKind::Alias => EventType::AliasDeleted,
        };
        self.save_then(told, delete, |state, name| {
            if state.remove::<T>(&name) {
                Ok((name, ()))
            } else {
                Err(RouteError::NotFound(T::KIND, name))
            }
        })
    }
}

impl Handler<SetRoute> for Router {
    type Result = ResponseActFuture<Self, Result<bool, RouteError>>;

    fn handle(&mut self, msg: SetRoute, _: &mut Self::Context) -> Self::Result {
        self.set(msg.route)
    }
}

impl Handler<DeleteRoute> for Router {
    type Result = ResponseActFuture<Self, Result<(), RouteError>>;

    fn handle(&mut self, msg: DeleteRoute, _: &mut Self::Context) -> Self::Result {
        self.delete::<Route>(msg.name)
    }
}

impl Handler<SetAlias> for Router {
    type Result = ResponseActFuture<Self, Result<bool, RouteError>>;

    fn handle(&mut self, msg: SetAlias, _: &mut Self::Context) -> Self::Result {
        self.set(msg.alias)
    }
}

impl Handler<DeleteAlias> for Router {
    type Result = ResponseActFuture<Self, Result<(), RouteError>>;

    fn handle(&mut self, msg: DeleteAlias, _: &mut Self::Context) -> Self::Result {
        self.delete::<Alias>(msg.name)
    }
}
