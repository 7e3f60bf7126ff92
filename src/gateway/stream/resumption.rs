//! How far a stream has come with repeating what a client already has of an answer.

use super::transcript::Transcript;
use crate::gateway::dialect::openai_chat::{Chunk, Rest, TEXTS, continued, text_of};

/// The comparison of a stream with a transcript, and after it the passage from one to the other.
#[derive(Debug)]
pub(super) struct Resumption {
    /// How many bytes of each text of the transcript have been repeated.
    repeated: [usize; TEXTS],
    is_behind: bool,
}

/// What becomes of a chunk.
pub(super) enum Passage {
    /// It repeats what was sent, and there is more to repeat.
    Behind,
    /// It says nothing new.
    Nothing,
    /// An event that says what is new in it.
    Event(Vec<u8>),
    /// It is not what was sent.
    Mismatch,
}

impl Resumption {
    /// `None` when nothing of an answer was sent: any stream will do.
    pub fn of(transcript: &Transcript) -> Option<Self> {
        transcript.identity.as_ref()?;
        let is_behind = transcript.texts.iter().any(|text| !text.is_empty());
        Some(Self { repeated: [0; TEXTS], is_behind })
    }

    /// Whether the stream has not yet repeated all that was sent.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Takes the next chunk of the new stream. What it adds to the answer is added to `transcript`.
    pub fn take(&mut self, transcript: &mut Transcript, data: &[u8], chunk: &Chunk<'_>) -> Passage {
        if !self.is_behind {
            return Self::follow(transcript, data, chunk);
        }
        let Some(rest) = self.compare(transcript, chunk) else { return Passage::Mismatch };
        let goes_on = rest.iter().any(|text| !text.is_empty());
        let says_more = goes_on || chunk.words.has_more || chunk.finished != 0;
        let is_equal =
            self.repeated.iter().zip(&transcript.texts).all(|(at, text)| *at == text.len());
        match (is_equal, says_more) {
            (false, true) => Passage::Mismatch,
            (false, false) => Passage::Behind,
            (true, false) => {
                self.is_behind = false;
                Passage::Nothing
            }
            (true, true) => {
                self.is_behind = false;
                let event = Self::event(transcript, data, Some(&rest));
                transcript.record_rest(data, chunk, &rest);
                Passage::Event(event)
            }
        }
    }

    /// Takes a chunk after all was repeated.
    fn follow(transcript: &mut Transcript, data: &[u8], chunk: &Chunk<'_>) -> Passage {
        let words = &chunk.words;
        let says_nothing = !chunk.has_content && !words.has_more && chunk.finished == 0;
        // Clients that join the texts of deltas would join the roles as well.
        if says_nothing && words.has_role && transcript.has_role && chunk.usage.is_none() {
            return Passage::Nothing;
        }
        let event = Self::event(transcript, data, None);
        transcript.record(data, chunk);
        Passage::Event(event)
    }

    fn event(transcript: &Transcript, data: &[u8], rest: Option<&Rest<'_>>) -> Vec<u8> {
        continued(data, transcript.identity.as_ref(), rest, transcript.has_role)
    }

