//! Reads JSON as another deserializer does, and looks at what the reader passes over.
//!
//! Written here because `serde_ignored` tells only names, and copies each of them; values are needed too.

use std::{borrow::Cow, cell::Cell, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, EnumAccess, Error, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
        value::BorrowedStrDeserializer,
    },
};
use serde_json::value::RawValue;

use super::{ASIDE, LABELS, LISTS, TEXTS, Unread, Words, is_one_of, meaning, words_in};
use crate::gateway::dialect::object::Borrowed;

/// Where a value stands.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy)]
pub(super) struct Place<'w, 'de> {
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

impl<'w, 'de> Place<'w, 'de> {
    /// That of a whole value.
    pub(super) fn top(unread: &'w Cell<Unread<'de>>) -> Self {
        Self { unread, name: "", is_top: true, is_odd: false, is_text: false, is_aside: false }
    }

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
        let may_hold_words = matches!(json.as_bytes().first(), Some(b'"' | b'[' | b'{'));
        if !may_hold_words || is_one_of(&LABELS, self.name) {
            return;
        }
        let is_named = is_one_of(&TEXTS, self.name);
        let words = words_in(json, self.is_text || is_named);
        // Servers that wrap every answer say `"message": "success"` beside it.
        let is_remark = self.is_top && json.starts_with('"') && self.name == "message";
        let may_be_text = is_named || self.is_odd;
        let found = match words {
            Words::None => return,
            _ if may_be_text && !self.is_aside && !is_remark => Unread::Text,
            _ => Unread::Beside(self.name),
        };
        self.unread.set(self.unread.get().or(found));
    }
}

/// Reads a value as another deserializer does, and looks at what is ignored.
pub(super) struct Watched<'w, 'de, D> {
    pub inner: D,
    pub place: Place<'w, 'de>,
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
        let Some(Borrowed(name)) = self.inner.next_key()? else { return Ok(None) };
        match name {
            Cow::Borrowed(name) => {
                self.place.name = name;
                seed.deserialize(BorrowedStrDeserializer::new(name))
            }
            // One with escapes is not there to be borrowed: what it means is.
            Cow::Owned(name) => {
                self.place.name = meaning(&name);
                seed.deserialize(name.into_deserializer())
            }
        }
        .map(Some)
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
