//! A request as routing sees it: what it asks for, what it needs, to which session it belongs.

use std::{cell::OnceCell, rc::Rc, sync::Arc};

use crate::{
    domain::{
        access_key::AccessKey, id::RequestId, model::Capabilities, route::RouteOptions,
        session::SessionKey,
    },
    gateway::exchange::ClientRequest,
};

/// A request that is admitted, apart from its account.
pub struct AdmittedRequest {
    pub id: RequestId,
    /// Whose request it is.
    pub owner: Arc<AccessKey>,
    pub request: Rc<ClientRequest>,
    pub options: RouteOptions,
    /// What a model must be able to do, as the body shows.
    pub needs: Capabilities,
    /// Absent when there is nothing to choose from, or sessions are not kept together.
    pub session: Option<Session>,
    pub(super) prompt_tokens: OnceCell<u64>,
}

impl AdmittedRequest {
    /// So many tokens the prompt has at least: counted when it is asked for, and then known.
    pub fn prompt_tokens(&self) -> u64 {
        *self.prompt_tokens.get_or_init(|| self.request.prompt_tokens())
    }
}

/// The session a request belongs to.
#[derive(Debug)]
pub struct Session {
    /// By all of its names, the most telling first: whoever names it by one of them later finds it.
    pub keys: Vec<SessionKey>,
    /// Whether it is to go where the session was served last. The first turn of a conversation that
    /// has no name goes anywhere: others may begin with the same words.
    pub is_continued: bool,
}
