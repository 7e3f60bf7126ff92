//! The order of model names by the versions in them: `gpt-10` above `gpt-9`.

use std::cmp::Ordering;

/// Compares two model names by what stands in them, part by part: numbers by value, words by their
/// letters, case apart. A further number is a newer version (`claude-sonnet-4-5` above
/// `claude-sonnet-4`), a further word a lesser variant (`gpt-5` above `gpt-5-mini`). Dates count
/// last: a later one is above an earlier one, and a name without one above both, since vendors
/// move it to their latest. Total: equal only for equal names.
pub fn by_version(a: &str, b: &str) -> Ordering {
    let (a_parts, b_parts) = (Parts::of(a), Parts::of(b));
    let by_parts = a_parts.parts.cmp(&b_parts.parts);
    by_parts.then_with(|| a_parts.date.cmp(&b_parts.date)).then_with(|| a.cmp(b))
}

/// A name taken apart.
struct Parts {
    /// Ends with [`Part::End`], so that the end itself has its place in the order.
    parts: Vec<Part>,
    date: Date,
}

/// What a name is made of; what is declared later is above.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// A word on its own, in lower case.
    Word(String),
    End,
    /// A size such as `70b` or `128k`: says nothing of the version.
    Size(Digits),
    /// Letters right after a number, as the `o` of `4o`.
    Suffix(String),
    Number(Digits),
}

/// A name without a date is above one with a date.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Date {
    On(Digits),
    None,
}

/// A number of any length: how many digits after the leading zeros, then the digits.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Digits(usize, String);

impl Digits {
    fn of(text: &str) -> Self {
        let text = text.trim_start_matches('0');
        Self(text.len(), text.to_owned())
    }
}

impl Parts {
    fn of(name: &str) -> Self {
        let mut parts = Vec::new();
        let mut date = Date::None;
        let mut rest = name;
        let mut follows_digit = false;
        while let Some(first) = rest.chars().next() {
            if !first.is_alphanumeric() {
                rest = &rest[first.len_utf8()..];
                follows_digit = false;
                continue;
            }
            let (run, after) = split_run(rest, first.is_ascii_digit());
            rest = after;
            if !first.is_ascii_digit() {
                let word = run.to_lowercase();
                parts.push(if follows_digit { Part::Suffix(word) } else { Part::Word(word) });
                follows_digit = false;
            } else if let Some((digits, after)) = split_date(run, after) {
                date = Date::On(Digits::of(&digits));
                rest = after;
            } else if let Some(after) = strip_unit(after) {
                parts.push(Part::Size(Digits::of(run)));
                rest = after;
            } else {
                parts.push(Part::Number(Digits::of(run)));
                follows_digit = true;
            }
        }
        parts.push(Part::End);
        Self { parts, date }
    }
}

/// The digits, or the letters, that `text` begins with, and what follows them.
fn split_run(text: &str, digits: bool) -> (&str, &str) {
    let goes_on = |c: char| c.is_alphanumeric() && c.is_ascii_digit() == digits;
    text.split_at(text.find(|c| !goes_on(c)).unwrap_or(text.len()))
}

/// The digits of a date that begins with `run`, and what follows it: `20250929`, `250414`, `0613`,
/// or `2024-08-06`. No version has four digits in a row.
fn split_date<'n>(run: &str, after: &'n str) -> Option<(String, &'n str)> {
    if !matches!(run.len(), 4 | 6 | 8) || after.starts_with(char::is_alphanumeric) {
        return None;
    }
    let mut digits = run.to_owned();
    let mut rest = after;
    // Month and day, when they stand apart.
    while run.len() == 4 && digits.len() < 8 {
        let Some(part) = rest.strip_prefix('-') else { break };
        let (part, after) = split_run(part, true);
        if part.len() != 2 || after.starts_with(char::is_alphanumeric) {
            break;
        }
        digits.push_str(part);
        rest = after;
    }
    Some((digits, rest))
}

/// What follows a unit of sizes: one letter that ends a word.
fn strip_unit(text: &str) -> Option<&str> {
    let after = text.strip_prefix(['b', 'B', 'k', 'K', 'm', 'M'])?;
    (!after.starts_with(char::is_alphanumeric)).then_some(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_descending(names: &[&str]) {
        for (i, above) in names.iter().enumerate() {
            for below in &names[i + 1..] {
                assert_eq!(by_version(above, below), Ordering::Greater, "{above} over {below}");
                assert_eq!(by_version(below, above), Ordering::Less, "{below} under {above}");
            }
        }
    }

    #[test]
    fn numbers_are_compared_by_value() {
        assert_descending(&["gpt-10", "gpt-9", "gpt-5.10", "gpt-5.9", "gpt-5"]);
        assert_descending(&["m-184467440737095516160", "m-99999999999999999999"]);
    }

    #[test]
    fn a_further_number_is_newer_and_a_further_word_is_less() {
        assert_descending(&["claude-sonnet-4-5", "claude-sonnet-4"]);
        assert_descending(&["gpt-5.1", "gpt-5", "gpt-5-mini", "gpt-4.1", "gpt-4o", "gpt-4"]);
    }

    #[test]
    fn a_date_does_not_beat_a_version() {
        assert_descending(&[
            "claude-sonnet-4-5",
            "claude-sonnet-4-5-20250929",
            "claude-sonnet-4",
            "claude-sonnet-4-20250514",
        ]);
        assert_descending(&["gpt-4o", "gpt-4o-2024-11-20", "gpt-4o-2024-08-06", "gpt-4-0613"]);
        assert_descending(&["glm-4.5", "glm-4-250414"]);
    }

    #[test]
    fn a_size_does_not_beat_a_version() {
        assert_descending(&["qwen3.5-4b", "qwen3-235b", "qwen3-8B", "qwen2.5-72b"]);
        assert_descending(&["llama-3.3-70b", "llama-3.1-405b", "llama-3.1-8b"]);
        assert_descending(&["moonshot-v1-128k", "moonshot-v1-32k", "moonshot-v1-8k"]);
    }

    #[test]
    fn case_decides_only_between_names_that_are_otherwise_the_same() {
        assert_descending(&["GLM-5", "glm-4"]);
        assert_descending(&["glm-4", "GLM-4"]);
    }

    proptest! {
        #[test]
        fn it_is_a_total_order(mut names in prop::collection::vec("[abkA0-9é.-]{0,12}", 3)) {
            names.sort_by(|a, b| by_version(a, b));
            prop_assert!(by_version(&names[0], &names[2]).is_le());
            for a in &names {
                for b in &names {
                    prop_assert_eq!(by_version(a, b), by_version(b, a).reverse());
                    prop_assert_eq!(by_version(a, b).is_eq(), a == b);
                }
            }
        }
    }
}
