//! The law of failures, as it is documented: from a failure, who stands beside, and how many keys there
//! are, to who is asked how often and what the client sees. Written from the documents alone; the matrix
//! in `table` holds the pool to it.

/// What happens to each call of the model that is asked for at `acme`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    ClientFault,
    TooLong,
    Refusal,
    Auth,
    Payment,
    /// A rate limit that lasts longer than anybody waits.
    LimitedLong,
    /// One that is over in a moment, and there again.
    LimitedShort,
    Overload,
    /// An overload that says that it lasts longer than anybody waits.
    OverloadLong,
    Server,
    Connect,
    ModelMissing,
    /// An overload that says that it is over in a moment, longer than a pause, and is there again.
    OverloadShort,
    /// Never a word.
    Silent,
    /// An answer that begins and stops, before there is anything to read in it.
    Stalled,
    /// One that breaks off there.
    Cut,
    /// A stream that stops after its first word.
    StalledLater,
    /// One that breaks off after its first word.
    CutLater,
}

impl Kind {
    pub const ALL: [Self; 18] = [
        Self::ClientFault,
        Self::TooLong,
        Self::Refusal,
        Self::Auth,
        Self::Payment,
        Self::LimitedLong,
        Self::LimitedShort,
        Self::Overload,
        Self::OverloadLong,
        Self::Server,
        Self::Connect,
        Self::ModelMissing,
        Self::OverloadShort,
        Self::Silent,
        Self::Stalled,
        Self::Cut,
        Self::StalledLater,
        Self::CutLater,
    ];

    /// Whether it can only happen to a stream.
    pub fn is_of_streams(self) -> bool {
        matches!(self, Self::StalledLater | Self::CutLater)
    }
}

/// Who else could answer. All of them are well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    Nobody,
    /// `backup`, which serves the same model.
    Target,
    /// `backup`, with another model that is named as the fallback.
    Fallback,
    /// `acme` itself, with another model that is named as the fallback.
    FallbackThere,
}

impl Beside {
    pub const ALL: [Self; 4] = [Self::Nobody, Self::Target, Self::Fallback, Self::FallbackThere];
}

/// One cell of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    pub kind: Kind,
    pub streamed: bool,
    pub beside: Beside,
    /// Those of `acme`; none: it needs none.
    pub keys: usize,
}

