"""Starts the binary in front of an upstream on loopback, and holds it to its own description.

Set by ./run: PROVIDERPOOL_BIN. Arguments go to schemathesis: ./run --include-path-regex aliases
"""

import compileall
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import openapi_spec_validator

HERE = pathlib.Path(__file__).parent
BINARY = os.environ["PROVIDERPOOL_BIN"]
START_LIMIT = 30  # seconds
RUN_LIMIT = 300  # seconds that one tool may take; they take less than one minute, unless they hang

# Left out of what schemathesis can check:
# - positive_data_acceptance: what depends on more than one field (a weighted route needs a weight, an
#   alias must not name itself) or on the upstream (a model that it has) no schema can say.
# - missing_required_header: no header is required but the key, and ignored_auth looks at that.
# - object_level_authorization, use_after_free, ensure_resource_availability: these follow links between
#   operations; the document has none, and who may do what is in tests/edge.
# - allow_header_conformance: names hold slashes and colons, so that one path fits two of the document's,
#   `POST /api/v1/routes/explain` and `GET /api/v1/routes/{name}`; `allow` tells the methods of both.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
]

# An answer of the relay is checked in tests/clients, by clients that read all of it. What it makes of
# bodies that are no requests is the upstream's to refuse, field by field.
RELAY_CHECKS = [check for check in CHECKS if check != "negative_data_rejection"]

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers every question with the same words."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Pool:
    """The binary in a folder of its own."""

    def __init__(self, folder, upstream):
        self.folder = folder
        (folder / "providerpool.toml").write_text(
            '[[providers]]\nid = "upstream"\nlocation = "local"\napi_format = "openai"\n'
            f'base_url = "{upstream}/v1"\napi_keys = ["sk-upstream"]\nmodels = [{{ name = "m" }}]\n'
        )
        # Nothing of the environment, where keys of vendors may be; and no way out of this machine for
        # the providers that are made up in the run.
        nowhere = "http://127.0.0.1:1"
        self.options = {
            "cwd": folder,
            "env": {
                "PATH": os.environ["PATH"],
                "HTTP_PROXY": nowhere,
                "HTTPS_PROXY": nowhere,
                "NO_PROXY": "127.0.0.1",
            },
        }
        self.keys = {role: self.create_key(role) for role in ("admin", "client")}
        self.url = f"http://127.0.0.1:{free_port()}"
        with open(folder / "log", "wb") as log:
            command = [BINARY, "serve", "--bind", self.url.removeprefix("http://")]
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, **self.options
            )
        self.wait_for("/health/ready")

    def create_key(self, role):
        made = subprocess.run(
            [BINARY, "keys", "create", "--role", role, "--name", "contract"],
            capture_output=True, text=True, timeout=START_LIMIT, **self.options,
        )  # fmt: skip
        if made.returncode != 0:
            sys.exit(f"no key was made: {made.stderr}")
        return made.stdout.splitlines()[-1]

    def get(self, path, role="admin"):
        key = {"Authorization": f"Bearer {self.keys[role]}"}
        request = urllib.request.Request(self.url + path, headers=key)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def wait_for(self, path):
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return self.get(path)
            except OSError:
                time.sleep(0.05)
        sys.exit(f"{path} is not answered:\n{(self.folder / 'log').read_text(errors='replace')}")

    def stop(self):
        self.process.terminate()
        try:
            code = self.process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if code != 0:
            log = (self.folder / "log").read_text(errors="replace")
            sys.exit(f"the pool ended with {code}:\n{log[-4000:]}")


def generate_client(document, folder):
    """A generator that leaves an operation out says so as a warning."""
    output = folder / "client"
    subprocess.run(
        [
            "openapi-python-client", "generate", "--path", str(document), "--meta", "none",
            "--output-path", str(output), "--fail-on-warning", "--config", str(HERE / "client.yaml"),
        ],
        check=True, timeout=RUN_LIMIT,
    )  # fmt: skip
    if not compileall.compile_dir(output, quiet=1):
        sys.exit("the generated client does not compile")
    described = json.loads(document.read_text())["paths"].values()
    operations = sum(len(item.keys() & {"get", "put", "post", "patch", "delete"}) for item in described)
    generated = sum(1 for file in output.glob("api/*/*.py") if file.name != "__init__.py")
    if generated != operations:
        sys.exit(f"of {operations} operations {generated} were generated")
    print(f"client generated: {generated} operations")


def schemathesis(pool, document, role, checks, examples, arguments):
    command = [
        "schemathesis", "run", str(document), "--url", pool.url,
        "--header", f"Authorization: Bearer {pool.keys[role]}",
        "--checks", ",".join(checks), "--phases", "examples,coverage,fuzzing",
        "--max-examples", str(examples), "--generation-deterministic",
        "--request-timeout", "10", "--no-shrink",
        "--continue-on-failure", "--suppress-health-check", "all", "--warnings", "off",
        *arguments,
    ]  # fmt: skip
    print(f"=== as {role}", flush=True)
    try:
        return subprocess.run(command, cwd=pool.folder, timeout=RUN_LIMIT).returncode == 0
    except subprocess.TimeoutExpired:
        sys.exit(f"schemathesis did not end within {RUN_LIMIT} s")


def main():
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="providerpool-contract-"))
    pool = Pool(folder, f"http://127.0.0.1:{upstream.server_port}")
    try:
        served = pool.get("/api/openapi.json")
        openapi_spec_validator.validate(served)
        document = folder / "openapi.json"
        document.write_text(json.dumps(served))
        print("the document is valid")
        generate_client(document, folder)
        relay, rest = ["--include-tag", "relay"], ["--exclude-tag", "relay"]
        arguments = sys.argv[1:]
        good = [
            schemathesis(pool, document, "client", RELAY_CHECKS, 40, [*relay, *arguments]),
            schemathesis(pool, document, "admin", CHECKS, 80, [*rest, *arguments]),
        ]
    finally:
        pool.stop()
        upstream.shutdown()
    shutil.rmtree(folder)
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
