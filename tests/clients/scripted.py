"""An upstream that says what a test has written for it and keeps what it was sent, for what aimock
lacks: thoughts with signatures, counts of tokens, batches of texts to embed, bodies as they came.

`Said` is one answer, whatever the format; a `Wire` is one format: how an answer stands in it, whole
and as a stream, and where a request holds what a test asks for.
"""

import array
import base64
import collections
import dataclasses
import http.server
import json
import threading


@dataclasses.dataclass(frozen=True)
class Said:
    """One answer. Thoughts are sealed with `seal` where the format has seals."""

    text: str = ""
    thought: str = ""
    seal: str = ""
    cities: tuple = ()  # each is asked for its weather by a call of its own
    # All of the input, what of it came from a cache; all of the output, what of it was thinking.
    tokens: tuple = (0, 0, 0, 0)


def halves(text):
    middle = (len(text) + 1) // 2
    return [half for half in (text[:middle], text[middle:]) if half]


def call_id(city):
    return f"call_{city.lower()}"


def sse(events):
    return [f"data: {json.dumps(event)}\n\n" for event in events]


def words(content, kind="text"):
    """The text of a content that is a text, or a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [] if part.get("type") == kind)


def camel(name):
    """Google takes both ways of writing a name, and its client for Python mixes them."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def standard(data):
    """Base64 in the usual alphabet: Google takes both, and Python's client sends the other."""
    return data.replace("-", "+").replace("_", "/")


def picture(url):
    """Media type and data of a data URL."""
    head, _, data = url.partition(";base64,")
    return head.removeprefix("data:"), data


class Wire:
    """One format. What is asked of a request: `seals` that came back, `thoughts` beside them,
    `results` of calls by city, `image` as (media type, base64), whether it `asks_to_think`."""

    stream_type = "text/event-stream"
    says_cached = True
    says_thinking = True
    has_seals = True
    takes_bare_thoughts = False
    thinks_by_budget = False
    thinks_after_seals_alone = False
    counts = False
    embeds = False


def vector(text):
    """Any vector that depends on the text; exact in 32 bits."""
    return [len(text) / 4, -0.5, text.count("o") / 8]


