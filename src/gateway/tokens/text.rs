//! Tokens of texts.

use std::sync::LazyLock;

use tiktoken_rs::CoreBPE;

/// Most bytes of one prompt whose tokens are counted, and not derived from those that were: some
/// 30 ms of work, and not many times that for texts made to be slow.
const COUNTED_BYTES: usize = 256 * 1024;

/// Longest text that is counted at once, in bytes. The vocabulary's own way of finding words looks
/// back, and gives up with a panic after a million steps: a run of white space takes half the square
/// of its length, so that within a window it stays far from that, and costs little more than prose.
pub(super) const WINDOW: usize = 256;

/// Where nothing was counted to derive from: bytes per token of dense text. Prose has 4 to 5.
const BYTES_PER_TOKEN: u64 = 3;

/// GPT-4's vocabulary. For other languages than English it gives more tokens than later ones.
/// Unpacked at the first use, which takes some 0.1 s.
static VOCABULARY: LazyLock<CoreBPE> =
    LazyLock::new(|| tiktoken_rs::cl100k_base().expect("the vocabulary is part of the program"));

/// Counts a text of any length, all of it.
pub(super) fn count(text: &str) -> u64 {
    let mut tokens = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (window, after) = rest.split_at(window_end(rest));
        tokens += u64::try_from(VOCABULARY.count_ordinary(window)).unwrap_or(u64::MAX);
        rest = after;
    }
    tokens
}

/// Where to cut `text` so that no more than a [`WINDOW`] is before the cut: before the last white
/// space there, where words begin, else after a character.
pub(super) fn window_end(text: &str) -> usize {
    if text.len() <= WINDOW {
        return text.len();
    }
    let end = text.floor_char_boundary(WINDOW);
    let words = text[..end].rfind([' ', '\n', '\t']).filter(|at| *at > 0);
    words.unwrap_or(end)
}

/// Counts texts until it has seen [`COUNTED_BYTES`], and takes the others to be like those.
#[derive(Debug, Default)]
pub(super) struct Tally {
    tokens: u64,
    counted_bytes: usize,
    other_bytes: u64,
}

impl Tally {
    pub fn add(&mut self, text: &str) {
        let left = COUNTED_BYTES - self.counted_bytes;
        let (counted, other) = text.split_at(text.floor_char_boundary(left));
        self.tokens += count(counted);
        self.counted_bytes += counted.len();
        self.add_bytes(other.len());
    }

    /// Adds a text of which only the length is known.
    pub fn add_bytes(&mut self, bytes: usize) {
        self.other_bytes = self.other_bytes.saturating_add(bytes as u64);
    }

    pub fn tokens(&self) -> u64 {
        let seen = self.counted_bytes as u64;
        let like_seen = match seen {
            0 => 0,
            _ => self.other_bytes.saturating_mul(self.tokens).div_ceil(seen),
        };
        let dense = self.other_bytes.div_ceil(BYTES_PER_TOKEN);
        self.tokens.saturating_add(like_seen.max(dense))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_have_the_tokens_that_openai_counts() {
        // Source: the examples of OpenAI's cookbook, "How to count tokens with tiktoken" (2026-11).
        let known =
            [("antidisestablishmentarianism", 6), ("2 + 2 = 4", 7), ("お誕生日おめでとう", 9)];
        for (text, tokens) in known {
            assert_eq!(count(text), tokens, "{text}");
        }
        assert_eq!(count(""), 0);
    }

    #[test]
    fn windows_begin_at_words_and_hold_whole_characters() {
        let words = "word ".repeat(1000);
        assert_eq!(window_end(&words), 254);
        assert_eq!(window_end("short"), 5);
        let wide = "語".repeat(1000);
        assert_eq!(window_end(&wide), 255);
        let last_space = format!(" {}", "x".repeat(2000));
        assert_eq!(window_end(&last_space), WINDOW);
    }

    #[test]
    fn cutting_a_text_into_windows_hardly_changes_its_tokens() {
        let text = "Some prose, and then fn main() { println!(\"code\"); }\n".repeat(200);
        let exact = VOCABULARY.count_ordinary(&text) as u64;
        assert!(count(&text).abs_diff(exact) <= exact / 100);
    }

    #[test]
    fn long_runs_are_counted_without_a_panic_and_in_time() {
        let started = std::time::Instant::now();
        for run in [" ", "\n", "a", "\u{a0}", "\n ", "0", "'s"] {
            assert!(count(&run.repeat(8 * WINDOW)) > 0);
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(5));
    }

    #[test]
    fn past_the_limit_a_text_is_taken_to_be_like_what_was_counted() {
        let sentence = "A sentence of a few words. ";
        let mut tally = Tally::default();
        tally.add(&sentence.repeat(COUNTED_BYTES / sentence.len() + 1));
        let once = tally.tokens();
        let started = std::time::Instant::now();
        for _ in 0..100 {
            tally.add(&sentence.repeat(COUNTED_BYTES / sentence.len() + 1));
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(1), "they are not counted");
        let all = tally.tokens();
        assert!(all >= once * 100 && all < once * 150, "{once} and {all}");
    }

    #[test]
    fn a_length_alone_is_taken_for_dense_text() {
        let mut tally = Tally::default();
        tally.add_bytes(3_000);
        assert_eq!(tally.tokens(), 1_000);
        tally.add_bytes(usize::MAX);
        assert!(tally.tokens() > 1_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_text_has_tokens_and_none_has_more_than_bytes(text in "\\PC{1,80}|[ \n]{1,2000}") {
            let tokens = count(&text);
            prop_assert!(tokens >= 1 && tokens <= text.len() as u64);
        }
    }
}
