"""The official clients, all with one face, so that a test is written once for all of them.

A client is asked by name: `converse`, `embed`, `count`, `models`. What it answers, or the error
that its SDK raises, is plain data, with what the pool told in the headers of each answer. Those for
Node live in clients.mjs and say the same.
"""

import json
import subprocess

import anthropic
import ollama
import openai
from google import genai
from google.genai import types as google

TIMEOUT = 30  # seconds
THINKING_BUDGET = 2048  # tokens
OUTPUT_LIMIT = 4096  # tokens
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ABOUT_WEATHER = {"name": "get_weather", "description": "Tells the weather of a city."}
# As OpenAI's chats have it, and those who took after them.
CHAT_TOOL = {"type": "function", "function": {**ABOUT_WEATHER, "parameters": CITY}}


def heard(response):
    """What the pool tells in the headers of an answer."""
    names = ("provider", "model", "translation")
    told = {name: response.headers.get(f"x-providerpool-{name}") for name in names}
    return {**told, "status": response.status_code}


def turn(text, reasoning, calls, finish, tokens, parts=0):
    """One answer. `tokens`: all of the input, what of it was cached, all of the output, what of it
    was thinking; None where the SDK has no place for it. `parts`: pieces of text, one by one."""
    return {
        "text": text or "", "reasoning": reasoning or "", "calls": calls, "finish": finish,
        "tokens": tokens, "parts": parts,
    }  # fmt: skip


class BrokenStream(Exception):
    """A failure that an SDK hands over as an event."""


class PythonClient:
    def __init__(self, url, key):
        self._url = url
        self._heard = []
        self.sdk = self.connect(url, key, self._listen)

    def _listen(self, response):
        self._heard.append(heard(response))

    def ask(self, action, key=None, **arguments):
        """{"value"} or {"error": {"type", "status", "message"}}, and {"heard"}."""
        if key is not None:
            return type(self)(self._url, key).ask(action, **arguments)
        self._heard.clear()
        try:
            said = {"value": getattr(self, action)(**arguments)}
        except Exception as error:  # what is raised is what is tested
            # Google's has its status in `code`, where OpenAI's has a word.
            status = getattr(error, "status_code", None) or getattr(error, "code", None)
            said = {
                "error": {"type": type(error).__name__, "status": status, "message": str(error)}
            }
        return {**said, "heard": list(self._heard)}

    def converse(self, model, prompts, streamed=False, results=None, thinks=False, image=None):
        """Says each prompt in turn, and after each gives `results` by city while calls come. What
        the model said goes back as the SDK has given it. Returns all turns."""
        history, turns = [], []
        for prompt in prompts:
            history += self.said(prompt, image)
            while True:
                one, message = self.answer(model, history, streamed, bool(results), thinks)
                turns.append(one)
                history += message
                if not one["calls"] or not results:
                    break
                answered = [(call, results[call["arguments"]["city"]]) for call in one["calls"]]
                history += self.returned(answered)
        return turns


class OpenAiClient(PythonClient):
    def connect(self, url, key, listen):
        # Without retries of its own: what the pool answers is what a test sees.
        return openai.OpenAI(
            base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=TIMEOUT,
            http_client=openai.DefaultHttpxClient(event_hooks={"response": [listen]}),
        )  # fmt: skip

    def embed(self, model, texts):
        answer = self.sdk.embeddings.create(model=model, input=texts)
        return [entry.embedding for entry in answer.data]

    def models(self):
        return [model.id for model in self.sdk.models.list()]


class OpenAiChat(OpenAiClient):
    def said(self, prompt, image):
        if image is None:
            return [{"role": "user", "content": prompt}]
        url = {"url": f"data:image/png;base64,{image}"}
        parts = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": url}]
        return [{"role": "user", "content": parts}]

    def returned(self, answered):
        return [
            {"role": "tool", "tool_call_id": call["id"], "content": result}
            for call, result in answered
        ]

    def answer(self, model, history, streamed, tools, thinks):
        options = {"model": model, "messages": history}
        if tools:
            options["tools"] = [CHAT_TOOL]
        if thinks:
            options["reasoning_effort"] = "low"
        parts = 0
        if streamed:
            usage = {"include_usage": True}
            with self.sdk.chat.completions.stream(**options, stream_options=usage) as stream:
                parts = sum(event.type == "content.delta" for event in stream)
                whole = stream.get_final_completion()
        else:
            whole = self.sdk.chat.completions.create(**options)
        choice, usage = whole.choices[0], whole.usage
        message = choice.message
        calls = [
            {"id": call.id, "name": call.function.name,
             "arguments": json.loads(call.function.arguments)}
            for call in message.tool_calls or []
        ]  # fmt: skip
        # Not OpenAI's own: the names that others have for thoughts.
        extra = message.model_extra or {}
        reasoning = extra.get("reasoning_content") or extra.get("reasoning")
        read, written = usage.prompt_tokens_details, usage.completion_tokens_details
        tokens = (
            usage.prompt_tokens, read and read.cached_tokens,
            usage.completion_tokens, written and written.reasoning_tokens,
        )  # fmt: skip
        one = turn(message.content, reasoning, calls, choice.finish_reason, tokens, parts)
        return one, [message]