class OpenAi(Wire):
    model = "mock-thinker"
    embeds = True

    def _usage(self, said):
        input, cached, output, thinking = said.tokens
        return {
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": thinking},
        }

    def _finish(self, said):
        return "tool_calls" if said.cities else "stop"

    def _detail(self, **fields):
        return {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, **fields}

    def whole(self, said):
        message = {"role": "assistant", "content": said.text or None}
        if said.thought:
            message["reasoning"] = said.thought
            sealed = self._detail(text=said.thought, signature=said.seal)
            message["reasoning_details"] = [sealed]
        if said.cities:
            message["tool_calls"] = [
                {
                    "id": call_id(city),
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": json.dumps({"city": city})},
                }
                for city in said.cities
            ]
        choice = {"index": 0, "message": message, "finish_reason": self._finish(said)}
        return {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": self.model,
            "choices": [choice], "usage": self._usage(said),
        }  # fmt: skip

    def stream(self, said):
        deltas = [{"role": "assistant", "content": ""}]
        for half in halves(said.thought):
            deltas.append({"reasoning": half, "reasoning_details": [self._detail(text=half)]})
        if said.seal:
            deltas.append({"reasoning_details": [self._detail(signature=said.seal)]})
        deltas += [{"content": half} for half in halves(said.text)]
        for index, city in enumerate(said.cities):
            named = {"id": call_id(city), "type": "function", "index": index}
            begun = {"name": "get_weather", "arguments": ""}
            deltas.append({"tool_calls": [{**named, "function": begun}]})
            for half in halves(json.dumps({"city": city})):
                part = {"index": index, "function": {"arguments": half}}
                deltas.append({"tool_calls": [part]})
        chunk = {
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1,
            "model": self.model,
        }  # fmt: skip
        chunks = [
            {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            for delta in deltas
        ]
        last = {"index": 0, "delta": {}, "finish_reason": self._finish(said)}
        chunks.append({**chunk, "choices": [last]})
        chunks.append({**chunk, "choices": [], "usage": self._usage(said)})
        return [*sse(chunks), "data: [DONE]\n\n"]

    def refusal(self, message):
        return {"error": {"message": message, "type": "invalid_request_error", "code": None}}

    def stream_error(self, message):
        return sse([{"error": {"message": message, "type": "server_error", "code": 500}}])

    def vectors(self, body):
        vectors = [vector(text) for text in body["input"]]
        if body.get("encoding_format") == "base64":
            vectors = [base64.b64encode(array.array("f", one)).decode() for one in vectors]
        data = [
            {"object": "embedding", "index": index, "embedding": one}
            for index, one in enumerate(vectors)
        ]
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        return {"object": "list", "model": self.model, "data": data, "usage": usage}

    def _details(self, body):
        for message in body["messages"]:
            yield from message.get("reasoning_details") or []

    def seals(self, body):
        return [detail["signature"] for detail in self._details(body) if detail.get("signature")]

    def thoughts(self, body):
        return "".join(detail.get("text") or "" for detail in self._details(body))

    def results(self, body):
        cities = {
            call["id"]: json.loads(call["function"]["arguments"])["city"]
            for message in body["messages"]
            for call in message.get("tool_calls") or []
        }
        return {
            cities[message["tool_call_id"]]: words(message["content"])
            for message in body["messages"]
            if message["role"] == "tool"
        }

    def image(self, body):
        parts = body["messages"][-1]["content"]
        (url,) = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        return picture(url)

    def asks_to_think(self, body):
        return "reasoning_effort" in body or "reasoning" in body


class Responses(Wire):
    model = "gpt-5.5"

    def _items(self, said):
        items = []
        if said.thought:
            summary = [{"type": "summary_text", "text": said.thought}]
            items.append(
                {"type": "reasoning", "id": "rs_1", "summary": summary,
                 "encrypted_content": said.seal}
            )  # fmt: skip
        if said.text:
            content = [{"type": "output_text", "text": said.text, "annotations": []}]
            items.append(
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                 "content": content}
            )  # fmt: skip
        for city in said.cities:
            items.append(
                {"type": "function_call", "id": f"fc_{city}", "call_id": call_id(city),
                 "name": "get_weather", "arguments": json.dumps({"city": city}),
                 "status": "completed"}
            )  # fmt: skip
        return items

    def _response(self, status, items, usage):
        return {
            "id": "resp_1", "object": "response", "created_at": 1, "status": status,
            "model": self.model, "output": items, "usage": usage, "error": None,
            "incomplete_details": None, "instructions": None, "metadata": {},
            "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [],
            "top_p": 1.0,
        }  # fmt: skip

    def whole(self, said):
        input, cached, output, thinking = said.tokens
        usage = {
            "input_tokens": input,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": thinking},
            "total_tokens": input + output,
        }
        return self._response("completed", self._items(said), usage)

    def stream(self, said):
        begun = self._response("in_progress", [], None)
        events = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
        ]
        for index, item in enumerate(self._items(said)):
            events += self._item_events(item, {"output_index": index})
        events.append({"type": "response.completed", "response": self.whole(said)})
        return self._lines(events)

    def _lines(self, events):
        return [
            f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n"
            for number, event in enumerate(events)
        ]

    def _item_events(self, item, at):
        inside = {**at, "item_id": item["id"]}
        if item["type"] == "reasoning":
            empty, place = {**item, "summary": []}, {**inside, "summary_index": 0}
            name, part = "reasoning_summary", item["summary"][0]
        elif item["type"] == "message":
            empty = {**item, "status": "in_progress", "content": []}
            place = {**inside, "content_index": 0}
            name, part = "content", item["content"][0]
        else:
            empty, place = {**item, "status": "in_progress", "arguments": ""}, inside
            name, part = None, {"text": item["arguments"]}
        text = part["text"]
        kind = {"reasoning_summary": "reasoning_summary_text", "content": "output_text"}.get(
            name, "function_call_arguments"
        )
        whole = {"arguments": text} if name is None else {"text": text}
        logprobs = {"logprobs": []} if kind == "output_text" else {}
        events = [{"type": "response.output_item.added", **at, "item": empty}]
        if name:
            begun = {"type": f"response.{name}_part.added", **place, "part": {**part, "text": ""}}
            events.append(begun)
        events += [
            {"type": f"response.{kind}.delta", **place, **logprobs, "delta": half}
            for half in halves(text)
        ]
        events.append({"type": f"response.{kind}.done", **place, **logprobs, **whole})
        if name:
            events.append({"type": f"response.{name}_part.done", **place, "part": part})
        return [*events, {"type": "response.output_item.done", **at, "item": item}]

    def refusal(self, message):
        return {"error": {"message": message, "type": "invalid_request_error", "code": None}}

    def stream_error(self, message):
        error = {"code": "server_error", "message": message}
        failed = {**self._response("failed", [], None), "error": error}
        return self._lines([{"type": "response.failed", "response": failed}])

    def _of_type(self, body, kind):
        return [item for item in body["input"] if item.get("type") == kind]

    def seals(self, body):
        return [item["encrypted_content"] for item in self._of_type(body, "reasoning")]

    def thoughts(self, body):
        thoughts = self._of_type(body, "reasoning")
        return "".join(part["text"] for item in thoughts for part in item["summary"])

    def results(self, body):
        cities = {
            call["call_id"]: json.loads(call["arguments"])["city"]
            for call in self._of_type(body, "function_call")
        }
        return {
            cities[result["call_id"]]: words(result["output"], "input_text")
            for result in self._of_type(body, "function_call_output")
        }

    def image(self, body):
        parts = body["input"][-1]["content"]
        (url,) = [part["image_url"] for part in parts if part["type"] == "input_image"]
        return picture(url)

    def asks_to_think(self, body):
        return "effort" in (body.get("reasoning") or {})


