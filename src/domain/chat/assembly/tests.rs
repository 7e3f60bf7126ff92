use proptest::prelude::*;

use super::*;
use crate::domain::chat::{
    CallKind, Dialect, ReasoningSignature, Usage,
    arbitrary::{self, Vocabulary},
};

const PLENTY: usize = 1 << 20;

fn assembled<'a>(deltas: impl IntoIterator<Item = Delta<'a>>) -> Result<Answer, AssemblyError> {
    let mut assembly = Assembly::new(PLENTY);
    for delta in deltas {
        assembly.add(delta)?;
    }
    Ok(assembly.finish().unwrap())
}

fn text(text: &str) -> Delta<'_> {
    Delta::Text { choice: 0, text: text.into() }
}

fn begin(number: u32) -> Delta<'static> {
    let (id, name) = (format!("call_{number}").into(), "look".into());
    Delta::CallBegin { choice: 0, number, id, name, kind: CallKind::Function, signature: None }
}

fn input(number: u32, text: &str) -> Delta<'_> {
    Delta::CallInput { choice: 0, number, text: text.into() }
}

const STOP: Delta<'static> = Delta::Stop { choice: 0, reason: StopReason::Finished };

#[test]
fn pieces_of_calls_may_be_mixed() {
    let deltas =
        [begin(7), begin(2), input(2, "{"), input(7, "[]"), input(2, "}"), text("and"), STOP];
    let answer = assembled(deltas).unwrap();
    let said: Vec<_> = answer.choices[0]
        .parts
        .iter()
        .map(|part| match &part.content {
            Content::ToolCall(call) => (&*call.id, &*call.input),
            Content::Text { text, .. } => ("text", &**text),
            other => panic!("nobody said {other:?}"),
        })
        .collect();
    assert_eq!(said, [("call_7", "[]"), ("call_2", "{}"), ("text", "and")]);
}

#[test]
fn a_number_that_nothing_is_said_of_is_no_choice_and_one_that_is_begun_must_end() {
    let of_fifth = |text: &'static str| Delta::Text { choice: 5, text: text.into() };
    let stop = Delta::Stop { choice: 5, reason: StopReason::Finished };
    let answer = assembled([text("one"), of_fifth("two"), STOP, stop]).unwrap();
    assert_eq!(answer.choices.len(), 2);
    assert_eq!(answer.choices[1].parts, [Part::text("two")]);

    let mut assembly = Assembly::new(PLENTY);
    for delta in [text("one"), of_fifth(""), STOP] {
        assembly.add(delta).unwrap();
    }
    assert!(!assembly.is_complete());
}

#[test]
fn a_break_or_a_signature_ends_a_part_and_an_empty_piece_begins_none() {
    let thought = |text| Delta::Reasoning { choice: 0, text, is_summary: false };
    let signature = |is_redacted| Delta::ReasoningSignature {
        choice: 0,
        signature: ReasoningSignature::new(Dialect::Messages, "c2VhbA=="),
        is_redacted,
    };
    let deltas = [
        text(""),
        thought("a".into()),
        thought("b".into()),
        signature(false),
        thought("c".into()),
        signature(true),
        text("d"),
        text(""),
        text("e"),
        Delta::Break { choice: 0 },
        text("f"),
        STOP,
    ];
    let answer = assembled(deltas).unwrap();
    let said: Vec<_> = answer.choices[0]
        .parts
        .iter()
        .map(|part| match &part.content {
            Content::Reasoning(thought) => (&*thought.text, thought.signature.is_some()),
            Content::Text { text, .. } => (&**text, false),
            other => panic!("nobody said {other:?}"),
        })
        .collect();
    assert_eq!(said, [("ab", true), ("c", false), ("", true), ("de", false), ("f", false)]);
}

