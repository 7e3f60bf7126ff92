//! Whether these tests see what they look for: a dialect of three events, spoken well and badly.

use providerpool::{
    domain::{
        chat::{Answer, Choice, Delta, Losses, Part, Request, StopReason},
        failure::{Failure, FailureClass},
    },
    gateway::translate::{
        EventOutcome, Framing, ReadStream, Target, Unparsable, UpstreamSide, Written,
    },
};

use crate::{
    dialects::asking,
    essence::{Essence, assert_nothing_is_lost_in_silence},
    streams::check_cuts,
};

/// `+text` is a text, `.` a stop, `!` the end, a line each.
struct Tiny {
    /// Whether every text is taken for the last.
    is_hasty: bool,
}

struct Reader {
    is_hasty: bool,
    losses: Losses,
}

impl ReadStream for Reader {
    fn read(
        &mut self,
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<EventOutcome, Unparsable> {
        let stop = Delta::Stop { choice: 0, reason: StopReason::Finished };
        match std::str::from_utf8(data).map_err(|_| Unparsable)? {
            "." => sink(stop),
            "!" => return Ok(EventOutcome::Done),
            event => {
                let text = event.strip_prefix('+').ok_or(Unparsable)?.into();
                sink(Delta::Text { choice: 0, text });
                if self.is_hasty {
                    sink(stop);
                }
            }
        }
        Ok(EventOutcome::More)
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl UpstreamSide for Tiny {
    fn write_request(&self, request: &Request, _: &Target<'_>) -> Written {
        Written { body: Vec::new(), losses: request.losses.clone() }
    }

    fn read_answer(&self, _: &[u8]) -> Result<Answer, Failure> {
        Err(Failure::new(FailureClass::Server, "it only streams"))
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn stream_reader(&self) -> Box<dyn ReadStream> {
        Box::new(Reader { is_hasty: self.is_hasty, losses: Losses::default() })
    }
}

#[test]
fn a_stream_that_looks_complete_too_early_is_seen() {
    let well = b"+one\n+two\n.\n!\n";
    assert_eq!(check_cuts(&Tiny { is_hasty: false }, well), Ok(()));
    let hasty = check_cuts(&Tiny { is_hasty: true }, well);
    assert_eq!(hasty, Err("cut after 5 bytes it looks complete".to_owned()));
    let early = check_cuts(&Tiny { is_hasty: false }, b"!\n+one\n.\n");
    assert_eq!(early, Err("it is not complete".to_owned()));
}

#[test]
fn what_is_lost_in_silence_is_seen_and_what_is_named_is_not() {
    let choice = |parts| Choice { parts, ..Choice::default() };
    let answer = |parts| Answer { choices: vec![choice(parts)], ..Answer::default() };
    let sent = Essence::from(&answer(vec![Part::text("all of it")]));
    let arrived = Essence::from(&answer(vec![Part::text("some")]));
    let none = Losses::default();
    assert_eq!(assert_nothing_is_lost_in_silence("", &sent, &sent, &none), Vec::<String>::new());
    assert_eq!(assert_nothing_is_lost_in_silence("", &sent, &arrived, &none).len(), 1);

    let hot = Request {
        sampling: providerpool::domain::chat::Sampling {
            temperature: Some(1.5),
            ..Default::default()
        },
        ..asking()
    };
    let (sent, arrived) = (Essence::from(&hot), Essence::from(&asking()));
    assert_eq!(assert_nothing_is_lost_in_silence("", &sent, &arrived, &none).len(), 1);
    let mut losses = Losses::default();
    losses.note("temperature");
    assert_eq!(assert_nothing_is_lost_in_silence("", &sent, &arrived, &losses).len(), 0);
}
