//! Waits that only a message names.

use std::time::Duration;

use crate::gateway::times::span;

/// What stands before the wait.
///
/// Sources, read 2026-11: OpenAI, and Groq in the same words,
/// <https://github.com/Pythagora-io/gpt-pilot/pull/608>; Google
/// <https://github.com/liuw1535/antigravity2api-nodejs/issues/44>.
const PHRASES: &[&str] = &["Please try again in ", "Your quota will reset after "];

/// The wait that a message names in one of the known phrases. A hint of last resort: everything
/// typed counts before it, and no class is ever read from a message.
pub fn worded_wait(message: &str) -> Option<Duration> {
    let after = PHRASES.iter().find_map(|phrase| Some(message.split_once(phrase)?.1))?;
    let text = after.split_whitespace().next()?;
    span(text.trim_end_matches(['.', ','])).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_phrases_are_read_and_nothing_else() {
        let table = [
            ("Used 286751. Please try again in 579ms. Visit https://x.test to learn more.", 579),
            ("Please try again in 1.2s.", 1_200),
            ("Please try again in 1m9.696s. Visit", 69_696),
            ("Please try again in 20s", 20_000),
            ("You have exhausted it. Your quota will reset after 161h39m41s.", 581_981_000),
        ];
        for (message, millis) in table {
            assert_eq!(worded_wait(message).map(|w| w.as_millis()), Some(millis), "{message}");
        }
        for message in [
            "",
            "Please try again in ",
            "Please try again in a few hours.",
            "Please try again in 5 minutes.",
            "Please try again in 0s.",
            "Please try again later, in 5s.",
            "wait for 5s",
        ] {
            assert_eq!(worded_wait(message), None, "{message}");
        }
    }
}
