//! JSON that is read into what is known of a dialect, with an eye on what is not: the names that a type
//! declares are known, and words under any other name, or in another shape, are not dropped in silence.
//!
//! Written here because `serde_ignored` tells only names, and copies each of them; values are needed too.

use std::{cell::Cell, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

use super::object::Borrowed;
use crate::domain::chat::Losses;

/// Names under which dialects, and servers that are nearly right, put what is said. In any case.
const TEXTS: [&str; 26] = [
    "answer",
    "arguments",
    "completion",
    "content",
    "contents",
    "delta",
    "functionCall",
    "function_call",
    "generated_text",
    "input",
    "message",
    "output",
    "outputText",
    "output_text",
    "part",
    "partial_json",
    "parts",
    "reasoning",
    "reasoning_content",
    "reasoning_text",
    "refusal",
    "response",
    "text",
    "thinking",
    "toolCalls",
    "tool_calls",
];

/// Names of what tells about an answer and is no part of it, though it has words.
const ASIDE: [&str; 9] = [
    "annotations",
    "audio",
    "citations",
    "error",
    "extra_content",
    "images",
    "logprobs",
    "url_citation",
    "usage",
];

/// Names of lists: a text in the place of one is read by nobody.
const LISTS: [&str; 2] = ["choices", "tool_calls"];

/// Names whose values say what something is, wherever they stand.
const LABELS: [&str; 5] = ["format", "object", "role", "status", "type"];

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// What was left of a JSON value when all was taken that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unread<'a> {
    /// Nothing that says anything.
    #[default]
    Nothing,
    /// Words that are no part of the answer, as far as can be told, and the field that holds them.
    Beside(&'a str),
    /// Words or a call that may be a part of the answer.
    Text,
}

impl<'a> Unread<'a> {
    /// What a field holds that was not read.
    pub fn in_field(name: &'a str, value: &str) -> Self {
        let is_text = is_one_of(&TEXTS, name);
        match holds_words(value, is_text) {
            false => Self::Nothing,
            true if is_text => Self::Text,
            true => Self::Beside(name),
        }
    }

    /// What a part of an answer holds that cannot be read at all.
    pub fn in_part(value: &str) -> Self {
        if holds_words(value, true) { Self::Text } else { Self::Nothing }
    }

    /// What an object holds that may be a part of an answer, under names of texts.
    pub fn in_object(value: &str) -> Self {
        if holds_words(value, false) { Self::Text } else { Self::Nothing }
    }

    /// Whether something of the answer may be lost. What is not, is told.
    pub fn is_text(self, losses: &mut Losses) -> bool {
        if let Self::Beside(name) = self {
            losses.note(name.to_owned());
        }
        self == Self::Text
    }

    /// The worse of two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Text, _) | (_, Self::Text) => Self::Text,
            (Self::Nothing, other) => other,
            (told, _) => told,
        }
    }
}

/// Reads a value, and tells what of it the type does not know.
///
/// Errors: as of `serde_json`.
pub fn from_str<'a, T: Deserialize<'a>>(json: &'a str) -> serde_json::Result<(T, Unread<'a>)> {
    let unread = Cell::new(Unread::Nothing);
    let place = Place {
        unread: &unread,
        name: "",
        is_top: true,
        is_odd: false,
        is_text: false,
        is_aside: false,
    };
    let mut inner = serde_json::Deserializer::from_str(json);
    let value = T::deserialize(Watched { inner: &mut inner, place })?;
    inner.end()?;
    Ok((value, unread.get()))
}

/// Whether there are words in a value: any text that is not empty and stands under a name of [`TEXTS`].
/// `is_text`: its own name is one.
fn holds_words(json: &str, is_text: bool) -> bool {
    match json.as_bytes().first() {
        Some(b'"') => is_text && json.len() > r#""""#.len(),
        Some(b'[' | b'{') => {
            let mut inner = serde_json::Deserializer::from_str(json);
            // What is nested too deep to be looked at may hold anything.
            Words { is_text }.deserialize(&mut inner).unwrap_or(true)
        }
        _ => false,
    }
}

/// See [`holds_words`].
#[derive(Clone, Copy)]
struct Words {
    is_text: bool,
}

