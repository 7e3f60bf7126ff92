"""Starts what the benchmarks measure: the upstream, and a pool with a provider of each dialect."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

from workload import DIALECTS, write_answers

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
UPSTREAM_KEY = "bench"


def fail(message):
    sys.exit(f"{sys.argv[0]}: {message}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pool_binary():
    """The binary that PROVIDERPOOL_BIN names, else the release build, made now."""
    if named := os.environ.get("PROVIDERPOOL_BIN"):
        return pathlib.Path(named).resolve()
    subprocess.run(["cargo", "build", "--release", "--bin", "providerpool"], check=True, cwd=ROOT)
    return TARGET / "release" / "providerpool"


def start(stack, command, log, **options):
    """Starts a process, which the stack ends."""
    output = stack.enter_context(open(log, "wb"))
    command = [str(word) for word in command]
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
    stack.callback(stop, process)
    return process


def stop(process):
    process.terminate()
    try:
        process.wait(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()


def wait_for(process, port, path, log, seconds=30):
    """Waits until the path answers 200; only the connection is tried when there is no path."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            if path is None:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=seconds):
                return
        time.sleep(0.05)
    fail(f"{process.args[0]} did not answer on port {port}:\n{pathlib.Path(log).read_text()}")


class Upstream:
    """A fixed answer to everything, in every dialect, whole and streamed."""

    def __init__(self, stack, folder, **options):
        TARGET.mkdir(parents=True, exist_ok=True)
        program = TARGET / "bench-upstream"
        source = str(ROOT / "benches" / "relay" / "upstream.rs")
        rustc = ["rustc", "--edition", "2024", "-O", "-D", "warnings", "-o", str(program), source]
        subprocess.run(rustc, check=True)
        answers = folder / "answers"
        answers.mkdir()
        write_answers(answers)
        self.port, log = free_port(), folder / "upstream.log"
        self.process = start(stack, [program, self.port, answers], log, **options)
        wait_for(self.process, self.port, None, log)


class Pool:
    """A running build of the pool, with a folder, a database and keys of its own."""

    def __init__(self, stack, folder, program, upstream_port, under=(), seconds=30, **options):
        """`under`: the words of a command under which it runs."""
        folder.mkdir()
        self.port = free_port()
        config = folder / "providerpool.toml"
        config.write_text(
            '[server]\nworkers = 1\n[log]\nlevel = "warn"\n'
            + "".join(dialect.provider(upstream_port, UPSTREAM_KEY) for dialect in DIALECTS)
        )
        environment = {"PATH": os.environ["PATH"], "PROVIDERPOOL__DATA__DIR": str(folder / "data")}

        def create_key(role):
            command = [program, "keys", "create", "--role", role, "--name", "bench"]
            made = subprocess.run(
                command, env=environment, cwd=folder, capture_output=True, text=True
            )
            if made.returncode != 0:
                fail(f"no {role} key could be made:\n{made.stderr}")
            return made.stdout.splitlines()[-1]

        self.admin_key, self.client_key = create_key("admin"), create_key("client")
        log = folder / "providerpool.log"
        command = [*under, program, "serve", "--config", config, "--bind", f"127.0.0.1:{self.port}"]
        self.process = start(stack, command, log, env=environment, cwd=folder, **options)
        wait_for(self.process, self.port, "/health/ready", log, seconds)
