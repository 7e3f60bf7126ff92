//! Tokens of an answer, counted while it comes.

use super::{biased, prompt::Prompt};
use crate::domain::chat::{Answer, Delta, deltas_of};

/// Estimates the tokens of an answer from its deltas. Holds no more than a few windows of text, and
/// however the texts are cut into deltas, gives the same.
#[derive(Debug, Default)]
pub struct OutputEstimate {
    words: Prompt,
    thoughts: Prompt,
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
            | Delta::CallInput { text, .. } => self.words.piece(text),
            Delta::CallBegin { name, .. } => {
                self.words.break_off();
                self.words.text(name);
            }
            Delta::Reasoning { text, .. } => self.thoughts.piece(text),
            Delta::ReasoningSignature { signature, is_redacted: true, .. } => {
                self.thoughts.fix((signature.data.len() as u64).div_ceil(4));
            }
            Delta::Whole { part, .. } => {
                self.words.break_off();
                self.words.part(part);
            }
            Delta::Break { .. } | Delta::Stop { .. } => {
                self.words.break_off();
                self.thoughts.break_off();
            }
            Delta::Begin { .. }
            | Delta::Tier(_)
            | Delta::ReasoningBegin { .. }
            | Delta::ReasoningSignature { .. }
            | Delta::Citation { .. }
            | Delta::Logprobs { .. }
            | Delta::Usage(_) => (),
        }
    }

    /// All that was generated up to now, thoughts included, and the share of it that was spent on
    /// thoughts.
    pub fn tokens(&self) -> (u64, u64) {
        let thoughts = self.thoughts.counted();
        (biased(self.words.counted().saturating_add(thoughts)), biased(thoughts))
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
        }
        assert_eq!(at_once.tokens(), letter_by_letter.tokens());
        assert!(at_once.tokens().0 > 2_000);
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
        }
    }
}