impl<'de> DeserializeSeed<'de> for Words {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Words {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        Ok(self.is_text && !text.is_empty())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let mut holds = false;
        while let Some(found) = list.next_element_seed(self)? {
            holds |= found;
        }
        Ok(holds)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<bool, A::Error> {
        let mut holds = false;
        while let Some(Borrowed(name)) = object.next_key()? {
            let is_text = (self.is_text || is_one_of(&TEXTS, &name)) && !is_one_of(&LABELS, &name);
            holds |= object.next_value_seed(Self { is_text })?;
        }
        Ok(holds)
    }
}

/// Where a value stands.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy)]
struct Place<'w, 'de> {
    unread: &'w Cell<Unread<'de>>,
    /// The name of the field that it, or the list around it, is the value of.
    name: &'de str,
    is_top: bool,
    /// Whether what is around it has not the shape that it should have.
    is_odd: bool,
    /// Whether that stands in the place of a text or of calls.
    is_text: bool,
    /// Whether it is within one of [`ASIDE`].
    is_aside: bool,
}

impl<'de> Place<'_, 'de> {
    /// The place of what an object here holds, or a list. `is_odd`: that is not what should be here.
    fn within(self, is_odd: bool) -> Self {
        let is_text = is_odd && (self.is_text || is_one_of(&TEXTS, self.name));
        let is_aside = self.is_aside || is_one_of(&ASIDE, self.name);
        Self { is_odd, is_text, is_aside, ..self }
    }

    /// Takes note of a text that may stand where none should.
    fn take_text(self, text: &str) {
        if !text.is_empty() && LISTS.contains(&self.name) {
            self.unread.set(Unread::Text);
        }
    }

    /// Takes note of a value that nobody reads.
    fn pass_over(self, value: &'de RawValue) {
        let json = value.get();
        let is_named = is_one_of(&TEXTS, self.name);
        let is_label = is_one_of(&LABELS, self.name);
        if is_label || !holds_words(json, self.is_text || is_named) {
            return;
        }
        // Servers that wrap every answer say `"message": "success"` beside it.
        let is_remark = self.is_top && json.starts_with('"') && self.name == "message";
        let is_lost = (is_named || self.is_odd) && !self.is_aside && !is_remark;
        let found = if is_lost { Unread::Text } else { Unread::Beside(self.name) };
        self.unread.set(self.unread.get().or(found));
    }
}

/// Reads a value as another deserializer does, and looks at what is ignored.
struct Watched<'w, 'de, D> {
    inner: D,
    place: Place<'w, 'de>,
}

/// What holds no other value is nobody's but the reader's.
macro_rules! pass_on {
    ($($name:ident)*) => {
        $(fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$name(visitor)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Watched<'_, 'de, D> {
    type Error = D::Error;

    pass_on! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit
        deserialize_identifier
    }

    /// Whatever takes any value takes an object or a list in the place of something else.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let place = self.place.within(true);
        self.inner.deserialize_any(Watching { inner: visitor, place })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_option(Watching { inner: visitor, place: self.place })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let place = self.place.within(false);
        self.inner.deserialize_seq(Watching { inner: visitor, place })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let place = self.place.within(false);
        self.inner.deserialize_map(Watching { inner: visitor, place })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let place = self.place.within(false);
        self.inner.deserialize_struct(name, fields, Watching { inner: visitor, place })
    }

    /// Raw JSON is one, which is read by whoever has asked for it.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple_struct(name, len, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.place.pass_over(<&RawValue>::deserialize(self.inner)?);
        visitor.visit_unit()
    }
}

/// Takes a value for another visitor.
struct Watching<'w, 'de, V> {
    inner: V,
    place: Place<'w, 'de>,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watching<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<V::Value, E> {
        self.inner.visit_bool(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<V::Value, E> {
        self.inner.visit_u64(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<V::Value, E> {
        self.inner.visit_i64(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        self.inner.visit_f64(value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<V::Value, E> {
        self.place.take_text(value);
        self.inner.visit_str(value)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<V::Value, E> {
        self.place.take_text(value);
        self.inner.visit_borrowed_str(value)
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Watched { inner, place: self.place })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Within { inner, place: self.place })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Within { inner, place: self.place })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(inner)
    }
}

/// What is within a list or an object.
struct Within<'w, 'de, A> {
    inner: A,
    /// Of what is read next.
    place: Place<'w, 'de>,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Within<'_, 'de, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(Seed { inner: seed, place: self.place })
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Within<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_key_seed(NameSeed { inner: seed, name: &mut self.place.name })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Seed { inner: seed, place: self.place })
    }
}

struct Seed<'w, 'de, S> {
    inner: S,
    place: Place<'w, 'de>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<'_, 'de, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Watched { inner, place: self.place })
    }
}

/// Reads the name of a field and keeps it.
struct NameSeed<'n, 'de, S> {
    inner: S,
    name: &'n mut &'de str,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for NameSeed<'_, 'de, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(NameSeed { inner, name: self.name })
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for NameSeed<'_, 'de, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_str(NameSeed { inner: visitor, name: self.name })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for NameSeed<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<V::Value, E> {
        *self.name = name;
        self.inner.visit_borrowed_str(name)
    }

