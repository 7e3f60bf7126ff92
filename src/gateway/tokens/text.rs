//! Tokens of texts.

use std::sync::OnceLock;

use tiktoken_rs::CoreBPE;

use super::rough::TextLength;

/// Longest text that is counted at once, in bytes. The vocabulary's own way of finding words looks
/// back, and gives up with a panic after a million steps: a run of white space takes half the square
/// of its length, so that within a window it stays far from that, and costs little more than prose.
const WINDOW: usize = 256;

/// Bytes per token of dense text. Prose has 4 to 5.
const BYTES_PER_TOKEN: u64 = 3;

/// GPT-4's vocabulary. For other languages than English it gives more tokens than later ones.
static VOCABULARY: OnceLock<CoreBPE> = OnceLock::new();

/// Unpacks the vocabulary, where that was not done: some 0.1 s of work.
pub(super) fn vocabulary() -> &'static CoreBPE {
    let unpack = || tiktoken_rs::cl100k_base().expect("the vocabulary is part of the program");
    VOCABULARY.get_or_init(unpack)
}

/// The vocabulary, if it takes no time to have it.
fn ready_vocabulary() -> Option<&'static CoreBPE> {
    if cfg!(test) { Some(vocabulary()) } else { VOCABULARY.get() }
}

/// Counts a text of any length, all of it.
#[cfg(test)]
pub(super) fn count(text: &str) -> u64 {
    let mut tokens = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (window, after) = rest.split_at(window_end(rest));
        tokens += count_window(vocabulary(), window);
        rest = after;
    }
    tokens
}

fn count_window(vocabulary: &CoreBPE, window: &str) -> u64 {
    u64::try_from(vocabulary.count_ordinary(window)).unwrap_or(u64::MAX)
}

/// Where to cut `text` so that no more than a [`WINDOW`] is before the cut: before the last white
/// space there, where words begin, else after a character.
fn window_end(text: &str) -> usize {
    if text.len() <= WINDOW {
        return text.len();
    }
    let end = text.floor_char_boundary(WINDOW);
    let words = text[..end].rfind([' ', '\n', '\t']).filter(|at| *at > 0);
    words.unwrap_or(end)
}

/// Texts that come in pieces, and of which all, or windows spread evenly over them, are counted: the others
/// are taken to be like those. However the texts are cut into pieces, it gives the same.
#[derive(Debug)]
pub(super) struct Sample {
    /// Most bytes that are counted.
    most: usize,
    /// What is to be counted.
    kept: Vec<String>,
    kept_bytes: usize,
    /// What may still grow into another word: at most a [`WINDOW`] and one piece's last characters.
    held: String,
    /// One window of so many is kept.
    stride: usize,
    /// Bytes that come next and are not kept.
    skip: usize,
    /// How long all texts are.
    length: TextLength,
    /// Bytes of texts that are not here.
    unseen_bytes: u64,
}

impl Sample {
    /// `most`: bytes that are counted, at most. A vocabulary takes 0.1 ms for each KiB, and not many times
    /// that for texts made to be slow.
    pub fn of_at_most(most: usize) -> Self {
        Self {
            most,
            kept: Vec::new(),
            kept_bytes: 0,
            held: String::new(),
            stride: 1,
            skip: 0,
            length: TextLength::default(),
            unseen_bytes: 0,
        }
    }

    pub fn add(&mut self, piece: &str) {
        self.length.add(piece);
        let mut rest = piece;
        while !rest.is_empty() {
            if self.skip > 0 {
                let skipped = rest.ceil_char_boundary(self.skip);
                self.skip = self.skip.saturating_sub(skipped);
                rest = &rest[skipped..];
                continue;
            }
            let room = (WINDOW + 4).saturating_sub(self.held.len());
            let taken = rest.floor_char_boundary(room.max(4));
            self.held.push_str(&rest[..taken]);
            rest = &rest[taken..];
            // Only once there is more than a window is it known where to cut it.
            while self.held.len() > WINDOW {
                let after = self.held.split_off(window_end(&self.held));
                let window = std::mem::replace(&mut self.held, after);
                self.keep(window);
                let skipped = self.held.ceil_char_boundary(self.skip);
                self.skip = self.skip.saturating_sub(skipped);
                self.held.drain(..skipped);
            }
        }
    }

    /// Adds a text of which only the length is known.
    pub fn add_bytes(&mut self, bytes: usize) {
        self.unseen_bytes = self.unseen_bytes.saturating_add(bytes as u64);
    }