class Anthropic(Wire):
    model = "claude-haiku-4-5"
    thinks_by_budget = True
    thinks_after_seals_alone = True
    counts = True

    def _usage(self, said):
        input, cached, output, thinking = said.tokens
        return {
            "input_tokens": input - cached,
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": 0,
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": thinking},
        }

    def _message(self, content, stop_reason, usage):
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": self.model,
            "content": content, "stop_reason": stop_reason, "stop_sequence": None, "usage": usage,
        }  # fmt: skip

    def whole(self, said):
        content = []
        if said.thought:
            content.append({"type": "thinking", "thinking": said.thought, "signature": said.seal})
        if said.text:
            content.append({"type": "text", "text": said.text})
        for city in said.cities:
            call = {"id": call_id(city), "name": "get_weather", "input": {"city": city}}
            content.append({"type": "tool_use", **call})
        stop_reason = "tool_use" if said.cities else "end_turn"
        return self._message(content, stop_reason, self._usage(said))

    def stream(self, said):
        whole = self.whole(said)
        usage = {**whole["usage"], "output_tokens": 1}
        events = [{"type": "message_start", "message": self._message([], None, usage)}]
        for index, block in enumerate(whole["content"]):
            match block["type"]:
                case "thinking":
                    empty = {**block, "thinking": "", "signature": ""}
                    deltas = [
                        {"type": "thinking_delta", "thinking": half}
                        for half in halves(block["thinking"])
                    ]
                    deltas.append({"type": "signature_delta", "signature": block["signature"]})
                case "text":
                    empty = {**block, "text": ""}
                    deltas = [
                        {"type": "text_delta", "text": half} for half in halves(block["text"])
                    ]
                case _:
                    empty = {**block, "input": {}}
                    deltas = [
                        {"type": "input_json_delta", "partial_json": half}
                        for half in halves(json.dumps(block["input"]))
                    ]
            events.append({"type": "content_block_start", "index": index, "content_block": empty})
            events += [
                {"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas
            ]
            events.append({"type": "content_block_stop", "index": index})
        end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        events.append({"type": "message_delta", "delta": end, "usage": whole["usage"]})
        events.append({"type": "message_stop"})
        return self._lines(events)

    def _lines(self, events):
        return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]

    def refusal(self, message):
        return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}

    def stream_error(self, message):
        error = {"type": "api_error", "message": message}
        return self._lines([{"type": "error", "error": error}])

    def count(self, tokens):
        return {"input_tokens": tokens}

    def _blocks(self, body, kind):
        return [
            block
            for message in body["messages"]
            if isinstance(message["content"], list)
            for block in message["content"]
            if block["type"] == kind
        ]

    def seals(self, body):
        return [block["signature"] for block in self._blocks(body, "thinking")]

    def thoughts(self, body):
        return "".join(block["thinking"] for block in self._blocks(body, "thinking"))

    def results(self, body):
        cities = {call["id"]: call["input"]["city"] for call in self._blocks(body, "tool_use")}
        return {
            cities[result["tool_use_id"]]: words(result["content"])
            for result in self._blocks(body, "tool_result")
        }

    def image(self, body):
        (block,) = self._blocks(body, "image")
        assert block["source"]["type"] == "base64"
        return block["source"]["media_type"], block["source"]["data"]

    def asks_to_think(self, body):
        return body.get("thinking", {}).get("type") in ("enabled", "adaptive")