class OpenAiResponses(OpenAiClient):
    def said(self, prompt, image):
        if image is None:
            return [{"role": "user", "content": prompt}]
        url = f"data:image/png;base64,{image}"
        parts = [
            {"type": "input_text", "text": prompt},
            {"type": "input_image", "image_url": url, "detail": "auto"},
        ]
        return [{"role": "user", "content": parts}]

    def returned(self, answered):
        return [
            {"type": "function_call_output", "call_id": call["id"], "output": result}
            for call, result in answered
        ]

    def answer(self, model, history, streamed, tools, thinks):
        # Nothing is kept there: what was thought comes back with what follows.
        options = {"model": model, "input": history, "store": False}
        if tools:
            tool = {"type": "function", **ABOUT_WEATHER, "parameters": CITY, "strict": False}
            options["tools"] = [tool]
        if thinks:
            options["reasoning"] = {"effort": "low", "summary": "auto"}
            options["include"] = ["reasoning.encrypted_content"]
        parts = 0
        if streamed:
            with self.sdk.responses.stream(**options) as stream:
                for event in stream:
                    parts += event.type == "response.output_text.delta"
                    if event.type == "response.failed":
                        raise BrokenStream(event.response.error.message)
                whole = stream.get_final_response()
        else:
            whole = self.sdk.responses.create(**options)
        calls = [
            {"id": item.call_id, "name": item.name, "arguments": json.loads(item.arguments)}
            for item in whole.output
            if item.type == "function_call"
        ]
        reasoning = "".join(
            part.text
            for item in whole.output
            if item.type == "reasoning"
            for part in item.summary or item.content or []
        )
        usage = whole.usage
        read, written = usage.input_tokens_details, usage.output_tokens_details
        tokens = (
            usage.input_tokens, read and read.cached_tokens,
            usage.output_tokens, written and written.reasoning_tokens,
        )  # fmt: skip
        one = turn(whole.output_text, reasoning, calls, whole.status, tokens, parts)
        return one, whole.output


class Anthropic(PythonClient):
    def connect(self, url, key, listen):
        return anthropic.Anthropic(
            base_url=url, api_key=key, max_retries=0, timeout=TIMEOUT,
            http_client=anthropic.DefaultHttpxClient(event_hooks={"response": [listen]}),
        )  # fmt: skip

    def said(self, prompt, image):
        if image is None:
            return [{"role": "user", "content": prompt}]
        source = {"type": "base64", "media_type": "image/png", "data": image}
        parts = [{"type": "text", "text": prompt}, {"type": "image", "source": source}]
        return [{"role": "user", "content": parts}]

    def returned(self, answered):
        blocks = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": result}
            for call, result in answered
        ]
        return [{"role": "user", "content": blocks}]

    def answer(self, model, history, streamed, tools, thinks):
        options = {"model": model, "messages": history, "max_tokens": OUTPUT_LIMIT}
        if tools:
            options["tools"] = [{**ABOUT_WEATHER, "input_schema": CITY}]
        if thinks:
            options["thinking"] = {"type": "enabled", "budget_tokens": THINKING_BUDGET}
        parts = 0
        if streamed:
            with self.sdk.messages.stream(**options) as stream:
                parts = sum(event.type == "text" for event in stream)
                whole = stream.get_final_message()
        else:
            whole = self.sdk.messages.create(**options)

        def blocks(kind):
            return [block for block in whole.content if block.type == kind]

        calls = [
            {"id": call.id, "name": call.name, "arguments": call.input}
            for call in blocks("tool_use")
        ]
        text = "".join(block.text for block in blocks("text"))
        reasoning = "".join(block.thinking for block in blocks("thinking"))
        usage = whole.usage
        cached = usage.cache_read_input_tokens or 0
        written = usage.cache_creation_input_tokens or 0
        details = usage.output_tokens_details
        tokens = (
            usage.input_tokens + cached + written, cached,
            usage.output_tokens, details and details.thinking_tokens,
        )  # fmt: skip
        one = turn(text, reasoning, calls, whole.stop_reason, tokens, parts)
        return one, [{"role": "assistant", "content": whole.content}]

    def count(self, model, prompt):
        asked = self.said(prompt, None)
        return self.sdk.messages.count_tokens(model=model, messages=asked).input_tokens

    def models(self):
        return [model.id for model in self.sdk.models.list()]


