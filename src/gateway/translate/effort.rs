//! How much a model is asked to think, in the words it knows.

use crate::domain::chat::Losses;

/// All efforts, in order.
const ORDER: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// The effort that comes nearest among those that are taken, the higher one of two.
pub(super) fn nearest_effort(
    word: &'static str,
    taken: &[&'static str],
    losses: &mut Losses,
) -> &'static str {
    if taken.is_empty() || taken.contains(&word) {
        return word;
    }
    losses.note("thinking");
    let rank = |word: &str| ORDER.iter().position(|known| *known == word).unwrap_or_default();
    let wanted = rank(word);
    let near = taken.iter().rev().min_by_key(|other| rank(other).abs_diff(wanted));
    near.copied().unwrap_or(word)
}
