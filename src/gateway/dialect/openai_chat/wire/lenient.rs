//! Values that are read whatever a server has put in their place.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Most items kept of any list.
pub const MAX_ITEMS: usize = 1024;

/// A text, borrowed where it stands without escapes; a number is the text of it. Anything else is
/// none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Option<Cow<'a, str>>);

impl<'a> Text<'a> {
    /// The text, empty where there is none.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The text, unless it is empty.
    pub fn filled(self) -> Option<Cow<'a, str>> {
        self.0.filter(|text| !text.is_empty())
    }

    pub fn owned(self) -> Option<String> {
        self.filled().map(Cow::into_owned)
    }
}

/// A count, as a number or as the text of one. Anything else is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count(pub Option<u64>);

/// A number. Anything else is none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Number(pub Option<f64>);

/// A list, of which at most `MOST` are kept. Anything else is an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Items<T, const MOST: usize = MAX_ITEMS>(pub Vec<T>);

impl<T, const MOST: usize> Default for Items<T, MOST> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Passes over a list or an object without going deeper by recursion.
pub(super) fn skip_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

pub(super) fn skip_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<(), A::Error> {
    while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// What a visitor of scalars does with all that is no scalar: nothing.
macro_rules! skip_the_rest {
    ($none:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok($none)
        }

        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok($none)
        }

        fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
            skip_object(object)?;
            Ok($none)
        }
    };
}
pub(super) use skip_the_rest;

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Text<'de>;

            skip_the_rest!(Text(None));

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                skip_list(list)?;
                Ok(Text(None))
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }
        }

        deserializer.deserialize_any(Read)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Ok(Self(text.as_str().parse().ok().filter(|number: &f64| number.is_finite())))
    }
}

/// A number that is one is not made a text of first: every chunk of a stream has some.
impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Count;

            skip_the_rest!(Count(None));

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                skip_list(list)?;
                Ok(Count(None))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Count(text.strip_suffix(".0").unwrap_or(text).parse().ok()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Count(Some(number)))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Count(u64::try_from(number).ok()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(Read)
    }
}

/// A list, all of it: one with more than [`MAX_ITEMS`] is an error.
pub(super) fn all<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Items<T>, D::Error> {
    let Items(items) = Items::<T, { MAX_ITEMS + 1 }>::deserialize(deserializer)?;
    if items.len() > MAX_ITEMS { Err(too_long()) } else { Ok(Items(items)) }
}

pub(super) fn too_long<E: Error>() -> E {
    E::custom(format_args!("a list has more than {MAX_ITEMS} elements"))
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Items<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T, const MOST: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Read<T, MOST> {
            type Value = Items<T, MOST>;

            skip_the_rest!(Items::default());

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                // Mostly there is one, and it is large: without this there would be room for four.
                let Some(first) = list.next_element()? else { return Ok(Items::default()) };
                let mut items = vec![first];
                while items.len() < MOST {
                    match list.next_element()? {
                        Some(item) => items.push(item),
                        None => return Ok(Items(items)),
                    }
                }
                skip_list(list)?;
                Ok(Items(items))
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Items::default())
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Items::default())
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Items::default())
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Items::default())
            }
        }

        deserializer.deserialize_any(Read(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: [&str; 9] =
        ["null", "true", "\"7\"", "\"\\u0037\"", "7", "-7", "7.0", "[7,[8]]", r#"{"a":{"b":7}}"#];

    #[test]
    fn texts_and_counts_take_anything() {
        let texts = VALUES.map(|json| serde_json::from_str::<Text<'_>>(json).unwrap().0);
        let texts = texts.each_ref().map(|text| text.as_deref().unwrap_or("-"));
        assert_eq!(texts, ["-", "-", "7", "7", "7", "-7", "7", "-", "-"]);
        let counts = VALUES.map(|json| serde_json::from_str::<Count>(json).unwrap().0);
        let seven = Some(7);
        assert_eq!(counts, [None, None, seven, seven, seven, None, seven, None, None]);
        let plain = serde_json::from_str::<Text<'_>>("\"plain\"").unwrap();
        assert!(matches!(plain.0, Some(Cow::Borrowed("plain"))));
    }

    #[test]
    fn lists_are_bounded_and_anything_else_is_an_empty_one() {
        let long = format!("[{}7]", "7,".repeat(2 * MAX_ITEMS));
        assert_eq!(serde_json::from_str::<Items<u8>>(&long).unwrap().0.len(), MAX_ITEMS);
        for json in ["null", "{}", "7", "\"x\"", "[]", "-7", "7.5", "true"] {
            assert!(serde_json::from_str::<Items<u8>>(json).unwrap().0.is_empty(), "{json}");
        }
    }
}
