//! What a client has been sent of an answer, so that another stream can go on where it broke off.

use crate::gateway::dialect::openai_chat::{Chunk, Identity, Rest, TEXTS, text_of};

/// Most text that is kept of one answer, in bytes. A longer one cannot be resumed.
pub const MAX_TRANSCRIPT_BYTES: usize = 256 * 1024;

/// What has been forwarded of a stream of Chat Completions chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    /// That of the first chunk that was about a choice.
    pub(super) identity: Option<Identity>,
    pub(super) texts: [String; TEXTS],
    /// All texts together.
    bytes: usize,
    pub(super) has_role: bool,
    /// Whether something was sent that cannot be compared, or too much.
    is_lost: bool,
    choices: u128,
    finished: u128,
}

impl Transcript {
    /// Whether another stream may be continued in place of the one this is of: only text of a
    /// single choice was sent, all of it is here, and the answer was not at its end.
    pub fn can_resume(&self) -> bool {
        !self.is_lost && self.finished == 0
    }

    /// Whether every choice that was begun has been given a finish reason: nobody needs to be asked
    /// again, the client has the whole answer. At most the usage chunk is missing.
    pub fn only_end_missing(&self) -> bool {
        self.finished != 0 && self.choices == self.finished
    }

    /// Adds a chunk that is forwarded as it came.
    pub(super) fn record(&mut self, data: &[u8], chunk: &Chunk<'_>) {
        if !self.is_kept(data, chunk) {
            return;
        }
        for (at, written) in chunk.words.texts.iter().enumerate() {
            let Some(written) = written else { continue };
            match text_of(written) {
                Some(text) => self.add(at, &text),
                None => self.lose(),
            }
        }
    }

    /// Adds a chunk of whose texts only `rest` is forwarded.
    pub(super) fn record_rest(&mut self, data: &[u8], chunk: &Chunk<'_>, rest: &Rest<'_>) {
        if self.is_kept(data, chunk) {
            for (at, text) in rest.iter().enumerate() {
                self.add(at, text);
            }
        }
    }

    /// Adds all of a chunk but its texts. Says whether these are to be added.
    fn is_kept(&mut self, data: &[u8], chunk: &Chunk<'_>) -> bool {
        self.choices |= chunk.choices;
        self.finished |= chunk.finished;
        // Without a choice it has no part in the answer.
        if self.is_lost || chunk.choices == 0 {
            return false;
        }
        if self.identity.is_none() {
            self.identity = Identity::parse(data);
        }
        self.has_role |= chunk.words.has_role;
        if chunk.words.has_more || self.identity.is_none() {
            self.lose();
        }
        !self.is_lost
    }

    fn add(&mut self, at: usize, text: &str) {
        self.bytes += text.len();
        if self.bytes > MAX_TRANSCRIPT_BYTES {
            self.lose();
        }
        if !self.is_lost {
            self.texts[at].push_str(text);
        }
    }

    /// Something was sent that cannot be compared.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
        self.texts = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(chunks: &[&str]) -> Transcript {
        let mut transcript = Transcript::default();
        for data in chunks {
            transcript.record(data.as_bytes(), &Chunk::parse(data.as_bytes()).unwrap());
        }
        transcript
    }

    const HELLO: &str = r#"{"id":"a","choices":[{"index":0,"delta":{"content":"hello"}}]}"#;
    const STOP: &str = r#"{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

    #[test]
    fn texts_are_put_together_each_by_itself() {
        let kept = transcript(&[
            r#"{"choices":[],"prompt_filter_results":[],"id":""}"#,
            r#"{"id":"a","choices":[{"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"id":"b","choices":[{"delta":{"reasoning":"h\u006d","content":null}}]}"#,
            HELLO,
            r#"{"id":"a","choices":[{"delta":{"content":"\n\"\u00e9\ud83d\ude00"}}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":1}}"#,
        ]);
        assert!(kept.can_resume() && !kept.only_end_missing() && kept.has_role);
        assert_eq!(kept.texts, ["hello\n\"é😀", "", "hm", ""]);
        assert_eq!(kept.identity, Identity::parse(br#"{"id":"a"}"#));
    }

    #[test]
    fn what_is_more_than_text_cannot_be_resumed() {
        let long =
            format!(r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "x".repeat(100_000));
        assert!(transcript(&[&long, &long]).can_resume());
        assert!(!transcript(&[&long, &long, &long]).can_resume());
        for odd in [
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
            r#"{"choices":[{"delta":{"function_call":{"name":"f"}}}]}"#,
            r#"{"choices":[{"delta":{"audio":{"id":"x"}}}]}"#,
            r#"{"choices":[{"delta":{"content":[{"type":"text"}]}}]}"#,
            r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#,
            r#"{"choices":[{"delta":{"content":"x"},"logprobs":{"content":[]}}]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#,
        ] {
            let kept = transcript(&[HELLO, odd, HELLO]);
            assert!(!kept.can_resume(), "{odd}");
            assert_eq!(kept.texts, Transcript::default().texts, "{odd}");
        }
    }

    #[test]
    fn after_the_finish_reason_of_every_choice_only_the_end_is_missing() {
        let finished = transcript(&[HELLO, STOP]);
        assert!(finished.only_end_missing() && !finished.can_resume());
        let second = r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#;
        let half = transcript(&[HELLO, second, STOP]);
        assert!(!half.only_end_missing() && !half.can_resume());
        assert!(!transcript(&[]).only_end_missing());
    }
}
