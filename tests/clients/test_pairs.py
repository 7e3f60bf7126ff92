"""Every official client over every upstream format, and the table in docs/clients.md that says what came
of it: the last test compares the two.

aimock is the upstream where it has what is needed (models `via-…`); elsewhere the test has written
what the upstream says, and looks at what it was sent (models `written-…` and `counted-…`).
"""

import collections
import dataclasses
import os
import pathlib
import re
import time

import pytest

import clients
from scripted import WIRES, Said, vector

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "clients.md"
GREETING = "Good morning! It is a fine day to relay a request or two."
WEATHER = {"Paris": "sunny", "Oslo": "rainy"}
THOUGHT = "Two cities, so two calls."
# What a seal is made of is its maker's matter; these bytes have all of Base64's alphabet in them.
SEAL = "++//" + "c2VhbGVkIGJ5IHRoZSB1cHN0cmVhbQ" + "=="
PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


@dataclasses.dataclass(frozen=True, eq=False)
class Client:
    """One client, and what its SDK has a place for."""

    label: str
    maker: object  # a class of clients.py, or the name of a client of clients.mjs
    finishes: tuple  # how it names an end, and one by calls
    errors: dict  # how it names a refusal, by status
    says_cached: bool = True
    says_thinking: bool = True
    shows_thoughts: bool = True
    keeps_seals: bool = True
    keeps_bare_thoughts: bool = True
    thinks_by_budget: bool = False  # in tokens, where others say how hard
    embeds: bool = False
    counts: bool = False
    lists: bool = True

    def __str__(self):
        return re.sub(r"\W+", "-", self.label).strip("-").lower()


def always(name):
    return dict.fromkeys((400, 401, 404), name)


BY_STATUS = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError"}
CHAT = {"finishes": ("stop", "tool_calls"), "errors": BY_STATUS, "embeds": True}
RESPONSES = {"finishes": ("completed", "completed"), "errors": BY_STATUS, "embeds": True}
MESSAGES = {
    "finishes": ("end_turn", "tool_use"), "errors": BY_STATUS, "counts": True,
    "thinks_by_budget": True,
}  # fmt: skip
GEMINI = {"finishes": ("STOP", "STOP"), "embeds": True, "counts": True, "thinks_by_budget": True}
OLLAMA = {
    "finishes": ("stop", "stop"), "errors": always("ResponseError"), "embeds": True,
    "says_cached": False, "says_thinking": False, "keeps_seals": False,
}  # fmt: skip
AI_SDK = {
    "finishes": ("stop", "tool-calls"), "errors": always("APICallError"), "lists": False,
}  # fmt: skip
# It leaves out of a Chat Completion what is not OpenAI's own,
AI_SDK_CHAT = {
    **AI_SDK, "embeds": True, "shows_thoughts": False, "keeps_seals": False,
    "keeps_bare_thoughts": False,
}  # fmt: skip
# and sends no thoughts back that OpenAI could not open.
AI_SDK_RESPONSES = {**AI_SDK, "embeds": True, "keeps_bare_thoughts": False}
AI_SDK_BY_BUDGET = {**AI_SDK, "thinks_by_budget": True}

CLIENTS = [
    Client("`openai`, Python, chat", clients.OpenAiChat, **CHAT),
    Client("`openai`, Python, responses", clients.OpenAiResponses, **RESPONSES),
    Client("`anthropic`, Python", clients.Anthropic, **MESSAGES),
    Client("`google-genai`, Python", clients.GoogleGenAi, errors=always("ClientError"), **GEMINI),
    Client("`ollama`, Python", clients.Ollama, **OLLAMA),
    Client("`openai`, Node, chat", "openai-chat", **CHAT),
    Client("`openai`, Node, responses", "openai-responses", **RESPONSES),
    Client("`@anthropic-ai/sdk`, Node", "anthropic", **MESSAGES),
    Client("`@google/genai`, Node", "google", errors=always("ApiError"), **GEMINI),
    Client("`ai` with `@ai-sdk/openai`, chat", "ai-openai-chat", **AI_SDK_CHAT),
    Client("`ai` with `@ai-sdk/openai`, responses", "ai-openai-responses", **AI_SDK_RESPONSES),
    Client("`ai` with `@ai-sdk/anthropic`", "ai-anthropic", **AI_SDK_BY_BUDGET),
    Client("`ai` with `@ai-sdk/google`", "ai-google", embeds=True, **AI_SDK_BY_BUDGET),
]