#[test]
fn an_id_is_of_the_thoughts_that_begin_with_it() {
    let begin = |id| Delta::ReasoningBegin { choice: 0, id };
    let thought = |text| Delta::Reasoning { choice: 0, text, is_summary: true };
    let signature = |is_redacted| Delta::ReasoningSignature {
        choice: 0,
        signature: ReasoningSignature::new(Dialect::Responses, "c2VhbA=="),
        is_redacted,
    };
    let deltas = [
        begin("a".into()),
        thought("1".into()),
        thought("2".into()),
        begin("a".into()),
        thought("3".into()),
        signature(false),
        thought("4".into()),
        begin("b".into()),
        signature(true),
        begin("c".into()),
        text("d"),
        thought("5".into()),
        STOP,
    ];
    let answer = assembled(deltas).unwrap();
    let thoughts = answer.choices[0].parts.iter().filter_map(|part| match &part.content {
        Content::Reasoning(thought) => Some((thought.id.as_deref(), &*thought.text)),
        _ => None,
    });
    let said: Vec<_> = thoughts.collect();
    let a = Some("a");
    assert_eq!(said, [(a, "12"), (a, "3"), (None, "4"), (Some("b"), ""), (None, "5")]);
}

#[test]
fn an_answer_without_its_stop_is_none() {
    for deltas in [vec![], vec![text("cut")], vec![Delta::Break { choice: 1 }, STOP]] {
        let mut assembly = Assembly::new(PLENTY);
        for delta in deltas {
            assembly.add(delta).unwrap();
        }
        assert!(!assembly.is_complete());
        assert_eq!(assembly.finish(), None);
    }
}

#[test]
fn usage_counts_in_the_place_of_what_was_told_before() {
    let usage = |reasoning| Usage { reasoning, ..Usage::default() };
    let deltas = [Delta::Usage(usage(Some(1))), text("x"), STOP, Delta::Usage(usage(Some(2)))];
    assert_eq!(assembled(deltas).unwrap().usage, Some(usage(Some(2))));
}

#[test]
fn what_no_answer_may_hold_is_an_error() {
    let far = Delta::Break { choice: u32::MAX };
    assert_eq!(assembled([far]), Err(AssemblyError::TooManyChoices));
    let too_many = (0..=1024).map(begin);
    assert_eq!(assembled(too_many), Err(AssemblyError::TooManyCalls));
    let out_of_order = Err(AssemblyError::CallOutOfOrder { choice: 0, number: 3 });
    assert_eq!(assembled([input(3, "{}")]), out_of_order);
    assert_eq!(assembled([begin(3), begin(3)]), out_of_order);
}

#[test]
fn an_endless_answer_is_too_large_however_small_its_pieces() {
    let breaks = [text("x"), Delta::Break { choice: 0 }];
    for pieces in [vec![text("xy")], vec![begin(0), input(0, "z")], breaks.to_vec()] {
        let mut assembly = Assembly::new(10_000);
        let added = pieces.iter().cycle().enumerate().map(|(n, piece)| {
            // A call begins once.
            if n > 0 && matches!(piece, Delta::CallBegin { .. }) {
                return Ok(());
            }
            assembly.add(piece.clone())
        });
        let error = added.take(20_100).find_map(Result::err);
        assert_eq!(error, Some(AssemblyError::TooLarge { limit: 10_000 }));
    }
}

proptest! {
    #[test]
    fn the_deltas_of_an_answer_make_that_answer(
        answer in arbitrary::answer(Vocabulary::all(Dialect::Messages)),
    ) {
        prop_assert_eq!(assembled(deltas_of(&answer)).unwrap(), answer);
    }

    #[test]
    fn wherever_texts_are_cut_the_answer_is_the_same(
        (answer, pieces) in arbitrary::deltas(Vocabulary::all(Dialect::Gemini)),
    ) {
        prop_assert_eq!(assembled(pieces).unwrap(), answer);
    }

    #[test]
    fn what_a_dialect_cannot_say_is_not_made(
        answer in arbitrary::answer(Vocabulary::least(Dialect::Ollama)),
        request in arbitrary::request(Vocabulary::least(Dialect::Ollama)),
    ) {
        let parts = answer.choices.iter().flat_map(|choice| &choice.parts).chain(request.parts());
        for part in parts {
            let is_said = matches!(
                part.content,
                Content::Text { .. } | Content::ToolCall(_) | Content::ToolResult(_)
            );
            prop_assert!(is_said, "{:?}", part);
            prop_assert_eq!(part.cache, None);
        }
    }
}
