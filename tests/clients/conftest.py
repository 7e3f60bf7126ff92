"""Starts what the client tests talk to: aimock, an upstream nobody here wrote, one that says what a
test has written for it, and the real binary.

Set by ./run: PROVIDERPOOL_BIN (the binary) and NODE_PACKAGES (the folder of aimock and the clients
for Node).
"""

import collections
import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request

import openai
import pytest

from scripted import WIRES, ScriptedUpstream

HERE = pathlib.Path(__file__).parent
START_LIMIT = 30  # seconds
UPSTREAM_KEY = "the-key-only-the-pool-knows"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def provider(name, upstream, models, key=UPSTREAM_KEY, priority=0, api_format="openai"):
    base_url = f"{upstream}/v1" if api_format in ("openai", "responses") else upstream
    served = ", ".join(
        f"{{ name = {json.dumps(model)}, upstream_name = {json.dumps(at_upstream)} }}"
        for model, at_upstream in models.items()
    )
    return (
        f'[[providers]]\nid = "{name}"\nlocation = "local"\nbase_url = "{base_url}"\n'
        f'api_format = "{api_format}"\n'
        f'api_keys = ["{key}"]\npriority = {priority}\nmodels = [{served}]\n'
    )


def config(upstream, scripted):
    # Of each format, what aimock answers and what is written for it.
    formats = [
        provider(f"{way}-{api_format}", url, {f"{way}-{api_format}": model}, api_format=api_format)
        for api_format, wire in WIRES.items()
        for way, url, model in [
            # aimock ends a tool call as Gemini does only where it is told to.
            ("via", upstream, "mock-google" if api_format == "google" else "mock-1"),
            ("written", scripted, wire.model),
            ("counted", scripted, wire.model),  # asked by those alone who count what it spends
        ]
    ]
    # One provider per kind of trouble: what one test breaks must not cool down another's provider.
    return "\n".join(
        [
            provider("steady", upstream, {"mock-1": "mock-1", "mock-pair": "mock-1"}),
            provider("flaky", upstream, {"mock-pair": "mock-broken"}, priority=10),
            provider("broken", upstream, {"mock-broken": "mock-broken"}),
            provider("cut", upstream, {"mock-cut": "mock-cut"}),
            provider("locked-out", upstream, {"mock-locked": "mock-1"}, key="a-wrong-key"),
            *formats,
        ]
    )


class Service:
    """A process that is waited for until it answers, and whose output is shown when it does not."""

    def __init__(self, command, log, **options):
        self.log = log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, **options
            )

    def wait_for(self, url):
        deadline = time.monotonic() + START_LIMIT
        answer = "nothing"
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(url, timeout=2) as response:
                    if response.status == 200:
                        return
            except urllib.error.HTTPError as error:
                answer = f"{error.code}: {error.read().decode(errors='replace')}"
            except OSError as error:
                answer = str(error)
            time.sleep(0.05)
        said = self.log.read_text(errors="replace")
        pytest.exit(f"{url} answered {answer}\n{self.process.args[0]} said:\n{said}", 1)

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


class Pool:
    def __init__(self, url, client_key, admin_key):
        self.url = url
        self.client_key = client_key
        self._admin_key = admin_key

    def _manage(self, method, path):
        key = {"Authorization": f"Bearer {self._admin_key}"}
        request = urllib.request.Request(f"{self.url}/api/v1{path}", method=method, headers=key)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def usage(self):
        """The ledger's totals, as {(provider, model): row}."""
        totals = self._manage("GET", "/usage?period=all")["totals"]
        return {(row.get("provider_id"), row["model"]): row for row in totals}

    def end_cooldowns(self):
        self._manage("DELETE", "/cooldowns")


@pytest.fixture(scope="session")
def upstream(tmp_path_factory):
    port = free_port()
    service = Service(
        [
            "node", f"{os.environ['NODE_PACKAGES']}/node_modules/@copilotkit/aimock/dist/cli.js",
            "--port", str(port), "--fixtures", str(HERE / "fixtures.json"),
            "--chunk-size", "6", "--strict", "--validate-on-load", "--log-level", "warn",
        ],
        tmp_path_factory.mktemp("upstream") / "log",
        env={"PATH": os.environ["PATH"], "AIMOCK_API_KEYS": UPSTREAM_KEY},
    )  # fmt: skip
    service.wait_for(f"http://127.0.0.1:{port}/health")
    yield f"http://127.0.0.1:{port}"
    service.stop()


@pytest.fixture(scope="session")
def scripted_upstream():
    upstream = ScriptedUpstream()
    yield upstream
    upstream.stop()


@pytest.fixture(scope="session")
def pool(upstream, scripted_upstream, tmp_path_factory):
    binary = os.environ["PROVIDERPOOL_BIN"]
    folder = tmp_path_factory.mktemp("pool")
    file = folder / "providerpool.toml"
    file.write_text(config(upstream, scripted_upstream.url))
    # Nothing else of the environment: a key in it would switch on a provider of the catalogue.
    options = {
        "cwd": folder,
        "env": {"PATH": os.environ["PATH"], "PROVIDERPOOL__DATA__DIR": str(folder / "data")},
    }

    def create_key(role):
        made = subprocess.run(
            [binary, "keys", "create", "--role", role, "--name", "client tests"],
            capture_output=True, text=True, timeout=START_LIMIT, **options,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        return made.stdout.splitlines()[-1]

    admin_key, client_key = create_key("admin"), create_key("client")
    address = f"127.0.0.1:{free_port()}"
    service = Service(
        [binary, "serve", "--config", str(file), "--bind", address], folder / "log", **options
    )
    service.wait_for(f"http://{address}/health/ready")
    yield Pool(f"http://{address}", client_key, admin_key)
    assert service.stop() == 0, "the pool did not stop cleanly"


@pytest.fixture
def client(pool):
    # Without retries of its own: what the pool answers is what a test sees.
    with openai.OpenAI(
        base_url=f"{pool.url}/v1", api_key=pool.client_key, max_retries=0, timeout=30
    ) as client:
        yield client


@pytest.fixture(scope="session")
def counted():
    """What the client side counted: {(provider, model): {"completed", "failed", "input", "output"}}."""
    return collections.defaultdict(collections.Counter)


FAILED_PAIRS = pytest.StashKey()


def pytest_configure(config):
    config.stash[FAILED_PAIRS] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    values = item.callspec.params if hasattr(item, "callspec") else {}
    if report.failed and "client" in values:
        formats = [values["api_format"]] if "api_format" in values else WIRES
        item.config.stash[FAILED_PAIRS].update((values["client"], one) for one in formats)
    return report


@pytest.fixture
def failed_pairs(request):
    """Each (client, format) of which a test has failed."""
    return request.config.stash[FAILED_PAIRS]