def each_client_that(trait):
    having = [client for client in CLIENTS if getattr(client, trait)]
    return pytest.mark.parametrize("client", having, ids=str)


each_client = pytest.mark.parametrize("client", CLIENTS, ids=str)
each_format = pytest.mark.parametrize("api_format", WIRES)
both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


@pytest.fixture(scope="module")
def missing_of_pairs():
    """What a pair cannot do, though its tests pass: {(client, format): {what: True}}, in order."""
    return collections.defaultdict(dict)


@pytest.fixture(scope="module")
def node(pool):
    program = pathlib.Path(__file__).parent / "clients.mjs"
    node = clients.NodeClients(program, os.environ["NODE_PACKAGES"], pool.url, pool.client_key)
    yield node
    node.stop()


@pytest.fixture(scope="module")
def sdks(pool, node):
    def connect(client):
        if isinstance(client.maker, str):
            return clients.NodeClient(node, client.maker)
        return client.maker(pool.url, pool.client_key)

    return {client: connect(client) for client in CLIENTS}


@pytest.fixture
def upstream_of(scripted_upstream):
    scripted_upstream.forget()
    return scripted_upstream


@pytest.fixture
def ask(client, sdks):
    """Asks the client's SDK. Answers its value and what the pool has told in headers."""

    def asked(action, **arguments):
        said = sdks[client].ask(action, **arguments)
        assert "error" not in said, said["error"]
        return said["value"], said["heard"]

    return asked


@pytest.fixture
def refused(client, sdks):
    """Asks for what must be refused with this status. Answers the SDK's error."""

    def asked(status, action, **arguments):
        said = sdks[client].ask(action, **arguments)
        assert "error" in said, said["value"]
        error = said["error"]
        assert (error["status"], error["type"]) == (status, client.errors[status]), error
        return error

    return asked


@pytest.fixture
def missing(missing_of_pairs, client, api_format):
    """Notes for the table what a pair cannot do; the test says what happens instead."""

    def note(what):
        missing_of_pairs[client, api_format][what] = True

    return note


def receipts(heard):
    return [answer["translation"] for answer in heard]


def tokens_of(client, wire, tokens):
    """What remains of an upstream's tokens where both have a place for them."""
    input, cached, output, thinking = tokens
    has_cached = wire.says_cached and client.says_cached
    has_thinking = wire.says_thinking and client.says_thinking
    return (input, cached if has_cached else 0, output, thinking if has_thinking else 0)


def said_tokens(turn):
    """Some SDKs say 0 where nothing was said, others nothing."""
    return tuple(count or 0 for count in turn["tokens"])


@each_format
@each_client
@both_ways
def test_an_answer(client, api_format, streamed, ask):
    (turn,), heard = ask(
        "converse", model=f"via-{api_format}", prompts=["hello"], streamed=streamed
    )
    assert turn["text"] == GREETING
    assert turn["finish"] == client.finishes[0]
    assert (turn["reasoning"], turn["calls"]) == ("", [])
    if streamed:
        assert turn["parts"] > 3, "the answer did not come in parts"
    # aimock says 0 for every answer of Ollama's.
    tokens = (0, 0, 0, 0) if api_format == "ollama" else (12, 0, 15, 0)
    assert said_tokens(turn) == tokens
    assert heard[0]["provider"] == f"via-{api_format}"
    assert receipts(heard) == ["lossless"]


@each_format
@each_client
@both_ways
def test_two_tools_called_at_once_and_their_results(client, api_format, streamed, ask):
    (called, final), heard = ask(
        "converse", model=f"via-{api_format}", prompts=["What is the weather like?"],
        streamed=streamed, results=WEATHER,
    )  # fmt: skip
    assert [call["name"] for call in called["calls"]] == ["get_weather"] * 2
    assert [call["arguments"]["city"] for call in called["calls"]] == ["Paris", "Oslo"]
    ids = {call["id"] for call in called["calls"]}
    assert len(ids) == 2 or ids == {None}, "two calls have one id"
    assert called["finish"] == client.finishes[1]
    assert final["text"] == "Paris is sunny, Oslo is not."
    assert final["finish"] == client.finishes[0]
    if api_format != "ollama":
        assert [said_tokens(turn)[::2] for turn in (called, final)] == [(60, 20), (90, 8)]
    assert receipts(heard) == ["lossless"] * 2