class Google(Wire):
    model = "gemini-2.5-flash"
    takes_bare_thoughts = True
    thinks_by_budget = True
    counts = True
    embeds = True

    def _parts(self, said):
        parts = []
        if said.thought:
            parts.append({"text": said.thought, "thought": True})
        if said.text:
            parts.append({"text": said.text})
        for city in said.cities:
            parts.append({"functionCall": {"name": "get_weather", "args": {"city": city}}})
        if said.seal:
            # Not on the thought: on what follows it, and of parallel calls on the first alone.
            parts[1]["thoughtSignature"] = said.seal
        return parts

    def _answer(self, parts, **rest):
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **rest}
        return {"candidates": [candidate], "modelVersion": self.model, "responseId": "resp_1"}

    def _usage(self, said):
        input, cached, output, thinking = said.tokens
        return {
            "promptTokenCount": input,
            "cachedContentTokenCount": cached,
            "candidatesTokenCount": output - thinking,
            "thoughtsTokenCount": thinking,
            "totalTokenCount": input + output,
        }

    def whole(self, said):
        answer = self._answer(self._parts(said), finishReason="STOP")
        return {**answer, "usageMetadata": self._usage(said)}

    def stream(self, said):
        chunks = []
        for part in self._parts(said):
            if "text" in part and "thoughtSignature" not in part:
                chunks += [self._answer([{**part, "text": half}]) for half in halves(part["text"])]
            else:
                chunks.append(self._answer([part]))
        last = self._answer([{"text": ""}], finishReason="STOP")
        return sse([*chunks, {**last, "usageMetadata": self._usage(said)}])

    def refusal(self, message):
        return {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}

    def stream_error(self, message):
        return sse([{"error": {"code": 500, "message": message, "status": "INTERNAL"}}])

    def count(self, tokens):
        details = [{"modality": "TEXT", "tokenCount": tokens}]
        return {"totalTokens": tokens, "promptTokensDetails": details}

    def vectors(self, body):
        texts = [request["content"]["parts"][0]["text"] for request in body["requests"]]
        return {"embeddings": [{"values": vector(text)} for text in texts]}

    def _all_parts(self, body):
        parts = [part for content in body["contents"] for part in content["parts"]]
        return [{camel(name): value for name, value in part.items()} for part in parts]

    def seals(self, body):
        seals = [part.get("thoughtSignature", "") for part in self._all_parts(body)]
        return [standard(seal) for seal in seals if seal]

    def thoughts(self, body):
        return "".join(part["text"] for part in self._all_parts(body) if part.get("thought"))

    def results(self, body):
        parts = self._all_parts(body)
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        answers = [part["functionResponse"] for part in parts if "functionResponse" in part]
        # Names and ids must agree; where there are no ids, the order tells whose result it is.
        for name in ("name", "id"):
            assert [call.get(name) for call in calls] == [one.get(name) for one in answers]
        return {
            call["args"]["city"]: " ".join(map(str, answer["response"].values()))
            for call, answer in zip(calls, answers, strict=True)
        }

    def image(self, body):
        (data,) = [part["inlineData"] for part in self._all_parts(body) if "inlineData" in part]
        data = {camel(name): value for name, value in data.items()}
        return data["mimeType"], standard(data["data"])

    def asks_to_think(self, body):
        return "thinkingConfig" in body.get("generationConfig", {})


