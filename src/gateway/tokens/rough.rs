//! Tokens told from lengths alone: for answers that end before their upstream has told, at places where
//! nothing may be counted that takes time.

use std::ops::Sub;

use super::{biased, media::PER_IMAGE};
use crate::domain::{
    chat::{Content, Delta, Part},
    usage::{TokenUsage, UsedTokens},
};

/// Bytes of a token. English has 4 to 5 and code 3 to 4 of the vocabulary by which [`text`](super::text)
/// counts; of other scripts a letter has 2 to 4 bytes, and most letters a token of their own.
const ASCII_PER_TOKEN: u64 = 4;
const OTHERS_PER_TOKEN: u64 = 3;

/// What a call has around its input.
const PER_CALL_BYTES: u64 = 32;

/// How many pieces of a body are looked at, and how long each is. Some 0.1 ms of work.
const PIECES: usize = 256;
const PIECE_BYTES: usize = 256;

/// Base64 of so many bytes is taken for one picture.
const BYTES_PER_IMAGE: u64 = 512 << 10;

/// How long a text is, told apart by what a token of it takes. Costs next to nothing to add to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextLength {
    ascii: u64,
    others: u64,
}

impl TextLength {
    pub fn add(&mut self, text: &str) {
        self.add_bytes(text.as_bytes());
    }

    fn add_bytes(&mut self, text: &[u8]) {
        let others = text.iter().filter(|byte| !byte.is_ascii()).count();
        self.others += others as u64;
        self.ascii += (text.len() - others) as u64;
    }

    /// Adds what is said and of which only the length counts.
    pub fn add_ascii(&mut self, bytes: usize) {
        self.ascii += bytes as u64;
    }

    pub fn add_all(&mut self, other: Self) {
        self.ascii += other.ascii;
        self.others += other.others;
    }

    /// Adds what an event says.
    pub fn add_delta(&mut self, delta: &Delta<'_>) {
        match delta {
            Delta::Text { text, .. }
            | Delta::Refusal { text, .. }
            | Delta::Reasoning { text, .. }
            | Delta::CallInput { text, .. } => self.add(text),
            Delta::CallBegin { name, .. } => {
                self.add(name);
                self.ascii += PER_CALL_BYTES;
            }
            Delta::ReasoningSignature { signature, is_redacted: true, .. } => {
                self.ascii += signature.data.len() as u64;
            }
            Delta::Whole { part, .. } => self.add_part(part),
            _ => {}
        }
    }

    fn add_part(&mut self, part: &Part) {
        match &part.content {
            Content::Text { text, .. } | Content::Refusal(text) => self.add(text),
            Content::Opaque { json, .. } => self.add(json.as_str()),
            Content::Reasoning(thought) => self.add(&thought.text),
            Content::ToolCall(call) => {
                self.add(&call.name);
                self.add(&call.input);
                self.ascii += PER_CALL_BYTES;
            }
            Content::ToolResult(result) => result.parts.iter().for_each(|part| self.add_part(part)),
            Content::Image { .. }
            | Content::Document(_)
            | Content::Audio(_)
            | Content::Video(_) => self.ascii += PER_IMAGE * ASCII_PER_TOKEN,
        }
    }

    pub fn tokens(self) -> u64 {
        biased(self.unbiased_tokens())
    }

    pub(super) fn unbiased_tokens(self) -> u64 {
        self.ascii.div_ceil(ASCII_PER_TOKEN) + self.others.div_ceil(OTHERS_PER_TOKEN)
    }

    /// The tokens of texts that are so long, where a part of them, `counted`, has `tokens`.
    pub(super) fn derived(self, counted: Self, tokens: u64) -> u64 {
        if self == counted {
            return tokens;
        }
        let weight = |it: Self| {
            u128::from(it.ascii * OTHERS_PER_TOKEN) + u128::from(it.others * ASCII_PER_TOKEN)
        };
        let derived = (u128::from(tokens) * weight(self)).checked_div(weight(counted));
        derived.map_or(self.unbiased_tokens(), |all| u64::try_from(all).unwrap_or(u64::MAX))
    }
}

impl Sub for TextLength {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            ascii: self.ascii.saturating_sub(before.ascii),
            others: self.others.saturating_sub(before.others),
        }
    }
}

/// What an answer that is still coming has used up to now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartialUsage {
    /// What its upstream told last.
    pub told: Option<UsedTokens>,
    /// What it has said.
    pub said: TextLength,
    /// What of it was said by the time its upstream told.
    pub said_then: TextLength,
}

impl PartialUsage {
    /// What was used if nothing more comes: what the upstream has told, and what it has said since then.
    /// `prompt` tells the tokens of what was asked, for upstreams that have not.
    pub fn total(&self, prompt: impl FnOnce() -> u64) -> UsedTokens {
        let nothing = || UsedTokens::from(TokenUsage::default());
        let UsedTokens { mut tokens, mut is_estimated } = self.told.unwrap_or_else(nothing);
        if tokens.total() == tokens.output {
            tokens.input = prompt();
            is_estimated = true;
        }
        // Some tell no output before the end, but a zero.
        let untold = if tokens.output == 0 { self.said } else { self.said - self.said_then };
        let untold = untold.tokens();
        tokens.output = tokens.output.saturating_add(untold);
        UsedTokens { tokens, is_estimated: is_estimated || untold > 0 }
    }
}

