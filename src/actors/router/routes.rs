//! The shell around the routes and aliases: saves first, then adopts, then publishes and tells.

use std::rc::Rc;

use actix::prelude::*;
use tokio::sync::Mutex;

use super::{
    actor::Router,
    route_book::RouteBook,
    route_messages::{DeleteAlias, DeleteRoute, NameKind, RouteError, SetAlias, SetRoute},
};
use crate::{
    actors::{clock::now, db::DbHandle, events::Record, loading::load_first},
    domain::{
        event::{EventData, EventType, Fact},
        pattern::NamePattern,
    },
};

/// The routes and aliases of the Router, with what it takes to change them.
pub struct RouteKeeper {
    pub(super) book: RouteBook,
    db: DbHandle,
    events: Recipient<Record>,
    /// Whoever writes to storage holds it; the others wait in line. So changes are adopted in the
    /// order in which they are saved, and the mailbox, where requests ask, waits for none of them.
    turn: Rc<Mutex<()>>,
}

impl RouteKeeper {
    pub fn new(book: RouteBook, db: DbHandle, events: Recipient<Record>) -> Self {
        Self { book, db, events, turn: Rc::default() }
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
            async move { Ok((db.load_routes().await?, db.load_aliases().await?)) }
        };
        load_first(self, ctx, "routes", load, |router, (routes, aliases)| {
            router.routes.book.load_routes(routes.rows, routes.unreadable);
            router.routes.book.load_aliases(aliases.rows, aliases.unreadable);
            router.publish();
        });
    }

    /// Does `save` when it is its turn, lets `adopt` take over what was saved, and tells `kind` of
    /// the name that this is about.
    fn save_then<S: 'static, T: 'static>(
        &self,
        kind: EventType,
        save: impl Future<Output = Result<S, RouteError>> + 'static,
        adopt: impl FnOnce(&mut RouteBook, S) -> Result<(NamePattern, T), RouteError> + 'static,
    ) -> ResponseActFuture<Self, Result<T, RouteError>> {
        let turn = Rc::clone(&self.routes.turn);
        let save = async move {
            let _turn = turn.lock().await;
            save.await
        };
        Box::pin(save.into_actor(self).map(move |saved, router, _| {
            let (name, answer) = adopt(&mut router.routes.book, saved?)?;
            router.publish();
            router.routes.tell(kind, name);
            Ok(answer)
        }))
    }
}

impl Handler<SetRoute> for Router {
    type Result = ResponseActFuture<Self, Result<bool, RouteError>>;

    fn handle(&mut self, msg: SetRoute, _: &mut Self::Context) -> Self::Result {
        let route = self.routes.book.check_route(msg.route);
        let db = self.routes.db.clone();
        let save = async move {
            let route = route?;
            db.save_route(route.clone(), now()).await?;
            Ok(route)
        };
        self.save_then(EventType::RouteChanged, save, |book, route| {
            Ok((route.name.clone(), book.adopt_route(route)))
        })
    }
}

impl Handler<DeleteRoute> for Router {
    type Result = ResponseActFuture<Self, Result<(), RouteError>>;

    fn handle(&mut self, msg: DeleteRoute, _: &mut Self::Context) -> Self::Result {
        let allowed = self.routes.book.check_delete_route(&msg.name);
        let db = self.routes.db.clone();
        let delete = async move {
            allowed?;
            db.delete_route(msg.name.clone()).await?;
            Ok(msg.name)
        };
        self.save_then(EventType::RouteDeleted, delete, |book, name| {
            if book.remove_route(&name) {
                Ok((name, ()))
            } else {
                Err(RouteError::NotFound(NameKind::Route, name))
            }
        })
    }
}

impl Handler<SetAlias> for Router {
    type Result = ResponseActFuture<Self, Result<bool, RouteError>>;

    fn handle(&mut self, msg: SetAlias, _: &mut Self::Context) -> Self::Result {
        let alias = self.routes.book.check_alias(msg.alias);
        let db = self.routes.db.clone();
        let save = async move {
            let alias = alias?;
            db.save_alias(alias.clone(), now()).await?;
            Ok(alias)
        };
        self.save_then(EventType::AliasChanged, save, |book, alias| {
            Ok((alias.name.clone(), book.adopt_alias(alias)))
        })
    }
}

impl Handler<DeleteAlias> for Router {
    type Result = ResponseActFuture<Self, Result<(), RouteError>>;

    fn handle(&mut self, msg: DeleteAlias, _: &mut Self::Context) -> Self::Result {
        let allowed = self.routes.book.check_delete_alias(&msg.name);
        let db = self.routes.db.clone();
        let delete = async move {
            allowed?;
            db.delete_alias(msg.name.clone()).await?;
            Ok(msg.name)
        };
        self.save_then(EventType::AliasDeleted, delete, |book, name| {
            if book.remove_alias(&name) {
                Ok((name, ()))
            } else {
                Err(RouteError::NotFound(NameKind::Alias, name))
            }
        })
    }
}
