//! What the targets try: the laws of `tests/translation`, which replays the corpus without a fuzzer.

#[path = "../../tests/translation/dialects.rs"]
pub mod dialects;
#[path = "../../tests/translation/laws.rs"]
pub mod laws;
#[path = "../../tests/translation/streaming.rs"]
pub mod streaming;

use dialects::{ALL, Spoken};

/// The dialect that a target is named after: `<law>_<dialect>`.
pub fn dialect_of(target: &str) -> &'static Spoken {
    let (_, name) = target.rsplit_once('_').expect("the name ends with a dialect");
    ALL.iter().find(|dialect| dialect.name() == name).expect("each target's dialect is listed")
}
