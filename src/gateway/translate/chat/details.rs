//! Thoughts as entries of `reasoning_details`, there and back.
//!
//! An entry that a server of this dialect has signed is kept whole in the signature, but for its text: to be
//! of use to whoever made it, it must come back as it was, with its format, its id and its index. A
//! signature of another dialect stands in a `signature` or in `data`, marked with its maker.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::{
    domain::chat::{Dialect, Losses, Reasoning, ReasoningSignature},
    gateway::dialect::{
        openai_chat::wire::reasoning::{Detail, ENCRYPTED, SUMMARY, TEXT},
        unread::{self, Unread},
    },
};

/// An entry, and the words taken out of it.
pub(super) struct Entry<'a> {
    pub detail: Detail<'a>,
    pub text: Cow<'a, str>,
    pub is_summary: bool,
}

/// Reads the entries of a list, and tells whether there are words that none of them has in its place.
pub(super) fn entries<'a>(list: &[&'a RawValue], losses: &mut Losses) -> (Vec<Entry<'a>>, bool) {
    let mut unread = Unread::Nothing;
    let mut read = |raw: &&'a RawValue| {
        let Ok((mut detail, left)) = unread::from_str::<Detail<'_>>(raw.get()) else {
            unread = unread.or(Unread::in_part(raw.get()));
            return None;
        };
        let summary = detail.summary.take().filter(|text| !text.is_empty());
        let text = detail.text.take().filter(|text| !text.is_empty());
        let is_both = summary.is_some() && text.is_some() && summary != text;
        unread = unread.or(if is_both { Unread::Text } else { left });
        let is_summary = summary.is_some() || detail.kind == SUMMARY;
        Some(Entry { detail, text: summary.or(text).unwrap_or_default(), is_summary })
    };
    let entries = list.iter().filter_map(&mut read).collect();
    (entries, unread.is_text(losses))
}

/// Puts thoughts together. What has no meaning is passed over.
pub(super) fn thoughts(entries: Vec<Entry<'_>>) -> Vec<Reasoning> {
    let mut thoughts: Vec<Reasoning> = Vec::new();
    for Entry { detail, text, is_summary } in entries {
        let signature = signature_of(&detail);
        // Encrypted thoughts complete the words before them, which are not signed by themselves.
        if text.is_empty()
            && let Some(last) = thoughts.last_mut()
            && last.signature.is_none()
            && !last.text.is_empty()
        {
            last.signature = signature;
            continue;
        }
        let is_redacted = text.is_empty() && signature.is_some();
        if is_redacted || !text.is_empty() {
            thoughts.push(Reasoning {
                text: text.into_owned(),
                is_summary,
                signature,
                is_redacted,
                id: None,
            });
        }
    }
    thoughts
}

/// The signature of an entry whose words have been taken out. `None`: it proves and holds nothing.
pub(super) fn signature_of(entry: &Detail<'_>) -> Option<ReasoningSignature> {
    let filled = |text: &Option<Cow<'_, str>>| text.as_ref().is_some_and(|text| !text.is_empty());
    let wire = [&entry.signature, &entry.data].into_iter().find(|text| filled(text))?.as_deref()?;
    let signature = ReasoningSignature::from_wire(Dialect::Chat, wire);
    if signature.by != Dialect::Chat {
        return Some(signature);
    }
    let whole = serde_json::to_string(entry).expect("texts and numbers are always JSON");
    Some(ReasoningSignature::new(Dialect::Chat, whole))
}

