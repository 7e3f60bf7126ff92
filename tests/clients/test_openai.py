"""The official OpenAI client for Python against the pool, in the order written: the last test
compares the ledger with what all others counted."""

import asyncio
import json
import time

import openai
import pytest

HELLO = [{"role": "user", "content": "hello"}]
GREETING = "Good morning! It is a fine day to relay a request or two."
HELLO_TOKENS = (12, 15)  # input and output, as in fixtures.json
CALL_TOKENS, RESULT_TOKENS = (60, 20), (90, 8)
WEATHER = [{"role": "user", "content": "What is the weather like?"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
CITIES = [("call_paris", {"city": "Paris"}), ("call_oslo", {"city": "Oslo"})]


@pytest.fixture
def completed(counted):
    # Totals stand under the upstream's name of the model that answered, whatever was asked for.
    def count(tokens, provider="steady", model="mock-1"):
        counted[provider, model].update(completed=1, input=tokens[0], output=tokens[1])

    return count


@pytest.fixture
def failed(counted):
    def count(provider, model):
        counted[provider, model].update(failed=1)

    return count


def tokens(usage):
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    return usage.prompt_tokens, usage.completion_tokens


def text(chunks):
    return "".join(
        chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices
    )


def test_a_whole_answer(client, completed):
    answer = client.chat.completions.create(model="mock-1", messages=HELLO)
    assert answer.choices[0].message.content == GREETING
    assert answer.choices[0].finish_reason == "stop"
    assert tokens(answer.usage) == HELLO_TOKENS
    completed(HELLO_TOKENS)


def test_a_stream_that_was_not_asked_for_usage_has_none(client, completed):
    chunks = list(client.chat.completions.create(model="mock-1", messages=HELLO, stream=True))
    assert len(chunks) > 5, "the answer did not come in parts"
    assert text(chunks) == GREETING
    assert all(chunk.choices for chunk in chunks), "a usage chunk came unasked"
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    completed(HELLO_TOKENS)


def test_a_stream_that_was_asked_for_usage_ends_with_it(client, completed):
    chunks = list(
        client.chat.completions.create(
            model="mock-1", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert text(chunks) == GREETING
    assert chunks[-1].choices == []
    assert tokens(chunks[-1].usage) == HELLO_TOKENS
    assert [chunk.usage for chunk in chunks[:-1] if chunk.usage] == []
    completed(HELLO_TOKENS)


def test_tools_called_in_a_whole_answer_and_their_results(client, completed):
    answer = client.chat.completions.create(model="mock-1", messages=WEATHER, tools=TOOLS)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    called = [(call.id, json.loads(call.function.arguments)) for call in message.tool_calls]
    assert called == CITIES
    completed(CALL_TOKENS)

    results = [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        for call in message.tool_calls
    ]
    final = client.chat.completions.create(
        model="mock-1", messages=[*WEATHER, message, *results], tools=TOOLS
    )
    assert final.choices[0].message.content == "Paris is sunny, Oslo is not."
    completed(RESULT_TOKENS)


def test_tools_called_in_a_stream_come_as_fragments(client, completed):
    calls, fragments = {}, 0
    with client.chat.completions.create(
        model="mock-1", messages=WEATHER, tools=TOOLS, stream=True
    ) as stream:
        for chunk in stream:
            for part in chunk.choices[0].delta.tool_calls or []:
                call = calls.setdefault(part.index, {"id": "", "arguments": ""})
                call["id"] += part.id or ""
                call["arguments"] += part.function.arguments or ""
                fragments += 1
    assert [(call["id"], json.loads(call["arguments"])) for call in calls.values()] == CITIES
    assert fragments > len(CITIES), "the arguments did not come in parts"
    completed(CALL_TOKENS)


def test_the_clients_own_stream_helper_puts_the_tool_calls_together(client, completed):
    with client.chat.completions.stream(model="mock-1", messages=WEATHER, tools=TOOLS) as stream:
        message = stream.get_final_completion().choices[0].message
    assert [call.id for call in message.tool_calls] == ["call_paris", "call_oslo"]
    completed(CALL_TOKENS)


def test_many_requests_at_once_by_the_async_client(pool, completed):
    async def ask(client, streamed):
        answer = await client.chat.completions.create(
            model="mock-1", messages=HELLO, stream=streamed
        )
        if streamed:
            return text([chunk async for chunk in answer])
        return answer.choices[0].message.content

    async def ask_all():
        async with openai.AsyncOpenAI(
            base_url=f"{pool.url}/v1", api_key=pool.client_key, max_retries=0, timeout=30
        ) as client:
            return await asyncio.gather(*(ask(client, bool(n % 2)) for n in range(20)))

    assert asyncio.run(ask_all()) == [GREETING] * 20
    for _ in range(20):
        completed(HELLO_TOKENS)


def test_a_failing_provider_is_not_noticed_when_another_serves_the_model(client, completed):
    answer = client.chat.completions.create(model="mock-pair", messages=HELLO)
    assert answer.choices[0].message.content == GREETING
    completed(HELLO_TOKENS)

    chunks = list(client.chat.completions.create(model="mock-pair", messages=HELLO, stream=True))
    assert text(chunks) == GREETING
    completed(HELLO_TOKENS)


def test_the_models_are_listed_and_found(client):
    listed = {model.id: model for model in client.models.list()}
    assert {"mock-1", "mock-pair", "mock-broken"} <= set(listed)
    assert listed["mock-1"].object == "model"
    assert client.models.retrieve("mock-1").id == "mock-1"
    with pytest.raises(openai.NotFoundError, match="no-such-model"):
        client.models.retrieve("no-such-model")


def test_an_unknown_model_is_not_found_by_name(client):
    with pytest.raises(openai.NotFoundError, match="no-such-model") as refused:
        client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize("key", ["ppk_000000000000_" + "A" * 43, "sk-not-one-of-ours"])
def test_a_wrong_key_is_refused(client, key):
    with pytest.raises(openai.AuthenticationError) as refused:
        client.with_options(api_key=key).chat.completions.create(model="mock-1", messages=HELLO)
    assert refused.value.code == "invalid_api_key"
    assert key not in str(refused.value)


def test_malformed_requests_are_the_clients_fault(client):
    with pytest.raises(openai.BadRequestError):
        client.post(
            "/chat/completions",
            cast_to=object,
            content=b'{"model": "mock-1", "messages": [',
            options={"headers": {"Content-Type": "application/json"}},
        )
    with pytest.raises(openai.BadRequestError, match="model"):
        client.chat.completions.create(model=7, messages=HELLO)


def test_what_the_upstream_refuses_is_passed_on_with_its_reason(client, failed):
    with pytest.raises(openai.BadRequestError, match="temperature must be at most 2"):
        client.chat.completions.create(
            model="mock-1", messages=[{"role": "user", "content": "too hot"}]
        )
    failed("steady", "mock-1")


def test_an_upstream_that_fails_is_a_server_error(client, failed):
    with pytest.raises(openai.InternalServerError) as broken:
        client.chat.completions.create(model="mock-broken", messages=HELLO)
    assert "on fire" not in str(broken.value), "the upstream's body was passed on"
    failed("broken", "mock-broken")


def test_a_stream_that_is_cut_does_not_end_like_a_complete_one(client, failed):
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(model="mock-cut", messages=HELLO, stream=True):
            pass
    failed("cut", "mock-cut")


def test_the_pools_own_wrong_key_is_not_blamed_on_the_client(client, failed):
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="mock-locked", messages=HELLO)
    failed("locked-out", "mock-1")


def test_the_ledger_counted_what_the_client_counted(pool, counted):
    def ledger():
        return {
            key: {
                "completed": row["completed"],
                "failed": row["failed"],
                "input": row["tokens"]["input"],
                "output": row["tokens"]["output"],
            }
            for key, row in pool.usage().items()
            if key[0] in providers
        }

    fields = ("completed", "failed", "input", "output")
    expected = {key: {field: count[field] for field in fields} for key, count in counted.items()}
    providers = {provider for provider, _ in expected}
    # An entry is durable before its answer ends, but the totals may follow a moment later.
    deadline = time.monotonic() + 10
    while ledger() != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ledger() == expected
