//! An upstream's stream: one object a line, and a last one that says so.

use std::borrow::Cow;

use super::{
    answer_in::{failure_of, input_of, read_logprobs, stop_reason, usage_of},
    images,
};
use crate::{
    domain::chat::{CallKind, Delta, Losses},
    gateway::{
        dialect::{
            ollama::{AnswerLine, SaidCall, SaidMessage, Words},
            unread,
        },
        translate::{EventOutcome, ReadStream, Unparsable},
    },
};

#[derive(Debug, Default)]
pub(super) struct Reader {
    has_begun: bool,
    calls: u32,
    losses: Losses,
}

impl ReadStream for Reader {
    fn read(
        &mut self,
        data: &[u8],
        sink: &mut dyn FnMut(Delta<'_>),
    ) -> Result<EventOutcome, Unparsable> {
        let text = std::str::from_utf8(data).map_err(|_| Unparsable)?;
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Unparsable);
        }
        let (line, unread) = unread::from_str::<AnswerLine<'_>>(text).map_err(|_| Unparsable)?;
        if let Some(failure) = failure_of(&line, data) {
            return Ok(EventOutcome::Failed(Box::new(failure)));
        }
        let is_lost = unread.is_text(&mut self.losses);
        if line.message.is_none() && line.done.is_none() {
            return if is_lost { Err(Unparsable) } else { Ok(EventOutcome::Foreign) };
        }
        if !self.has_begun {
            self.has_begun = true;
            sink(Delta::Begin { id: None, model: line.model.map(|model| model.0) });
        }
        self.read_message(line.message.unwrap_or_default(), sink);
        if let Some(list) = line.logprobs.filter(|list| !list.is_empty()) {
            sink(Delta::Logprobs { choice: 0, tokens: read_logprobs(list) });
        }
        if line.done != Some(true) {
            return if is_lost { Err(Unparsable) } else { Ok(EventOutcome::More) };
        }
        let reason = line.done_reason.as_deref();
        sink(Delta::Stop { choice: 0, reason: stop_reason(reason, self.calls > 0) });
        if let Some(usage) = usage_of(line.prompt_eval_count, line.eval_count) {
            sink(Delta::Usage(usage));
        }
        Ok(if is_lost { EventOutcome::DoneInPart } else { EventOutcome::Done })
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}

impl Reader {
    fn read_message(&mut self, message: SaidMessage<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        if let Some(Words(text)) = message.thinking.filter(|text| !text.0.is_empty()) {
            sink(Delta::Reasoning { choice: 0, text, is_summary: false });
        }
        if let Some(Words(text)) = message.content.filter(|text| !text.0.is_empty()) {
            sink(Delta::Text { choice: 0, text });
        }
        for image in message.images.unwrap_or_default() {
            match images::of_base64(&image.0) {
                Some(part) => sink(Delta::Whole { choice: 0, part: Box::new(part) }),
                None => self.losses.note("image"),
            }
        }
        for call in message.tool_calls.unwrap_or_default() {
            self.read_call(call, sink);
        }
    }

    /// A call comes whole. Its `index` counts the calls of a line in some versions of the server, and
    /// those of the answer in others.
    fn read_call(&mut self, call: SaidCall<'_>, sink: &mut dyn FnMut(Delta<'_>)) {
        let number = self.calls;
        self.calls += 1;
        let input = input_of(&call);
        sink(Delta::CallBegin {
            choice: 0,
            number,
            id: call.id.unwrap_or_default().0,
            name: call.function.name.unwrap_or_default().0,
            kind: CallKind::Function,
            signature: None,
        });
        sink(Delta::CallInput { choice: 0, number, text: Cow::Owned(input) });
    }
}
