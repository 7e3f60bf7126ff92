"""Starts what the client tests talk to: aimock, an upstream nobody here wrote, and the real binary.

Set by ./run: PROVIDERPOOL_BIN (the binary) and AIMOCK (aimock's command line program).
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

HERE = pathlib.Path(__file__).parent
START_LIMIT = 30  # seconds
UPSTREAM_KEY = "the-key-only-the-pool-knows"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def provider(name, upstream, models, key=UPSTREAM_KEY, priority=0):
    served = ", ".join(
        f"{{ name = {json.dumps(model)}, upstream_name = {json.dumps(at_upstream)} }}"
        for model, at_upstream in models.items()
    )
    return (
        f'[[providers]]\nid = "{name}"\nlocation = "local"\nbase_url = "{upstream}/v1"\n'
        f'api_keys = ["{key}"]\npriority = {priority}\nmodels = [{served}]\n'
    )


def config(upstream):
    # One provider per kind of trouble: what one test breaks must not cool down another's provider.
    return "\n".join(
        [
            provider("steady", upstream, {"mock-1": "mock-1", "mock-pair": "mock-1"}),
            provider("flaky", upstream, {"mock-pair": "mock-broken"}, priority=10),
            provider("broken", upstream, {"mock-broken": "mock-broken"}),
            provider("cut", upstream, {"mock-cut": "mock-cut"}),
            provider("locked-out", upstream, {"mock-locked": "mock-1"}, key="a-wrong-key"),
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

    def usage(self):
        """The ledger's totals, as {(provider, model): row}."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/usage?period=all",
            headers={"Authorization": f"Bearer {self._admin_key}"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            totals = json.load(response)["totals"]
        return {(row.get("provider_id"), row["model"]): row for row in totals}


@pytest.fixture(scope="session")
def upstream(tmp_path_factory):
    port = free_port()
    service = Service(
        [
            "node", os.environ["AIMOCK"],
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
def pool(upstream, tmp_path_factory):
    binary = os.environ["PROVIDERPOOL_BIN"]
    folder = tmp_path_factory.mktemp("pool")
    file = folder / "providerpool.toml"
    file.write_text(config(upstream))
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