/// What a client sees in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All that the one beside says.
    Served,
    /// An error before anything else: its status, and its code where the client's dialect has codes.
    Fails(u16, &'static str),
    /// The words that had come, and the error that the stream ends with.
    Breaks(&'static str),
}

/// A cooldown of `acme`: scope, cause, and milliseconds.
pub type Cooling = (&'static str, &'static str, i64);

/// What has to come of a cell.
#[derive(Debug, PartialEq, Eq)]
pub struct Law {
    /// The least and the most calls of the model at `acme`.
    pub calls: (usize, usize),
    /// Calls of the one beside.
    pub beside: usize,
    pub end: End,
    pub cooling: Vec<Cooling>,
}

/// How far a request goes on after a failure.
enum Onward {
    /// Nowhere.
    Stop,
    /// To a fallback that somebody has named; the others read no more than this one.
    Fallbacks,
    /// To other providers.
    OtherProviders,
    /// To any other candidate, a fallback at the same provider included.
    Anyone,
}

impl Cell {
    pub fn law(self) -> Law {
        let is_helped = match self.onward() {
            Onward::Stop => false,
            Onward::Fallbacks => matches!(self.beside, Beside::Fallback | Beside::FallbackThere),
            Onward::OtherProviders => matches!(self.beside, Beside::Target | Beside::Fallback),
            Onward::Anyone => self.beside != Beside::Nobody,
        };
        Law {
            calls: self.calls(),
            beside: usize::from(is_helped),
            end: if is_helped { End::Served } else { self.last_word() },
            cooling: self.cooling(),
        }
    }

    /// Whether it ends when somebody has said nothing for as long as that is waited for.
    pub fn is_left_when_idle(self) -> bool {
        let is_silent = self.kind == Kind::Silent && self.beside == Beside::Nobody;
        is_silent || matches!(self.kind, Kind::Stalled | Kind::StalledLater)
    }

    fn onward(self) -> Onward {
        match self.kind {
            Kind::ClientFault | Kind::Refusal => Onward::Stop,
            Kind::TooLong => Onward::Fallbacks,
            // Without a key, provider and model take its place.
            Kind::Payment if self.keys == 0 => Onward::Anyone,
            Kind::Auth | Kind::Payment | Kind::Connect => Onward::OtherProviders,
            _ => Onward::Anyone,
        }
    }

    fn calls(self) -> (usize, usize) {
        let each_key = self.keys.max(1);
        let exactly = |calls| (calls, calls);
        match self.kind {
            Kind::Auth | Kind::Payment | Kind::LimitedLong => exactly(each_key),
            // At once to another provider of the model; else it is waited for, twice, before another
            // model is asked. The limits of two keys do not end at the same moment, and who was found
            // limited is looked for once more at the end.
            Kind::LimitedShort if self.beside == Beside::Target => exactly(each_key),
            Kind::LimitedShort if each_key == 2 => (4, 6),
            Kind::LimitedShort => exactly(3),
            // Where there is nobody else it is waited for, twice, as the next request would.
            Kind::OverloadShort if self.beside == Beside::Nobody => exactly(3),
            // Once more there.
            Kind::Overload | Kind::Server | Kind::Connect => exactly(2),
            // Where nobody else is left, whoever broke off may say all of it again.
            Kind::CutLater if self.beside == Beside::Nobody => exactly(2),
            _ => exactly(1),
        }
    }

    /// What the client sees when nobody else can help.
    fn last_word(self) -> End {
        match self.kind {
            Kind::ClientFault => End::Fails(400, "bad_thing"),
            Kind::TooLong => End::Fails(400, "context_length_exceeded"),
            Kind::Refusal => End::Fails(400, "content_filter"),
            Kind::Auth => End::Fails(502, "upstream_auth"),
            Kind::Payment => End::Fails(429, "insufficient_quota"),
            Kind::LimitedLong | Kind::LimitedShort => End::Fails(429, "rate_limited"),
            Kind::Overload | Kind::OverloadLong | Kind::OverloadShort => {
                End::Fails(503, "overloaded")
            }
            Kind::Server | Kind::Connect | Kind::Cut => End::Fails(502, "upstream_error"),
            Kind::ModelMissing => End::Fails(404, "model_not_found"),
            // The last one has the rest of the request's time.
            Kind::Silent if !self.streamed => End::Fails(504, "timeout"),
            Kind::Silent | Kind::Stalled => End::Fails(504, "upstream_timeout"),
            Kind::StalledLater | Kind::CutLater => End::Breaks("Hello"),
        }
    }

    fn cooling(self) -> Vec<Cooling> {
        const HALF_HOUR: i64 = 1_800_000;
        const HOUR: i64 = 3_600_000;
        // Where there is no key, a limit is held against the model of the provider; and where all keys
        // fail alike, their failure is the provider's.
        let limit = |millis| match self.keys {
            0 => vec![("provider_model", "rate_limit", millis)],
            keys => vec![("credential_model", "rate_limit", millis); keys],
        };
        let of_keys = |cause| match self.keys {
            0 => vec![],
            1 => vec![("credential", cause, HALF_HOUR)],
            _ => vec![("provider", cause, 10_000)],
        };
        match self.kind {
            Kind::Auth => of_keys("auth"),
            Kind::Payment => of_keys("payment"),
            Kind::LimitedLong => limit(77_000),
            Kind::LimitedShort => limit(100),
            Kind::OverloadLong => vec![("provider_model", "overload", 77_000)],
            Kind::OverloadShort => vec![("provider_model", "overload", 900)],
            Kind::ModelMissing => vec![("provider_model", "model_missing", HOUR)],
            // Two failures in a minute, or one, cool nothing yet.
            _ => vec![],
        }
    }
}
