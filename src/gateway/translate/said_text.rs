//! What a stream has said in one place, to know it again where it is said as a whole: what the whole says
//! beyond it goes on, and a whole that says something else is not taken for said.

/// Most bytes of texts that one reader keeps. What is not kept is known by its length alone.
const MAX_KEPT: usize = 1024 * 1024;

/// The text that was said up to now.
#[derive(Debug, Default)]
pub(super) struct SaidText {
    /// Its beginning: all of it, while there is room.
    kept: String,
    length: usize,
}

impl SaidText {
    /// Adds to it. `kept`: how many bytes its reader keeps of all its texts.
    pub fn push(&mut self, text: &str, kept: &mut usize) {
        let fits = self.kept.len() == self.length && *kept + text.len() <= MAX_KEPT;
        self.length += text.len();
        if fits {
            *kept += text.len();
            self.kept.push_str(text);
        }
    }

    /// Adds another one that was kept by the same reader.
    pub fn append(&mut self, other: &Self) {
        if self.kept.len() == self.length {
            self.kept.push_str(&other.kept);
        }
        self.length += other.length;
    }

    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// As much of it as is kept.
    pub fn as_str(&self) -> &str {
        &self.kept
    }

    /// What a whole says beyond it.
    pub fn rest_of<'t>(&self, whole: &'t str) -> Option<&'t str> {
        self.rest_between(0, self.length, whole).map(|(_, rest)| rest)
    }

    /// What a whole says beyond all that was said between two places, and from where on something is left
    /// that it does not say. `None`: it says something else. What differs in its spaces is the same.
    pub fn rest_between<'t>(
        &self,
        begin: usize,
        end: usize,
        whole: &'t str,
    ) -> Option<(usize, &'t str)> {
        let kept_end = end.min(self.kept.len());
        let kept = self.kept.get(begin.min(kept_end)..kept_end)?;
        let unkept = end - begin.max(kept_end).min(end);
        if let Some(rest) = whole.strip_prefix(kept) {
            return match rest.get(unkept..) {
                Some(rest) => Some((end, rest)),
                None => Some((begin + whole.len(), "")),
            };
        }
        if let Some(at) = kept.find(whole) {
            return Some((begin + at + whole.len(), ""));
        }
        match after_words(kept, whole) {
            Some(at) => Some((begin + at, "")),
            None if whole.len() <= unkept => Some((begin, "")),
            // What is left says nothing.
            None if unkept == 0 && after_words("", kept).is_some() => Some((end, whole)),
            None => None,
        }
    }
}

/// Whether it stands for half a character, which its other half or a replacement may have joined since.
fn is_half(letter: char) -> bool {
    matches!(letter, '\u{fdd0}'..='\u{fdef}' | char::REPLACEMENT_CHARACTER)
}

/// Where the words end in a text that another one has. `None`: it has others.
fn after_words(text: &str, words: &str) -> Option<usize> {
    let has_halves = text.contains(is_half) || words.contains(is_half);
    let is_left_out = |letter: char| is_half(letter) || (has_halves && letter > '\u{ffff}');
    let is_letter = |letter: &(usize, char)| !letter.1.is_whitespace() && !is_left_out(letter.1);
    let mut letters = text.char_indices().filter(is_letter);
    let mut end = 0;
    for (_, letter) in words.char_indices().filter(is_letter) {
        let (at, _) = letters.next().filter(|(_, said)| *said == letter)?;
        end = at + letter.len_utf8();
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &[&str], kept: &mut usize) -> SaidText {
        let mut said = SaidText::default();
        for piece in pieces {
            said.push(piece, kept);
        }
        said
    }

    #[test]
    fn a_whole_goes_on_from_what_was_said_or_is_something_else() {
        let said = said(&["One ", "two"], &mut 0);
        for (whole, rest) in [
            ("One two", Some("")),
            ("One two three", Some(" three")),
            ("", Some("")),
            ("One", Some("")),
            ("two", Some("")),
            ("One\n\ntwo\n", Some("")),
            ("one two", None),
            ("One too", None),
            ("One\ntwo three", None),
            ("three", None),
        ] {
            assert_eq!(said.rest_of(whole), rest, "{whole}");
        }
        assert_eq!(SaidText::default().rest_of("a"), Some("a"));
    }

    #[test]
    fn parts_are_found_one_after_the_other() {
        let said = said(&["ab", "ab", " c"], &mut 0);
        let (next, rest) = said.rest_between(0, said.len(), "ab").unwrap();
        assert_eq!((next, rest), (2, ""));
        assert_eq!(said.rest_between(next, said.len(), "ab cd"), Some((6, "d")));
        assert_eq!(said.rest_between(2, 4, "abx"), Some((4, "x")));
        assert_eq!(said.rest_between(6, 6, "d"), Some((6, "d")));
    }

    #[test]
    fn halves_of_characters_are_known_however_they_were_joined() {
        for pieces in [["a \u{fdd0}\u{fdd1}", "\u{fdd2} b"], ["a \u{fffd}", "\u{fffd} b"]] {
            let said = said(&pieces, &mut 0);
            for (whole, rest) in
                [("a 😀 b", Some("")), ("a \u{fffd} b", Some("")), ("a 😀 c", None)]
            {
                assert_eq!(said.rest_of(whole), rest, "{whole}");
            }
        }
        assert_eq!(said(&["a😀"], &mut 0).rest_of("a🙂"), None);
        assert_eq!(said(&[" \n"], &mut 0).rest_of("a"), Some("a"));
    }

    #[test]
    fn what_is_not_kept_is_known_by_its_length() {
        let mut kept = MAX_KEPT - 3;
        let said = said(&["abc", "d", "", "e"], &mut kept);
        assert_eq!((said.as_str(), said.len(), kept), ("abc", 5, MAX_KEPT));
        assert_eq!(said.rest_of("abcdef"), Some("f"));
        assert_eq!(said.rest_of("abcd"), Some(""));
        assert_eq!(said.rest_of("xyz"), None);
        assert_eq!(said.rest_between(4, 5, "ef"), Some((5, "f")));
        let mut all = SaidText::default();
        all.append(&said);
        all.append(&said);
        assert_eq!((all.as_str(), all.len()), ("abc", 10));
    }
}