    /// One with escapes is not there to be borrowed: what it means is.
    fn visit_str<E: Error>(self, name: &str) -> Result<V::Value, E> {
        let names = TEXTS.iter().chain(&ASIDE).chain(&LABELS);
        *self.name = names.copied().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or("");
        self.inner.visit_str(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::{super::openai_chat::wire::answer::WireAnswer, *};

    fn unread(json: &str) -> Unread<'_> {
        from_str::<WireAnswer<'_>>(json).expect(json).1
    }

    fn of_message(message: &str) -> Unread<'static> {
        let json = format!(r#"{{"choices":[{{"index":0,"message":{message}}}]}}"#);
        unread(json.leak())
    }

    #[test]
    fn what_says_nothing_or_is_known_is_not_told() {
        for message in [
            r#"{"role":"assistant","content":"x","reasoning_content":"y","refusal":null}"#,
            r#"{"content":[{"type":"text","text":"x"}],"provider":"x","weight":1.5,"x":[true,{}]}"#,
            r#"{"content":{},"reasoning":[""],"tool_calls":{},"text":"","output":[],"message":null}"#,
            r#"{"content":"x","filters":{"hate":{"severity":"safe"}},"delta":{"role":"assistant"}}"#,
        ] {
            assert_eq!(of_message(message), Unread::Nothing, "{message}");
        }
        let around = r#"{"id":"x","object":"o","created":1,"system_fingerprint":"f","provider":"p",
            "choices":[{"logprobs":{"content":[{"token":"x","top_logprobs":[]}]}}],"x":{"y":"z"}}"#;
        assert_eq!(unread(around), Unread::Nothing);
    }

    #[test]
    fn words_under_an_unknown_name_or_in_an_unknown_shape_may_be_lost() {
        for message in [
            r#"{"content":{"text":"x"}}"#,
            r#"{"content":{"value":"x"}}"#,
            r#"{"Content":"x"}"#,
            r#"{"\u0054ext":"x"}"#,
            r#"{"text":["x"]}"#,
            r#"{"reasoning":["x"]}"#,
            r#"{"content":"x","reasoning":{"content":[{"text":"y"}]}}"#,
            r#"{"content":"x","tool_calls":{"0":{"id":"c"}}}"#,
            r#"{"content":"x","tool_calls":"[{}]"}"#,
            r#"{"tool_calls":[{"id":"c","name":"f","arguments":"{}"}]}"#,
            r#"{"tool_calls":[{"function":{"name":"f","Arguments":{"a":"b"}}}]}"#,
            r#"{"content":[{"type":"text","content":"x"}]}"#,
        ] {
            assert_eq!(of_message(message), Unread::Text, "{message}");
        }
        assert_eq!(unread(r#"{"choices":{"0":{"message":{"content":"x"}}}}"#), Unread::Text);
        assert_eq!(unread(r#"{"choices":[],"output":"x"}"#), Unread::Text);
        let deep = format!(r#"{{"text":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        assert_eq!(of_message(&deep), Unread::Text);
    }

    #[test]
    fn words_that_are_no_part_of_the_answer_are_told() {
        for (json, name) in [
            (r#"{"choices":[],"message":"success"}"#, "message"),
            (r#"{"choices":[],"search_results":[{"title":"t","text":"x"}]}"#, "search_results"),
            (r#"{"choices":[{"message":{"executed_tools":[{"output":"x"}]}}]}"#, "executed_tools"),
            (r#"{"choices":[],"citations":[{"text":"x"}]}"#, "text"),
            (r#"{"choices":[{"message":{"annotations":[{"text":"x"}]}}]}"#, "text"),
        ] {
            assert_eq!(unread(json), Unread::Beside(name), "{json}");
        }
        let mut losses = Losses::default();
        assert!(!Unread::Beside("a").is_text(&mut losses) && Unread::Text.is_text(&mut losses));
        assert_eq!(losses.to_string(), "a");
    }

    #[test]
    fn raw_values_are_left_to_their_readers() {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            content: Option<&'a RawValue>,
        }
        let (raw, unread) = from_str::<Raw<'_>>(r#"{"content":{"text":"x"}}"#).unwrap();
        assert_eq!((raw.content.unwrap().get(), unread), (r#"{"text":"x"}"#, Unread::Nothing));
        assert_eq!(Unread::in_field("content", raw.content.unwrap().get()), Unread::Text);
        assert_eq!(Unread::in_field("tools", r#"{"text":"x"}"#), Unread::Beside("tools"));
        assert_eq!(Unread::in_part(r#"{"type":"text"}"#), Unread::Nothing);
        assert_eq!(Unread::in_part(r#"{"a":"b"}"#), Unread::Text);
        assert_eq!(Unread::in_object(r#"{"a":"b"}"#), Unread::Nothing);
        assert_eq!(Unread::in_object(r#"{"a":{"text":"b"}}"#), Unread::Text);
        assert!(from_str::<Raw<'_>>("{} x").is_err());
    }
}