    /// The text ends here: what follows is another.
    pub fn break_off(&mut self) {
        if !self.held.is_empty() {
            let window = std::mem::take(&mut self.held);
            self.keep(window);
        }
    }

    fn keep(&mut self, window: String) {
        self.kept_bytes += window.len();
        self.kept.push(window);
        while self.kept_bytes > self.most && self.kept.len() > 1 {
            let mut is_dropped = true;
            self.kept.retain(|_| {
                is_dropped = !is_dropped;
                !is_dropped
            });
            self.kept_bytes = self.kept.iter().map(String::len).sum();
            self.stride *= 2;
        }
        self.skip = self.skip.saturating_add((self.stride - 1) * WINDOW);
    }

    pub fn tokens(&self) -> u64 {
        let unseen = self.unseen_bytes.div_ceil(BYTES_PER_TOKEN);
        let Some(vocabulary) = ready_vocabulary() else {
            return self.length.unbiased_tokens().saturating_add(unseen);
        };
        let (mut counted, mut tokens) = (TextLength::default(), 0);
        for window in self.kept.iter().chain([&self.held]) {
            counted.add(window);
            tokens += count_window(vocabulary, window);
        }
        self.length.derived(counted, tokens).saturating_add(unseen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sampled(most: usize, texts: &[&str]) -> Sample {
        let mut sample = Sample::of_at_most(most);
        for text in texts {
            sample.add(text);
            sample.break_off();
        }
        sample
    }

    #[test]
    fn texts_have_the_tokens_that_openai_counts() {
        // Source: the examples of OpenAI's cookbook, "How to count tokens with tiktoken" (2026-11).
        let known =
            [("antidisestablishmentarianism", 6), ("2 + 2 = 4", 7), ("お誕生日おめでとう", 9)];
        for (text, tokens) in known {
            assert_eq!(sampled(1 << 10, &[text]).tokens(), tokens, "{text}");
        }
        assert_eq!(sampled(1 << 10, &[]).tokens(), 0);
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
        let exact = count_window(vocabulary(), &text);
        assert!(count(&text).abs_diff(exact) <= exact / 100);
        assert_eq!(sampled(1 << 20, &[&text]).tokens(), count(&text));
    }

    #[test]
    fn long_runs_are_counted_without_a_panic() {
        for run in [" ", "\n", "a", "\u{a0}", "\n ", "0", "'s"] {
            assert!(count(&run.repeat(8 * WINDOW)) > 0);
        }
    }

    #[test]
    fn a_few_windows_tell_about_what_all_do_and_no_more_is_counted() {
        let prose = "The pool answers with the best healthy provider, and all is accounted for. ";
        let code = "fn add(&mut self, text: &str) { self.tokens += count(text); return; }\n";
        let wide = "お誕生日おめでとう。今日は良い天気ですね。明日も晴れるでしょう。";
        let long = [prose.repeat(900), code.repeat(700), wide.repeat(200)];
        let texts: Vec<&str> = long.iter().map(String::as_str).collect();
        for texts in [&texts[..1], &texts[1..2], &texts[2..], &texts[..2], &texts] {
            let all: u64 = texts.iter().map(|text| count(text)).sum();
            for most in [1 << 11, 1 << 15] {
                let sample = sampled(most, texts);
                assert!(sample.kept_bytes <= most && sample.kept_bytes >= most / 3);
                let told = sample.tokens();
                assert!(told.abs_diff(all) <= all / 5, "{told} and {all} of {most}");
            }
        }
    }

    #[test]
    fn a_length_alone_is_taken_for_dense_text() {
        let mut sample = sampled(1 << 10, &[]);
        sample.add_bytes(3_000);
        assert_eq!(sample.tokens(), 1_000);
        sample.add_bytes(usize::MAX);
        assert!(sample.tokens() > 1_000);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_text_has_tokens_and_none_has_more_than_bytes(text in "\\PC{1,80}|[ \n]{1,2000}") {
            let tokens = count(&text);
            prop_assert!(tokens >= 1 && tokens <= text.len() as u64);
        }

        #[test]
        fn texts_have_the_same_tokens_however_they_are_cut(
            pieces in prop::collection::vec("[a-zé語 ]{0,900}", 0..40),
        ) {
            let whole = pieces.concat();
            let mut sample = Sample::of_at_most(1 << 10);
            for piece in &pieces {
                sample.add(piece);
            }
            sample.break_off();
            let expected = sampled(1 << 10, &[&whole]);
            prop_assert_eq!(&sample.kept, &expected.kept);
            prop_assert_eq!(sample.tokens(), expected.tokens());
        }
    }
}
