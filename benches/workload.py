"""What the benchmarks ask in each dialect, and what their upstream answers: 1 KB whole, 100 events."""

import dataclasses
import json

EVENTS = 100
WHOLE_BYTES = 1024
MODEL = "bench"


@dataclasses.dataclass(frozen=True)
class Dialect:
    name: str
    # The pool's name for the format, and where below an upstream's address its requests go.
    api_format: str
    base_path: str
    path: str
    stream_path: str
    # What a request holds beside the model.
    question: callable
    # The last bytes of a complete stream.
    stream_end: bytes
    whole: callable
    events: callable

    def body(self, streamed, text="word " * 40):
        fields = {"model": self.model, **self.question(text)}
        if "?" in self.stream_path:
            del fields["model"]
        else:
            fields["stream"] = streamed
        return json.dumps(fields, separators=(",", ":")).encode()

    @property
    def model(self):
        """Each dialect has a provider of its own, so that every request is passed through."""
        return f"{MODEL}-{self.name}"

    def whole_answer(self):
        padding = WHOLE_BYTES - len(dumps(self.whole("")))
        return dumps(self.whole("a" * padding))

    def stream(self):
        """The events of a streamed answer, each as it is written."""
        return [event.encode() for event in self.events()]

    def provider(self, upstream_port, key):
        """The section of the pool's configuration for the upstream of this dialect."""
        return (
            f'[[providers]]\nid = "{self.name}"\nlocation = "local"\napi_format = "{self.api_format}"\n'
            f'base_url = "http://127.0.0.1:{upstream_port}{self.base_path}"\n'
            f'api_keys = ["{key}"]\nmodels = [{{ name = "{self.model}" }}]\n'
        )


def dumps(value):
    return json.dumps(value, separators=(",", ":"))


def sse(value, event=None):
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {value if isinstance(value, str) else dumps(value)}\n\n"


def texts():
    """The pieces of a streamed answer but its first and its last event."""
    return [" token"] * (EVENTS - 2)


def chat_question(text):
    return {"messages": [{"role": "user", "content": text}]}


CHAT_USAGE = {"prompt_tokens": 50, "completion_tokens": 100, "total_tokens": 150}


def chat_whole(text):
    message = {"role": "assistant", "content": text}
    return {
        "id": "c1", "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": CHAT_USAGE,
    }


def chat_events():
    def chunk(choices, **more):
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
        return sse({**head, "choices": choices, **more})

    def choice(delta, finish=None):
        return [{"index": 0, "delta": delta, "finish_reason": finish}]

    yield chunk(choice({"role": "assistant", "content": ""}))
    for text in texts():
        yield chunk(choice({"content": text}))
    yield chunk(choice({}, "stop"))
    # Only to who asks for it: see the upstream.
    yield chunk([], usage=CHAT_USAGE)
    yield sse("[DONE]")


def messages_question(text):
    return {"max_tokens": 1000, "messages": [{"role": "user", "content": text}]}


def message(content, stop_reason, output_tokens):
    return {
        "id": "m1", "type": "message", "role": "assistant", "model": MODEL, "content": content,
        "stop_reason": stop_reason, "stop_sequence": None,
        "usage": {"input_tokens": 50, "output_tokens": output_tokens},
    }


def messages_events():
    def event(kind, **fields):
        return sse({"type": kind, **fields}, kind)

    yield event("message_start", message=message([], None, 1))
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for text in texts():
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})
    yield event("content_block_stop", index=0)
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    yield event("message_delta", delta=delta, usage={"output_tokens": 100})
    yield event("message_stop")


def responses_question(text):
    return {"input": text, "store": False}


def response(status, output, **more):
    return {
        "id": "r1", "object": "response", "created_at": 1, "status": status, "model": MODEL,
        "output": output, "parallel_tool_calls": True, "tools": [], "error": None, **more,
    }


def responses_item(text, status):
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"id": "i1", "type": "message", "role": "assistant", "status": status, "content": [part]}


RESPONSES_USAGE = {
    "input_tokens": 50, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 100,
    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 150,
}


def responses_whole(text):
    return response("completed", [responses_item(text, "completed")], usage=RESPONSES_USAGE)


def responses_events():
    number = iter(range(EVENTS + 20))

    def event(kind, **fields):
        return sse({"type": kind, "sequence_number": next(number), **fields}, kind)

    at = {"item_id": "i1", "output_index": 0, "content_index": 0}
    text = "".join(texts())
    item = responses_item(text, "completed")
    yield event("response.created", response=response("in_progress", []))
    yield event(
        "response.output_item.added", output_index=0, item={**item, "status": "in_progress", "content": []}
    )
    empty = {"type": "output_text", "text": "", "annotations": []}
    yield event("response.content_part.added", **at, part=empty)
    for piece in texts():
        yield event("response.output_text.delta", **at, delta=piece)
    yield event("response.output_text.done", **at, text=text)
    yield event("response.content_part.done", **at, part=item["content"][0])
    yield event("response.output_item.done", output_index=0, item=item)
    yield event("response.completed", response=response("completed", [item], usage=RESPONSES_USAGE))


def gemini_question(text):
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def gemini_answer(text, finish="STOP"):
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 50, "candidatesTokenCount": 100, "totalTokenCount": 150}
    return {
        "candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL, "responseId": "g1",
    }


def gemini_events():
    for text in texts():
        yield sse(gemini_answer(text, None))
    yield sse(gemini_answer("."))


def ollama_answer(text, is_done=True):
    answer = {
        "model": MODEL, "created_at": "2026-11-30T00:00:00Z",
        "message": {"role": "assistant", "content": text}, "done": is_done,
    }
    if is_done:
        answer |= {
            "done_reason": "stop", "total_duration": 9, "prompt_eval_count": 50, "eval_count": 100,
        }
    return answer


def ollama_events():
    for text in texts():
        yield dumps(ollama_answer(text, False)) + "\n"
    yield dumps(ollama_answer("")) + "\n"


DIALECTS = [
    Dialect(
        "chat", "openai", "/v1", "/v1/chat/completions", "/v1/chat/completions", chat_question,
        b"data: [DONE]\n\n", chat_whole, chat_events,
    ),
    Dialect(
        "messages", "anthropic", "/v1", "/v1/messages", "/v1/messages", messages_question,
        b'data: {"type":"message_stop"}\n\n',
        lambda text: message([{"type": "text", "text": text}], "end_turn", 100), messages_events,
    ),
    Dialect(
        "responses", "responses", "/v1", "/v1/responses", "/v1/responses", responses_question,
        b"}}}\n\n", responses_whole, responses_events,
    ),
    Dialect(
        "gemini", "google", "/v1beta", f"/v1beta/models/{MODEL}-gemini:generateContent",
        f"/v1beta/models/{MODEL}-gemini:streamGenerateContent?alt=sse", gemini_question,
        b'"responseId":"g1"}\n\n', gemini_answer, gemini_events,
    ),
    Dialect(
        "ollama", "ollama", "", "/api/chat", "/api/chat", chat_question,
        b'"eval_count":100}\n', ollama_answer, ollama_events,
    ),
]


def write_answers(folder):
    """Puts what the upstream answers into a folder, as it reads it: see relay/upstream.rs."""
    for dialect in DIALECTS:
        (folder / f"{dialect.name}.whole").write_text(dialect.whole_answer())
        (folder / f"{dialect.name}.stream").write_bytes(b"\0".join(dialect.stream()))
