//! Tokens of an answer, counted while it comes.

use super::{
    biased,
    prompt::Prompt,
    text::{self, WINDOW},
};
use crate::domain::chat::{Answer, Delta, deltas_of};

/// Estimates the tokens of an answer from its deltas. Holds no more than a few windows of text, and
/// however the texts are cut into deltas, gives the same.
#[derive(Debug, Default)]
pub struct OutputEstimate {
    words: Counter,
    thoughts: Counter,
}

impl OutputEstimate {
    pub fn of_answer(answer: &Answer) -> Self {
        let mut estimate = Self::default();
        for delta in &deltas_of(answer) {
            estimate.add(delta);
        }
        estimate
    }

    /// Adds what an event says.
    pub fn add(&mut self, delta: &Delta<'_>) {
        match delta {
            Delta::Text { text, .. }
            | Delta::Refusal { text, .. }
            | Delta::CallInput { text, .. } => self.words.add(text),
            Delta::CallBegin { name, .. } => {
                self.words.break_off();
                self.words.add(name);
                self.words.break_off();
            }
            Delta::Reasoning { text, .. } => self.thoughts.add(text),
            Delta::ReasoningSeal { seal, is_redacted: true, .. } => {
                self.thoughts.tokens += (seal.data.len() as u64).div_ceil(4);
            }
            Delta::Whole { part, .. } => {
                let mut whole = Prompt::default();
                whole.part(part);
                self.words.tokens = self.words.tokens.saturating_add(whole.counted());
            }
            Delta::Break { .. } | Delta::Stop { .. } => {
                self.words.break_off();
                self.thoughts.break_off();
            }
            Delta::Begin { .. }
            | Delta::Tier(_)
            | Delta::ReasoningBegin { .. }
            | Delta::ReasoningSeal { .. }
            | Delta::Citation { .. }
            | Delta::Logprobs { .. }
            | Delta::Usage(_) => (),
        }
    }

    /// All that was generated up to now, thoughts included.
    pub fn tokens(&self) -> u64 {
        biased(self.words.tokens().saturating_add(self.thoughts.tokens()))
    }

    /// The share of it that was spent on thoughts.
    pub fn reasoning(&self) -> u64 {
        biased(self.thoughts.tokens())
    }
}

/// Counts a text that comes in pieces. What may still grow into another word is held.
#[derive(Debug, Default)]
struct Counter {
    tokens: u64,
    /// At most a [`WINDOW`] and one piece's last characters.
    held: String,
}

impl Counter {
    fn add(&mut self, piece: &str) {
        let mut rest = piece;
        while !rest.is_empty() {
            let room = (WINDOW + 4).saturating_sub(self.held.len());
            let taken = rest.floor_char_boundary(room.max(4));
            self.held.push_str(&rest[..taken]);
            rest = &rest[taken..];
            // Only once there is more than a window is it known where to cut it.
            while self.held.len() > WINDOW {
                let end = text::window_end(&self.held);
                self.tokens += text::count(&self.held[..end]);
                self.held.drain(..end);
            }
        }
    }

    /// The text ends here: what follows is another.
    fn break_off(&mut self) {
        self.tokens = self.tokens();
        self.held.clear();
    }

    fn tokens(&self) -> u64 {
        self.tokens.saturating_add(text::count(&self.held))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::chat::{
            Dialect,
            arbitrary::{self, Vocabulary},
        },
        gateway::tokens::estimated_usage,
    };

    fn text(text: &str) -> Delta<'_> {
        Delta::Text { choice: 0, text: text.into() }
    }

    fn thought(text: &str) -> Delta<'_> {
        Delta::Reasoning { choice: 0, text: text.into(), is_summary: false }
    }

    #[test]
    fn a_text_has_the_same_tokens_however_it_comes() {
        let whole = "Ein längerer Satz, 語 und 🙂 zum Zählen. ".repeat(200);
        let mut at_once = OutputEstimate::default();
        at_once.add(&text(&whole));
        let mut letter_by_letter = OutputEstimate::default();
        for letter in whole.chars() {
            letter_by_letter.add(&text(letter.encode_utf8(&mut [0; 4])));
            assert!(letter_by_letter.words.held.len() <= WINDOW);
        }
        assert_eq!(at_once.tokens(), letter_by_letter.tokens());
        assert!(at_once.tokens() > 2_000);
    }

    #[test]
    fn thoughts_are_a_share_of_the_output() {
        let mut estimate = OutputEstimate::default();
        estimate.add(&thought("hmm, let me see"));
        estimate.add(&text("hello world"));
        let usage = estimated_usage(7, &estimate);
        assert!(usage.is_estimated);
        assert_eq!(usage.tokens.input, 7);
        let reasoning = usage.reasoning.unwrap();
        assert!(reasoning >= 5 && usage.tokens.output >= reasoning + 2);
        assert_eq!(estimated_usage(7, &OutputEstimate::default()).reasoning, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn an_answer_has_the_same_tokens_whole_and_in_pieces(
            (answer, pieces) in arbitrary::deltas(Vocabulary::all(Dialect::Responses)),
        ) {
            let whole = OutputEstimate::of_answer(&answer);
            let mut estimate = OutputEstimate::default();
            for piece in &pieces {
                estimate.add(piece);
            }
            prop_assert_eq!(estimate.tokens(), whole.tokens());
            prop_assert_eq!(estimate.reasoning(), whole.reasoning());
        }
    }
}