/// Estimates the tokens of what a client has asked, from its body as it came: what it says and the JSON
/// around it, which costs about what the dialects' own marks do. Of a large body, only pieces are looked
/// at. Base64 is taken for pictures.
pub fn rough_prompt(body: &[u8]) -> u64 {
    let step = body.len().div_ceil(PIECES).max(PIECE_BYTES);
    let (mut text, mut data, mut seen) = (TextLength::default(), 0, 0);
    for piece in body.chunks(step).map(|part| &part[..part.len().min(PIECE_BYTES)]) {
        seen += piece.len() as u64;
        if piece.len() == PIECE_BYTES && piece.iter().all(|byte| is_base64(*byte)) {
            data += piece.len() as u64;
        } else {
            text.add_bytes(piece);
        }
    }
    let of_all = |part: u64| (part * body.len() as u64).checked_div(seen).unwrap_or(0);
    let text = TextLength { ascii: of_all(text.ascii), others: of_all(text.others) };
    text.tokens() + biased(of_all(data).div_ceil(BYTES_PER_IMAGE) * PER_IMAGE)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::gateway::tokens::text::count;

    fn length(text: &str) -> TextLength {
        let mut length = TextLength::default();
        length.add(text);
        length
    }

    #[test]
    fn lengths_tell_about_what_counting_does() {
        for text in [
            "The pool answers with the best healthy provider, and every token is accounted for. ",
            "fn add(&mut self, text: &str) { self.tokens += count(text); return self.tokens; }\n",
            r#"{"city":"Paris","days":[1,2,3],"units":"metric","note":"rain in the evening"}"#,
            "Die Straße führt über die Brücke und dann geradeaus bis zum nächsten größeren Platz. ",
            "お誕生日おめでとう。今日は良い天気ですね。明日も晴れるでしょう。",
        ] {
            let (rough, counted) = (length(text).tokens(), biased(count(text)));
            let is_near = rough * 10 >= counted * 6 && rough * 10 <= counted * 17;
            assert!(is_near, "{rough} and {counted}: {text}");
        }
        assert_eq!(length("").tokens(), 0);
    }

    #[test]
    fn what_was_told_counts_and_what_was_said_since() {
        let tokens = |input, output| TokenUsage { input, output, ..TokenUsage::default() };
        let used = |told: Option<TokenUsage>, then: &str, now: &str| {
            let told = told.map(Into::into);
            PartialUsage { told, said: length(now), said_then: length(then) }.total(|| 90)
        };
        let estimated = |tokens| UsedTokens { tokens, is_estimated: true };
        let said = length("four words were said").tokens();
        assert_eq!(used(None, "", "four words were said"), estimated(tokens(90, said)));
        assert_eq!(used(None, "", ""), estimated(tokens(90, 0)));
        assert_eq!(
            used(Some(tokens(7, 0)), "", "four words were said"),
            estimated(tokens(7, said))
        );
        assert_eq!(
            used(Some(tokens(7, 1)), "", "four words were said"),
            estimated(tokens(7, said + 1))
        );
        assert_eq!(used(Some(tokens(7, 0)), "", ""), tokens(7, 0).into());
        let whole = used(Some(tokens(7, 4)), "four words were said", "four words were said");
        assert_eq!(whole, tokens(7, 4).into(), "all of it was told");
        let cached = TokenUsage { cache_read: 5, ..TokenUsage::default() };
        assert_eq!(used(Some(cached), "", ""), cached.into(), "all of the prompt was cached");
        assert_eq!(used(Some(tokens(0, 4)), "", ""), estimated(tokens(90, 4)));
    }

    #[test]
    fn a_prompt_is_told_from_pieces_of_it_and_pictures_by_their_number() {
        let sentence = r#"{"role":"user","content":"A sentence of a few words, said again."},"#;
        let short = sentence.repeat(10);
        let counted = biased(count(&short));
        let rough = rough_prompt(short.as_bytes());
        assert!(rough * 10 >= counted * 6 && rough * 10 <= counted * 15, "{rough} and {counted}");
        let long = rough_prompt(sentence.repeat(100_000).as_bytes());
        assert!(long > rough * 9_000 && long < rough * 11_000, "{rough} and {long}");
        let picture = format!(r#"{{"data":"{}"}}"#, "iVBORw0KGgo".repeat(300_000));
        let picture = rough_prompt(picture.as_bytes());
        assert!(picture > 5 * PER_IMAGE && picture < 12 * PER_IMAGE, "{picture}");
        assert_eq!(rough_prompt(b""), 0);
    }

    #[test]
    fn the_largest_body_takes_no_time() {
        let body = vec![b'a'; 256 << 20];
        let started = Instant::now();
        rough_prompt(&body);
        assert!(started.elapsed() < Duration::from_secs(1), "all of it was looked at");
    }

    proptest! {
        #[test]
        fn a_text_in_pieces_is_as_long_as_the_whole(pieces in prop::collection::vec(".{0,20}", 0..20)) {
            let mut grown = TextLength::default();
            for piece in &pieces {
                grown.add(piece);
            }
            prop_assert_eq!(grown, length(&pieces.concat()));
        }
    }
}
