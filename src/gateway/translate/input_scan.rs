//! Whether the input of a call is complete, told from its pieces as they pass by.

/// Follows JSON without parsing it: how deep it is, and whether it is within a text.
#[derive(Debug, Default)]
pub(super) struct InputScan {
    depth: u32,
    is_in_text: bool,
    is_escaped: bool,
    /// Whether an object has begun and ended.
    is_complete: bool,
    /// Its first byte that is no white space.
    first: Option<u8>,
}

impl InputScan {
    pub fn add(&mut self, piece: &str) {
        for byte in piece.bytes() {
            self.first = self.first.or_else(|| (!byte.is_ascii_whitespace()).then_some(byte));
            self.step(byte);
        }
    }

    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether it is an object and complete, or nothing.
    pub fn is_object(&self) -> bool {
        self.first.is_none_or(|first| first == b'{' && self.is_complete)
    }

    fn step(&mut self, byte: u8) {
        if self.is_in_text {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_text = false,
                _ => (),
            }
            return;
        }
        match byte {
            b'"' => self.is_in_text = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.is_complete = self.depth == 0;
            }
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_complete_with_its_last_brace_wherever_it_is_cut() {
        let json = r#"{"a":"}\"\\","b":[{"c":"["}]}"#;
        for cut in 0..json.len() {
            let mut scan = InputScan::default();
            scan.add(&json[..cut]);
            assert!(!scan.is_complete(), "{cut}");
            scan.add(&json[cut..]);
            assert!(scan.is_complete());
        }
        let mut empty = InputScan::default();
        empty.add("");
        assert!(!empty.is_complete());
    }

    #[test]
    fn only_a_complete_object_or_nothing_is_one() {
        for (input, is_object) in [
            ("", true),
            (" ", true),
            (" {\"a\":1} ", true),
            ("{", false),
            ("[]", false),
            ("a", false),
        ] {
            let mut scan = InputScan::default();
            scan.add(input);
            assert_eq!(scan.is_object(), is_object, "{input}");
        }
    }
}