class Ollama(Wire):
    model = "qwen3:8b"
    stream_type = "application/x-ndjson"
    says_cached = False
    says_thinking = False
    has_seals = False
    takes_bare_thoughts = True
    embeds = True

    def _line(self, message, **rest):
        at = {"model": self.model, "created_at": "2026-01-01T00:00:00.000000Z"}
        return {**at, "message": {"role": "assistant", "content": "", **message}, **rest}

    def _end(self, said):
        input, _, output, _ = said.tokens
        return {
            "done": True, "done_reason": "stop", "total_duration": 5, "load_duration": 1,
            "prompt_eval_count": input, "prompt_eval_duration": 1, "eval_count": output,
            "eval_duration": 3,
        }  # fmt: skip

    def _calls(self, said):
        calls = [
            {"function": {"name": "get_weather", "arguments": {"city": city}}}
            for city in said.cities
        ]
        return {"tool_calls": calls} if calls else {}

    def whole(self, said):
        thinking = {"thinking": said.thought} if said.thought else {}
        message = {"content": said.text, **thinking, **self._calls(said)}
        return self._line(message, **self._end(said))

    def stream(self, said):
        messages = [{"thinking": half} for half in halves(said.thought)]
        messages += [{"content": half} for half in halves(said.text)]
        if said.cities:
            messages.append(self._calls(said))
        lines = [self._line(message, done=False) for message in messages]
        return self._lines([*lines, self._line({}, **self._end(said))])

    def _lines(self, lines):
        return [f"{json.dumps(line)}\n" for line in lines]

    def refusal(self, message):
        return {"error": message}

    def stream_error(self, message):
        return self._lines([{"error": message}])

    def vectors(self, body):
        vectors = [vector(text) for text in body["input"]]
        return {"model": self.model, "embeddings": vectors, "prompt_eval_count": 7}

    def seals(self, body):
        return []

    def thoughts(self, body):
        return "".join(message.get("thinking") or "" for message in body["messages"])

    def results(self, body):
        calls = [
            call["function"]
            for message in body["messages"]
            for call in message.get("tool_calls") or []
        ]
        answers = [message for message in body["messages"] if message["role"] == "tool"]
        # There are no ids: it is the order that tells whose result it is.
        return {
            call["arguments"]["city"]: answer["content"]
            for call, answer in zip(calls, answers, strict=True)
        }

    def image(self, body):
        (data,) = body["messages"][-1]["images"]
        return None, data

    def asks_to_think(self, body):
        return bool(body.get("think"))


WIRES = {
    "openai": OpenAi(),
    "responses": Responses(),
    "anthropic": Anthropic(),
    "google": Google(),
    "ollama": Ollama(),
}


Received = collections.namedtuple("Received", "path headers body")


class ScriptedUpstream:
    """Gives one written answer to each request, in order, and keeps the requests."""

    def __init__(self):
        self.received = []
        self._answers = collections.deque()
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Otherwise headers and body wait for one another.
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                upstream._answer(self, json.loads(body))

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def forget(self):
        self.received.clear()
        self._answers.clear()

    def will_say(self, wire, *answers, streamed=False):
        for said in answers:
            if streamed:
                self.will_stream(wire, wire.stream(said))
            else:
                self.will_answer(wire.whole(said))

    def will_answer(self, body, status=200):
        """`body` may be a function of the request's."""
        self._answers.append((status, "application/json", body))

    def will_stream(self, wire, pieces):
        self._answers.append((200, wire.stream_type, pieces))

    def _answer(self, handler, asked):
        self.received.append(Received(handler.path, dict(handler.headers), asked))
        unwritten = (500, "application/json", {"error": {"message": "nothing is written for this"}})
        status, media_type, said = self._answers.popleft() if self._answers else unwritten
        if callable(said):
            said = said(asked)
        handler.send_response(status)
        handler.send_header("Content-Type", media_type)
        if isinstance(said, dict):
            body = json.dumps(said).encode()
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
            return
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in [*said, ""]:
            data = piece.encode()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