/// The entries of one thought. `index` is that of the first, where the signature does not name its own.
pub(super) fn write(thought: &Reasoning, index: u64) -> Vec<Detail<'_>> {
    let words = || {
        let text = Some(Cow::Borrowed(&*thought.text));
        let index = Some(index);
        let id = thought.id.as_deref().map(Cow::Borrowed);
        if thought.is_summary {
            Detail { kind: SUMMARY.into(), summary: text, id, index, ..Detail::default() }
        } else {
            Detail { kind: TEXT.into(), text, id, index, ..Detail::default() }
        }
    };
    let Some(signature) = &thought.signature else { return vec![words()] };
    let own = signature.for_maker(Dialect::Chat).and_then(|data| serde_json::from_str(data).ok());
    let mut signed: Detail<'_> = own.unwrap_or_else(|| {
        let wire = Some(signature.to_wire(Dialect::Chat));
        if thought.text.is_empty() {
            Detail { kind: ENCRYPTED.into(), data: wire, ..Detail::default() }
        } else {
            Detail { signature: wire, ..words() }
        }
    });
    signed.index.get_or_insert(index);
    if thought.text.is_empty() || signed.text.is_some() || signed.summary.is_some() {
        return vec![signed];
    }
    if signed.kind == ENCRYPTED {
        let words = Detail { format: signed.format.clone(), index: signed.index, ..words() };
        return vec![words, signed];
    }
    let text = Some(Cow::Borrowed(&*thought.text));
    // What its maker has signed says what it was; a client in between may have lost that.
    if signed.kind == SUMMARY || (signed.kind != TEXT && thought.is_summary) {
        signed.summary = text;
    } else {
        signed.text = text;
    }
    vec![signed]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_json(json: &str) -> Vec<Reasoning> {
        let list: Vec<&RawValue> = serde_json::from_str(json).expect(json);
        thoughts(entries(&list, &mut Losses::default()).0)
    }

    fn there_and_back(json: &str) {
        let thoughts = read_json(json);
        let entries: Vec<_> = thoughts.iter().flat_map(|thought| write(thought, 0)).collect();
        let written = serde_json::to_value(&entries).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(json).unwrap());
    }

    #[test]
    fn what_a_server_has_signed_comes_back_as_it_was() {
        for json in [
            r#"[{"type":"reasoning.text","text":"hm","signature":"sig","format":"anthropic-claude-v1","index":0}]"#,
            r#"[{"type":"reasoning.encrypted","data":"abc","id":"rs_1","format":"openai-responses-v1","index":3}]"#,
            r#"[{"type":"reasoning.summary","summary":"so","format":"openai-responses-v1","index":0},
                {"type":"reasoning.encrypted","data":"abc","id":"rs_1","format":"openai-responses-v1","index":0}]"#,
        ] {
            there_and_back(json);
        }
    }

    #[test]
    fn what_was_no_summary_comes_back_as_none_through_a_client_that_calls_it_one() {
        let json = r#"[{"type":"reasoning.text","text":"hm","signature":"s","index":0}]"#;
        let mut thoughts = read_json(json);
        thoughts[0].is_summary = true;
        let entries = write(&thoughts[0], 0);
        assert_eq!(entries[0].text.as_deref(), Some("hm"));
        assert_eq!(entries[0].summary, None);
    }

    #[test]
    fn words_and_their_encryption_are_one_thought() {
        let thoughts = read_json(
            r#"[{"type":"reasoning.summary","summary":"so"},
                {"type":"reasoning.encrypted","data":"abc"}]"#,
        );
        assert_eq!(thoughts.len(), 1);
        assert!(
            thoughts[0].is_summary && !thoughts[0].is_redacted && thoughts[0].signature.is_some()
        );
    }

    #[test]
    fn a_foreign_signature_is_carried_with_its_makers_name() {
        let signature = Some(ReasoningSignature::new(Dialect::Messages, "EqoB+/="));
        let signed =
            Reasoning { text: "hm".into(), signature: signature.clone(), ..Reasoning::default() };
        let hidden = Reasoning { is_redacted: true, signature, ..Reasoning::default() };
        for (thought, place) in [(signed, "signature"), (hidden, "data")] {
            let entries = write(&thought, 4);
            let json = serde_json::to_value(&entries).unwrap();
            assert_eq!(json[0][place], "pp1.messages.EqoB+/=");
            assert_eq!(json[0]["index"], 4);
            assert_eq!(read_json(&json.to_string()), [thought]);
        }
    }

    #[test]
    fn entries_without_meaning_are_passed_over() {
        assert_eq!(read_json(r#"[7,{},{"type":"x"},{"type":"reasoning.text","text":""}]"#), []);
    }
}