class GoogleGenAi(PythonClient):
    def connect(self, url, key, listen):
        options = google.HttpOptions(
            base_url=url,
            timeout=TIMEOUT * 1000,
            client_args={"event_hooks": {"response": [listen]}},
            retry_options=google.HttpRetryOptions(attempts=1),
        )
        return genai.Client(api_key=key, http_options=options)

    def said(self, prompt, image):
        parts = [google.Part(text=prompt)]
        if image is not None:
            blob = google.Blob(mime_type="image/png", data=image)
            parts.append(google.Part(inline_data=blob))
        return [google.Content(role="user", parts=parts)]

    def returned(self, answered):
        parts = [
            google.Part(
                function_response=google.FunctionResponse(
                    id=call["id"],
                    name=call["name"],
                    response={"result": result},
                )
            )
            for call, result in answered
        ]
        return [google.Content(role="user", parts=parts)]

    def answer(self, model, history, streamed, tools, thinks):
        config = google.GenerateContentConfig(max_output_tokens=OUTPUT_LIMIT)
        if tools:
            function = google.FunctionDeclaration(**ABOUT_WEATHER, parameters_json_schema=CITY)
            config.tools = [google.Tool(function_declarations=[function])]
        if thinks:
            config.thinking_config = google.ThinkingConfig(
                include_thoughts=True, thinking_budget=THINKING_BUDGET
            )
        options = {"model": model, "contents": history, "config": config}
        if streamed:
            chunks = list(self.sdk.models.generate_content_stream(**options))
        else:
            chunks = [self.sdk.models.generate_content(**options)]
        candidates = [chunk.candidates[0] for chunk in chunks if chunk.candidates]
        contents = [candidate.content for candidate in candidates if candidate.content]
        parts = [part for content in contents for part in content.parts or []]
        (finish,) = [one.finish_reason for one in candidates if one.finish_reason]
        calls = [
            {"id": part.function_call.id, "name": part.function_call.name,
             "arguments": part.function_call.args}
            for part in parts
            if part.function_call
        ]  # fmt: skip
        texts = [part.text for part in parts if part.text and not part.thought]
        reasoning = "".join(part.text for part in parts if part.text and part.thought)
        usage = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata][-1]
        thinking = usage.thoughts_token_count
        tokens = (
            usage.prompt_token_count, usage.cached_content_token_count,
            (usage.candidates_token_count or 0) + (thinking or 0), thinking,
        )  # fmt: skip
        count = len(texts) if streamed else 0
        one = turn("".join(texts), reasoning, calls, finish.name, tokens, count)
        return one, [google.Content(role="model", parts=parts)]

    def embed(self, model, texts):
        # A list of texts would be one content of several parts.
        contents = [google.Content(parts=[google.Part(text=text)]) for text in texts]
        answer = self.sdk.models.embed_content(model=model, contents=contents)
        return [entry.values for entry in answer.embeddings]

    def count(self, model, prompt):
        return self.sdk.models.count_tokens(model=model, contents=prompt).total_tokens

    def models(self):
        return [model.name.removeprefix("models/") for model in self.sdk.models.list()]


class Ollama(PythonClient):
    def connect(self, url, key, listen):
        return ollama.Client(
            host=url, timeout=TIMEOUT, headers={"Authorization": f"Bearer {key}"},
            event_hooks={"response": [listen]},
        )  # fmt: skip

    def said(self, prompt, image):
        images = {} if image is None else {"images": [image]}
        return [{"role": "user", "content": prompt, **images}]

    def returned(self, answered):
        return [
            {"role": "tool", "tool_name": call["name"], "content": result}
            for call, result in answered
        ]

    def answer(self, model, history, streamed, tools, thinks):
        options = {"model": model, "messages": history}
        if tools:
            options["tools"] = [CHAT_TOOL]
        if thinks:
            options["think"] = "low"
        if streamed:
            lines = list(self.sdk.chat(**options, stream=True))
        else:
            lines = [self.sdk.chat(**options)]
        assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
        messages = [line.message for line in lines]
        called = [call for message in messages for call in message.tool_calls or []]
        texts = [message.content for message in messages if message.content]
        reasoning = "".join(message.thinking or "" for message in messages)
        calls = [
            {"id": None, "name": call.function.name, "arguments": dict(call.function.arguments)}
            for call in called
        ]
        last = lines[-1]
        tokens = (last.prompt_eval_count, None, last.eval_count, None)
        text, count = "".join(texts), len(texts) if streamed else 0
        one = turn(text, reasoning, calls, last.done_reason, tokens, count)
        message = ollama.Message(
            role="assistant", content=text, thinking=reasoning or None, tool_calls=called or None
        )
        return one, [message]

    def embed(self, model, texts):
        return [list(vector) for vector in self.sdk.embed(model=model, input=texts).embeddings]

    def models(self):
        return [model.model for model in self.sdk.list().models]


class NodeClients:
    """One process for all clients for Node: a line of JSON asks, a line of JSON answers."""

    def __init__(self, program, packages, url, key):
        self._process = subprocess.Popen(
            ["node", program, packages, url, key],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, client, action, arguments):
        self._process.stdin.write(json.dumps([client, action, arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"node ended with {self._process.wait()}"
        return json.loads(line)

    def stop(self):
        self._process.stdin.close()
        self._process.wait(timeout=TIMEOUT)


class NodeClient:
    def __init__(self, node, name):
        self._node, self._name = node, name

    def ask(self, action, **arguments):
        return self._node.ask(self._name, action, arguments)
