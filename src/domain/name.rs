//! Names that people and clients make up: stored, shown, and put into headers and logs.

use std::fmt::{self, Write as _};

/// Names less alike than this are not suggested. 0 is nothing alike, 1 is equal.
const LIKENESS: f64 = 0.7;

/// Whether a character has no place in a name. Control characters end lines and move cursors, NUL is
/// refused by PostgreSQL, and the others make a line look like another one.
///
/// Source: Unicode 16, general categories Cc, Zl and Zp, and the controls of its bidirectional
/// algorithm (UAX #9, §2).
pub fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}')
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What keeps `text` from being a name of at most `longest` characters. White space around it does
/// not count.
pub fn fault_of_name(text: &str, longest: usize) -> Option<String> {
    if text.trim().is_empty() || text.chars().count() > longest {
        return Some(format!("must have 1 to {longest} characters"));
    }
    fault_of_letters(text).map(str::to_owned)
}

/// What keeps a text of any length from being stored and shown.
pub fn fault_of_letters(text: &str) -> Option<&'static str> {
    text.contains(is_unprintable)
        .then_some("holds a control character, such as NUL or a line break")
}

/// A text as it is printed, whatever is in it: what is unprintable stands there escaped.
#[derive(Debug, Clone, Copy)]
pub struct Printable<'t>(pub &'t str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            if is_unprintable(letter) {
                write!(f, "{}", letter.escape_default())?;
            } else {
                f.write_char(letter)?;
            }
        }
        Ok(())
    }
}

/// The known name that was meant by one that is not known, if any is near.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let likely = known.iter().map(|word| (strsim::jaro_winkler(name, word), *word));
    let nearest = likely.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (nearest.0 >= LIKENESS).then_some(nearest.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_printable_and_has_a_length() {
        for good in ["a", " laptop ", "Büro 🙂", "日本語", &"é".repeat(8)] {
            assert_eq!(fault_of_name(good, 8), None, "{good:?}");
        }
        for bad in
            ["", " ", "123456789", "a\0", "a\nb", "\u{1b}[2J", "a\u{85}", "a\u{202e}b", "\u{7f}"]
        {
            assert!(fault_of_name(bad, 8).is_some(), "{bad:?} was taken");
        }
    }

    #[test]
    fn what_is_unprintable_is_printed_escaped() {
        assert_eq!(
            Printable("a\0b\n\u{1b}[2Jé\u{202e}").to_string(),
            r"a\u{0}b\n\u{1b}[2Jé\u{202e}"
        );
        assert_eq!(Printable("plain \\ text").to_string(), "plain \\ text");
    }
}