    /// What the texts of a chunk say beyond the transcript. `None` when they differ from it.
    fn compare<'c>(&mut self, transcript: &Transcript, chunk: &Chunk<'c>) -> Option<Rest<'c>> {
        let mut rest = Rest::default();
        for (text, written) in chunk.words.texts.into_iter().enumerate() {
            let Some(written) = written else { continue };
            let said = text_of(written)?;
            let sent = &transcript.texts[text][self.repeated[text]..];
            if let Some(beyond) = said.strip_prefix(sent) {
                rest[text] = beyond.to_owned().into();
                self.repeated[text] += sent.len();
            } else if sent.starts_with(&*said) {
                self.repeated[text] += said.len();
            } else {
                return None;
            }
        }
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::gateway::{
        dialect::openai_chat::{DONE_EVENT, TEXT_FIELDS},
        stream::chat_stream::{ChatStream, Ending, Progress, StreamEnd},
    };

    /// One delta: the field and its text.
    type Said<'a> = (&'static str, &'a str);

    fn event(id: &str, choices: &Value) -> String {
        let chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": 7, "model": format!("of {id}"),
            "choices": choices, "provider": {"kept": id},
        });
        format!("data: {chunk}\n\n")
    }

    fn delta(id: &str, delta: &Value) -> String {
        event(id, &json!([{"index": 0, "delta": delta, "finish_reason": null}]))
    }

    fn stop(id: &str) -> String {
        event(id, &json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    }

    fn usage(id: &str) -> String {
        event(id, &json!([])).replace("\"choices\"", "\"usage\":{\"prompt_tokens\":5},\"choices\"")
    }

    /// A stream whose deltas say the given texts.
    fn stream(id: &str, said: &[Said<'_>], ends: &[String]) -> String {
        let role = delta(id, &json!({"role": "assistant", "content": ""}));
        let deltas = said.iter().map(|(field, text)| delta(id, &json!({*field: text})));
        std::iter::once(role).chain(deltas).chain(ends.iter().cloned()).collect()
    }

    fn done() -> String {
        String::from_utf8(DONE_EVENT.to_vec()).unwrap()
    }

    /// The same texts in pieces of `size` characters.
    fn again(said: &[Said<'_>], size: usize) -> Vec<(&'static str, String)> {
        let mut pieces: Vec<(&'static str, String)> = Vec::new();
        for (field, text) in said {
            for letter in text.chars() {
                match pieces.last_mut() {
                    Some((last, piece)) if last == field && piece.chars().count() < size => {
                        piece.push(letter);
                    }
                    _ => pieces.push((field, letter.to_string())),
                }
            }
        }
        pieces
    }

    fn borrowed<'a>(pieces: &'a [(&'static str, String)]) -> Vec<Said<'a>> {
        pieces.iter().map(|(field, text)| (*field, &**text)).collect()
    }

    fn feed(stream: &mut ChatStream, input: &[u8], piece: usize) -> (Vec<u8>, Option<Ending>) {
        let mut forward = BytesMut::new();
        for piece in input.chunks(piece.max(1)) {
            let output = stream.feed(Bytes::copy_from_slice(piece));
            forward.extend_from_slice(&output.forward);
            if output.ending.is_some() {
                return (forward.to_vec(), output.ending);
            }
        }
        (forward.to_vec(), None)
    }

    /// What a client makes of the bytes it got: each text by itself. Checks that all of it is of
    /// one stream.
    fn received(bytes: &[u8]) -> [String; TEXTS] {
        let mut texts: [String; TEXTS] = Default::default();
        let mut roles = 0;
        for event in std::str::from_utf8(bytes).unwrap().split_terminator("\n\n") {
            let chunk: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!((&chunk["id"], &chunk["model"]), (&json!("a"), &json!("of a")), "{event}");
            assert_eq!((&chunk["created"], chunk["provider"].is_object()), (&json!(7), true));
            let delta = &chunk["choices"][0]["delta"];
            roles += usize::from(delta["role"].is_string());
            for (text, field) in texts.iter_mut().zip(TEXT_FIELDS) {
                text.push_str(delta[field].as_str().unwrap_or_default());
            }
        }
        assert!(roles <= 1, "the role came {roles} times");
        texts
    }

    /// The first stream cut after so many bytes: what it sent, and its transcript.
    fn cut(first: &str, at: usize) -> (Vec<u8>, Transcript) {
        let mut stream = ChatStream::new(false, true);
        let (sent, _) = feed(&mut stream, &first.as_bytes()[..at], at);
        (sent, stream.into_transcript().unwrap())
    }

    fn resume(
        transcript: &Transcript,
        second: &str,
        piece: usize,
    ) -> (Vec<u8>, Option<Ending>, Progress, StreamEnd) {
        let mut stream = ChatStream::resuming(transcript.clone(), false).unwrap();
        let (sent, ending) = feed(&mut stream, second.as_bytes(), piece);
        (sent, ending, *stream.progress(), stream.end())
    }

    const ANSWERS: [&[Said<'static>]; 5] = [
        &[("content", "The "), ("content", "answer is"), ("content", " 42.")],
        &[
            ("content", "na\u{ef}ve "),
            ("content", "日本語"),
            ("content", "👩‍💻\"\\\n"),
            ("content", "é"),
        ],
        &[
            ("reasoning_content", "hm, "),
            ("reasoning_content", "so"),
            ("content", "yes"),
            ("content", "!"),
        ],
        &[("reasoning", "one"), ("content", "a"), ("reasoning", "two"), ("content", "b")],
        &[("refusal", "I "), ("refusal", "will not")],
    ];

    #[test]
    fn wherever_a_stream_is_cut_another_completes_its_text() {
        let ends: [fn(&str) -> Vec<String>; 3] = [
            |id| vec![stop(id), done()],
            |id| vec![stop(id)],
            |id| vec![stop(id), usage(id), done()],
        ];
        for (said, ends) in ANSWERS.iter().flat_map(|said| ends.map(|ends| (*said, ends))) {
            let first = stream("a", said, &ends("a"));
            let (whole, _) = cut(&first, first.len());
            let mut before = None;
            for at in 0..=first.len() {
                let (sent, transcript) = cut(&first, at);
                // Within an event nothing is sent, and nothing changes.
                if before.as_ref() == Some(&sent) {
                    continue;
                }
                before = Some(sent.clone());
                if sent.is_empty() || !transcript.can_resume() {
                    assert!(sent.is_empty() || transcript.only_end_missing());
                    continue;
                }
                for size in [1, 2, 100] {
                    let pieces = again(said, size);
                    let second = stream("b", &borrowed(&pieces), &ends("b"));
                    let (rest, ending, progress, end) = resume(&transcript, &second, second.len());
                    assert!(progress.proved && end != StreamEnd::Cut);
                    assert_ne!(ending, Some(Ending::Mismatch));
                    let all = [sent.clone(), rest].concat();
                    assert_eq!(received(&all), received(&whole), "cut at {at}, in {size}");
                    for word in ["stop", "usage"] {
                        assert_eq!(count(&all, word), count(&whole, word), "{word}");
                    }
                }
            }
        }
    }

    fn count(bytes: &[u8], word: &str) -> usize {
        std::str::from_utf8(bytes).unwrap().matches(&format!("\"{word}\"")).count()
    }

    #[test]
    fn however_the_second_stream_is_cut_into_pieces_it_gives_the_same() {
        for said in ANSWERS {
            let first = stream("a", said, &[stop("a")]);
            let pieces = again(said, 2);
            let second = stream("b", &borrowed(&pieces), &[stop("b"), usage("b"), done()]);
            for (at, _) in first.match_indices("\n\n") {
                let (_, transcript) = cut(&first, at + 2);
                if transcript.can_resume() {
                    let expected = resume(&transcript, &second, second.len());
                    for piece in [1, 7] {
                        assert_eq!(resume(&transcript, &second, piece), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_of_another_answer_is_given_out() {
        let said: &[Said<'_>] = &[("reasoning", "hm"), ("content", "The ans"), ("content", "wer")];
        let first = stream("a", said, &[]);
        let (_, transcript) = cut(&first, first.len());
        let others: [&[Said<'_>]; 8] = [
            &[("reasoning", "hm"), ("content", "The Answer is 42")],
            &[("reasoning", "hm"), ("content", "The answes")],
            &[("reasoning", "hm"), ("content", "The ans"), ("content", "Wer is 42")],
            &[("reasoning", "hm"), ("content", "The answe")],
            &[("reasoning", "h"), ("content", "The answer is 42")],
            &[("reasoning", "hm."), ("content", "The answer is 42")],
            &[("reasoning_content", "hm"), ("content", "The answer is 42")],
            &[("content", "The answer is 42")],
        ];
        for other in others {
            for piece in [1, 10_000] {
                let second = stream("b", other, &[stop("b"), done()]);
                let (sent, ending, progress, _) = resume(&transcript, &second, piece);
                assert_eq!((sent, ending), (vec![], Some(Ending::Mismatch)), "{other:?}");
                assert!(!progress.proved && progress.events == 0);
            }
        }
    }

    #[test]
    fn a_stream_that_ends_before_it_has_repeated_all_is_no_continuation() {
        let first = stream("a", &[("content", "abc")], &[]);
        let (_, transcript) = cut(&first, first.len());
        let begun = stream("b", &[("content", "ab")], &[]);
        for end in [stop("b"), done()] {
            let (sent, ending, ..) = resume(&transcript, &format!("{begun}{end}"), 10_000);
            assert_eq!((sent, ending), (vec![], Some(Ending::Mismatch)));
        }
        let (sent, ending, progress, end) = resume(&transcript, &begun, 10_000);
        assert_eq!((sent, ending, end), (vec![], None, StreamEnd::Cut));
        assert!(!progress.proved);
    }

    #[test]
    fn what_is_no_text_must_wait_until_all_is_repeated() {
        let first = stream("a", &[("content", "abc")], &[]);
        let (_, transcript) = cut(&first, first.len());
        let call = json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]});
        let early = [stream("b", &[("content", "ab")], &[]), delta("b", &call)].concat();
        assert_eq!(resume(&transcript, &early, 10_000).1, Some(Ending::Mismatch));
        let second_choice = event("b", &json!([{"index": 1, "delta": {"content": "abc"}}]));
        assert_eq!(resume(&transcript, &second_choice, 10_000).1, Some(Ending::Mismatch));

        let late = [stream("b", &[("content", "abc")], &[]), delta("b", &call), stop("b"), done()];
        let (sent, ending, progress, _) = resume(&transcript, &late.concat(), 10_000);
        let sent = String::from_utf8(sent).unwrap();
        assert!(sent.contains(&call.to_string()), "{sent}");
        assert!(progress.tool_call_begun && matches!(ending, Some(Ending::Done(_))));
        assert_eq!(progress.events, 2);
    }

    #[test]
    fn an_exact_repetition_proves_a_stream_before_it_says_more() {
        let first = stream("a", &[("content", "abc")], &[]);
        let (_, transcript) = cut(&first, first.len());
        let (sent, ending, progress, _) = resume(&transcript, &first, 10_000);
        assert_eq!((sent, ending), (vec![], None));
        assert!(progress.proved);
    }

    #[test]
    fn a_role_that_comes_with_every_chunk_is_sent_once() {
        let first = stream("a", &[("content", "abc")], &[]);
        let (sent, transcript) = cut(&first, first.len());
        let said = |text: &str| delta("b", &json!({"role": "assistant", "content": text}));
        let second = ["ab", "cd", "", "e"].map(said).concat();
        let (rest, _, progress, _) = resume(&transcript, &second, 10_000);
        assert_eq!(progress.events, 2);
        assert_eq!(received(&[sent, rest].concat())[0], "abcde");
    }

    #[test]
    fn an_error_of_the_second_stream_is_its_failure() {
        let first = stream("a", &[("content", "abc")], &[]);
        let (_, transcript) = cut(&first, first.len());
        let second =
            format!("{}data: {{\"error\":{{\"message\":\"m\"}}}}\n\n", delta("b", &json!({})));
        let (sent, ending, ..) = resume(&transcript, &second, 10_000);
        assert!(sent.is_empty() && matches!(ending, Some(Ending::Failed(_))));
    }

    #[test]
    fn usage_is_noted_also_while_text_is_repeated_and_hidden_from_who_did_not_ask() {
        let first = stream("a", &[("content", "abc")], &[]);
        let (_, transcript) = cut(&first, first.len());
        let second = stream("b", &[("content", "ab"), ("content", "cd")], &[stop("b"), usage("b")]);
        let mut stream = ChatStream::resuming(transcript, true).unwrap();
        let (sent, _) = feed(&mut stream, second.as_bytes(), 10_000);
        assert_eq!(stream.progress().usage.unwrap().input, 5);
        assert!(!String::from_utf8(sent).unwrap().contains("usage"));
        assert_eq!(stream.end(), StreamEnd::CompleteWithoutDone);
    }

    #[test]
    fn an_answer_can_be_resumed_more_than_once() {
        let said: &[Said<'_>] = &[("content", "one "), ("content", "two "), ("content", "three")];
        let first = stream("a", said, &[]);
        let (mut sent, transcript) = cut(&first, first.find("two").unwrap());
        let pieces = again(said, 3);
        let second = stream("b", &borrowed(&pieces), &[]);
        let mut resumed = ChatStream::resuming(transcript, false).unwrap();
        let until = second.find("\"hre\"").unwrap();
        sent.extend(feed(&mut resumed, &second.as_bytes()[..until], 5).0);
        assert_eq!(received(&sent)[0], "one two t");
        // One that breaks off while it repeats changes nothing.
        let mut behind = ChatStream::resuming(resumed.into_transcript().unwrap(), false).unwrap();
        assert!(feed(&mut behind, &second.as_bytes()[..until - 200], 5).0.is_empty());

        let third = stream("c", &[("content", "one two three")], &[stop("c"), done()]);
        let (rest, ending, ..) = resume(&behind.into_transcript().unwrap(), &third, 9);
        sent.extend_from_slice(&rest);
        assert!(matches!(ending, Some(Ending::Done(_))));
        assert_eq!(received(&sent)[0], "one two three");
    }

    #[test]
    fn what_cannot_be_resumed_is_not() {
        let call = delta("a", &json!({"tool_calls": [{"index": 0}]}));
        let (_, transcript) = cut(&call, call.len());
        assert!(ChatStream::resuming(transcript, false).is_none());
        let (_, finished) = cut(&stop("a"), stop("a").len());
        assert!(finished.only_end_missing());
        assert!(ChatStream::resuming(finished, false).is_none());
    }

    fn answer() -> impl Strategy<Value = Vec<(&'static str, String)>> {
        let field = prop::sample::select(&TEXT_FIELDS[..]);
        prop::collection::vec((field, "[ab\"\\\\é日👩\n]{1,6}"), 1..8)
    }

    proptest! {
        #[test]
        fn any_answer_cut_anywhere_is_completed_or_refused(
            said in answer(), other in answer(), cut_at in any::<prop::sample::Index>(),
            size in 1_usize..9, piece in 1_usize..400,
        ) {
            let first = stream("a", &borrowed(&said), &[stop("a"), done()]);
            let (whole, _) = cut(&first, first.len());
            let (sent, transcript) = cut(&first, cut_at.index(first.len()));
            prop_assume!(transcript.can_resume() && transcript.identity.is_some());

            let pieces = again(&borrowed(&said), size);
            let second = stream("b", &borrowed(&pieces), &[stop("b"), done()]);
            let (rest, ending, ..) = resume(&transcript, &second, piece);
            prop_assert!(matches!(ending, Some(Ending::Done(_))), "{ending:?}");
            prop_assert_eq!(received(&[sent.clone(), rest].concat()), received(&whole));

            // Another answer is refused without a trace, unless it begins with all that was sent.
            let stranger = stream("b", &borrowed(&other), &[stop("b"), done()]);
            let (rest, ending, ..) = resume(&transcript, &stranger, piece);
            if ending == Some(Ending::Mismatch) {
                prop_assert!(rest.is_empty());
            } else {
                let all = received(&[sent.clone(), rest].concat());
                let mut theirs: [String; TEXTS] = Default::default();
                for (field, text) in &other {
                    theirs[TEXT_FIELDS.iter().position(|name| name == field).unwrap()] += text;
                }
                prop_assert_eq!(&all, &theirs);
                for (all, sent) in all.iter().zip(received(&sent)) {
                    prop_assert!(all.starts_with(&sent));
                }
            }
        }
    }
}
