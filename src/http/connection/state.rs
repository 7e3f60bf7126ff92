//! What the parts of one connection tell each other: its socket, its requests, and who watches its
//! deadlines. All on one thread.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::Waker,
};

use actix_web::HttpRequest;
use tokio::time::Instant;

use super::{
    deadlines::{Progress, Timeouts},
    framing::Framing,
};

/// How a record of TLS begins that opens a conversation: content type 22, RFC 8446 §5.1.
const TLS_HANDSHAKE: u8 = 22;

/// Shared by the parts of one connection.
#[derive(Debug)]
pub struct State {
    pub progress: RefCell<Progress>,
    framing: RefCell<Framing>,
    /// Bytes read since the connection was last looked after.
    read_this_turn: Cell<usize>,
    /// Whether the last request that began is answered.
    is_answered: Cell<bool>,
    /// Whom to wake when reading makes sense again.
    reader: RefCell<Option<Waker>>,
    first_byte: Cell<Option<u8>>,
}

/// What a connection may read at this moment.
#[derive(Debug, PartialEq, Eq)]
pub enum Allowance {
    Bytes(usize),
    /// Nothing before something else has happened; [`State`] wakes whoever asked.
    Later,
    /// Nothing before what has come was looked at.
    NextTurn,
}

impl State {
    pub fn new(timeouts: Timeouts) -> Rc<Self> {
        Rc::new(Self {
            progress: RefCell::new(Progress::new(Instant::now(), timeouts)),
            framing: RefCell::new(Framing::of_body(false)),
            read_this_turn: Cell::new(0),
            is_answered: Cell::new(false),
            reader: RefCell::new(None),
            first_byte: Cell::new(None),
        })
    }

    /// The connection is looked after anew.
    pub fn begin_turn(&self) {
        if self.read_this_turn.replace(0) > 0 {
            self.framing.borrow_mut().turn_ended();
        }
    }

    /// Whether more came than is read of a body that nobody wants.
    pub fn is_flooded(&self) -> bool {
        let progress = self.progress.borrow();
        progress.is_flooded() || progress.is_draining() && self.framing.borrow().is_waste()
    }

    /// How much may be read. `waker` is asked for when it is nothing for now.
    pub fn may_read(&self, waker: &Waker) -> Allowance {
        let progress = self.progress.borrow();
        let most = progress.may_receive().min(self.framing.borrow().at_once());
        if most == 0 {
            *self.reader.borrow_mut() = Some(waker.clone());
            return Allowance::Later;
        }
        match most.saturating_sub(self.read_this_turn.get()) {
            0 => Allowance::NextTurn,
            rest => Allowance::Bytes(rest),
        }
    }

    /// `bytes` were read, and are not none.
    pub fn received(&self, bytes: &[u8]) {
        if self.first_byte.get().is_none() {
            self.first_byte.set(bytes.first().copied());
        }
        self.read_this_turn.set(self.read_this_turn.get().saturating_add(bytes.len()));
        self.framing.borrow_mut().received(bytes);
        self.progress.borrow_mut().received(bytes.len(), Instant::now);
    }

    pub fn write_blocked(&self) {
        self.progress.borrow_mut().write_blocked(Instant::now());
    }

    /// `length` bytes were written; with `all`, nothing is left to write.
    pub fn written(&self, length: usize, all: bool) {
        let mut progress = self.progress.borrow_mut();
        if progress.is_write_blocked() {
            progress.written(length, all, Instant::now());
            if all {
                self.wake_reader();
            }
        }
    }

    /// Whether there is nothing more to come for which a client could be told to go on.
    pub fn is_answered(&self) -> bool {
        self.is_answered.get()
    }

    /// Whether the client began a conversation in TLS.
    pub fn began_with_tls(&self) -> bool {
        self.first_byte.get() == Some(TLS_HANDSHAKE)
    }

    fn wake_reader(&self) {
        if let Some(waker) = self.reader.borrow_mut().take() {
            waker.wake();
        }
    }
}

/// A request under way; dropped with the last of its answer.
#[derive(Debug)]
pub struct UnderWay(Rc<State>);

impl UnderWay {
    /// `in_chunks`: so comes its body, if it has one.
    pub fn begin(state: Rc<State>, has_body: bool, in_chunks: bool) -> Self {
        state.progress.borrow_mut().request_began(has_body);
        *state.framing.borrow_mut() = Framing::of_body(in_chunks);
        state.is_answered.set(false);
        if has_body {
            state.wake_reader();
        }
        Self(state)
    }

    /// There is an answer, of which nothing is sent yet.
    pub fn answered(&self) {
        self.0.is_answered.set(true);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.progress.borrow_mut().request_ended(Instant::now());
        self.0.wake_reader();
    }
}

/// The body of a request, as its connection sees it.
#[derive(Debug)]
pub struct BodyInConnection(Option<Rc<State>>);

impl BodyInConnection {
    pub fn of(request: &HttpRequest) -> Self {
        Self(request.conn_data::<Rc<State>>().cloned())
    }

    /// Bytes that came for it, with all that frames it, if it comes in chunks.
    pub fn framed_bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |state| state.framing.borrow().bytes())
    }

    /// It was read to its end.
    pub fn was_read(&self) {
        if let Some(state) = &self.0 {
            state.progress.borrow_mut().body_was_read();
        }
    }
}