def losses_of_thinking(client, wire, streamed):
    """What the receipts of a call after a thought, and of the answer after its result, must name."""
    first, second = set(), set()
    if client.thinks_by_budget and not wire.thinks_by_budget:
        first.add("thinking")
        second.add("thinking")
    if wire.has_seals and not client.keeps_seals:
        # What a stream will hold is not known when its receipt is sent.
        if client.shows_thoughts and not streamed:
            first |= {"reasoning.signature", "usage.reasoning"}
        if client.keeps_bare_thoughts and not wire.takes_bare_thoughts:
            second.add("reasoning")
        if wire.thinks_after_seals_alone:
            second.add("thinking")
    return [", ".join(sorted(lost)) or "lossless" for lost in (first, second)]


@each_format
@each_client
@both_ways
def test_thoughts_return_to_their_maker(client, api_format, streamed, ask, upstream_of, missing):
    wire = WIRES[api_format]
    seal = SEAL if wire.has_seals else ""
    upstream_of.will_say(
        wire,
        Said(thought=THOUGHT, seal=seal, cities=tuple(WEATHER), tokens=(100, 0, 40, 10)),
        Said(text="Paris is sunny.", tokens=(200, 0, 5, 0)),
        streamed=streamed,
    )
    (called, final), heard = ask(
        "converse", model=f"written-{api_format}", prompts=["What is the weather like?"],
        streamed=streamed, results=WEATHER, thinks=True,
    )  # fmt: skip
    first, second = [received.body for received in upstream_of.received]

    assert called["reasoning"] == (THOUGHT if client.shows_thoughts else "")
    assert final["text"] == "Paris is sunny."
    results = wire.results(second)
    assert list(results) == list(WEATHER)
    assert all(WEATHER[city] in result for city, result in results.items())
    assert wire.asks_to_think(first)

    if not wire.has_seals:
        assert wire.thoughts(second) == (THOUGHT if client.keeps_bare_thoughts else "")
    elif client.keeps_seals:
        assert wire.seals(second) == [SEAL]
        if api_format != "google":  # where the seal is on the call, not on the thought
            assert wire.thoughts(second) == THOUGHT
    else:
        missing("thoughts do not come back sealed")
        assert wire.seals(second) == []
        if not wire.takes_bare_thoughts:
            assert wire.thoughts(second) == ""
        # Refused where a call must come after a sealed thought.
        assert wire.asks_to_think(second) != wire.thinks_after_seals_alone
    assert receipts(heard) == losses_of_thinking(client, wire, streamed)


@each_format
@each_client
@both_ways
def test_tokens_are_those_of_the_upstream(client, api_format, streamed, ask, upstream_of, counted):
    wire, tokens = WIRES[api_format], (100, 30, 40, 10)
    said = Said(text="It is fine.", thought="Is it?", seal=SEAL, tokens=tokens)
    upstream_of.will_say(wire, said, streamed=streamed)
    (turn,), _ = ask(
        "converse", model=f"counted-{api_format}", prompts=["How is it?"], streamed=streamed,
        thinks=True,
    )  # fmt: skip
    input, cached, output, _ = tokens_of(wire, wire, tokens)
    counted["counted", api_format].update(input=input - cached, cache_read=cached, output=output)
    assert said_tokens(turn) == tokens_of(client, wire, tokens)


@each_format
def test_the_ledger_counted_the_same(api_format, pool, counted):
    provider, expected = f"counted-{api_format}", counted["counted", api_format]

    def ledger():
        row = pool.usage().get((provider, WIRES[api_format].model))
        return row and {count: row["tokens"][count] for count in expected}

    # An entry is durable before its answer ends, but the totals may follow a moment later.
    deadline = time.monotonic() + 10
    while ledger() != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    assert expected and ledger() == expected


@each_format
@each_client
def test_a_picture(client, api_format, ask, upstream_of):
    wire = WIRES[api_format]
    upstream_of.will_say(wire, Said(text="A dot.", tokens=(9, 0, 3, 0)))
    (turn,), heard = ask(
        "converse", model=f"written-{api_format}", prompts=["What is this?"], image=PICTURE
    )
    assert turn["text"] == "A dot."
    media_type, data = wire.image(upstream_of.received[0].body)
    assert data == PICTURE
    assert media_type in ("image/png", None)
    assert receipts(heard) == ["lossless"]


@each_format
@each_client
@both_ways
def test_what_the_upstream_refuses_is_the_clients_error(
    client, api_format, streamed, refused, upstream_of
):
    upstream_of.will_answer(WIRES[api_format].refusal("temperature must be at most 2"), status=400)
    error = refused(
        400, "converse", model=f"written-{api_format}", prompts=["hello"], streamed=streamed
    )
    assert "temperature must be at most 2" in error["message"]


@each_format
@each_client
def test_a_stream_that_breaks_off_is_an_error(client, api_format, sdks, pool, upstream_of):
    pool.end_cooldowns()
    wire = WIRES[api_format]
    pieces = wire.stream(Said(text="It broke off in the middle.", tokens=(9, 0, 5, 0)))
    begun = next(place for place, piece in enumerate(pieces) if "It broke" in piece) + 1
    upstream_of.will_stream(wire, pieces[:begun] + wire.stream_error("the machine is on fire"))
    said = sdks[client].ask(
        "converse", model=f"written-{api_format}", prompts=["hello"], streamed=True
    )
    pool.end_cooldowns()
    assert "error" in said, said["value"]


@each_format
@each_client_that("counts")
def test_tokens_are_counted(api_format, ask, upstream_of, missing):
    wire = WIRES[api_format]
    if wire.counts:
        upstream_of.will_answer(wire.count(17))
    count, heard = ask("count", model=f"written-{api_format}", prompt="Say hello to all of them.")
    if wire.counts:
        assert (count, len(upstream_of.received)) == (17, 1)
        assert heard[0]["provider"] == f"written-{api_format}"
    else:
        missing("counts of tokens are estimated")
        assert 4 <= count <= 40
        assert heard[0]["provider"] is None
        assert upstream_of.received == []


@each_format
@each_client_that("embeds")
def test_texts_become_vectors(client, api_format, ask, sdks, upstream_of, missing):
    wire, texts = WIRES[api_format], ["one", "two good dogs"]
    if not wire.embeds:
        missing("no embeddings")
        said = sdks[client].ask("embed", model=f"written-{api_format}", texts=texts)
        assert "error" in said, said["value"]
        assert 400 <= said["error"]["status"] < 500, said["error"]
        assert upstream_of.received == []
        return
    upstream_of.will_answer(wire.vectors)
    vectors, heard = ask("embed", model=f"written-{api_format}", texts=texts)
    assert vectors == [vector(text) for text in texts]
    assert receipts(heard) == ["lossless"]


@each_client
def test_a_wrong_key_is_refused(client, refused):
    key = "ppk_000000000000_" + "A" * 43
    error = refused(401, "converse", key=key, model="via-openai", prompts=["hello"])
    assert key not in error["message"]


@each_client
def test_an_unknown_model_is_not_found_by_name(client, refused):
    error = refused(404, "converse", model="no-such-model", prompts=["hello"])
    assert "no-such-model" in error["message"]


@each_client_that("lists")
def test_the_models_are_listed(ask):
    models, _ = ask("models")
    wanted = {f"{way}-{api_format}" for way in ("via", "written") for api_format in WIRES}
    assert wanted <= set(models)


def table(missing, failed):
    """What each pair can do, for docs/clients.md."""

    def cell(pair):
        return "✗" if pair in failed else ", ".join(["✓", *missing[pair]])

    head = ["client", *(f"`{api_format}`" for api_format in WIRES)]
    rows = [
        [client.label, *(cell((client, api_format)) for api_format in WIRES)] for client in CLIENTS
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def test_the_table_in_the_documents_is_what_was_found(request, missing_of_pairs, failed_pairs):
    if request.config.getoption("-k"):
        pytest.skip("only some tests were chosen")
    before, begin, rest = DOCUMENT.read_text().partition("<!-- pairs -->\n")
    _, end, after = rest.partition("<!-- /pairs -->")
    assert begin and end, "docs/clients.md has no place for the table"
    found = f"{before}{begin}{table(missing_of_pairs, failed_pairs)}{end}{after}"
    if os.environ.get("UPDATE_DOCS") == "1":
        DOCUMENT.write_text(found)
    assert DOCUMENT.read_text() == found, "UPDATE_DOCS=1 tests/clients/run writes the table"
