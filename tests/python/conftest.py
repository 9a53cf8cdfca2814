"""A server for the tests, started as users start it."""

import http.server
import json
import os
import re
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
OPERATOR_KEY = "operator-key-of-the-python-tests-0123456789"
START_SECONDS_MAX = 60


def program() -> Path:
    """The program under test: STRONGROOM_BIN, else the release build."""
    if "STRONGROOM_BIN" in os.environ:
        return Path(os.environ["STRONGROOM_BIN"])
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = target / "release" / "strongroom"
    if not path.exists():
        build = ["cargo", "build", "--release", "--workspace", "--bin", "strongroom"]
        subprocess.run(build, cwd=ROOT, check=True)
    return path


class Summarizer(http.server.BaseHTTPRequestHandler):
    """Answers the first three words of what it is to sum up, in the form of OpenAI's chats."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        words = asked["messages"][-1]["content"].split()[:3]
        answer = {"choices": [{"message": {"role": "assistant", "content": f"About: {' '.join(words)}"}}]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def start_summarizer() -> str:
    """Its address; it ends with the process."""
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Summarizer)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{listening.server_address[1]}/v1/chat/completions"


class Server:
    """A running server; it is ended by its own process id alone."""

    def __init__(self, folder: str):
        usual = {k: v for k, v in os.environ.items() if not k.startswith(("STRONGROOM_", "AETHER_"))}
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [program(), "serve", "--data-dir", f"{folder}/data", "--listen", "127.0.0.1:0"],
            env={**usual, "STRONGROOM_ROOT_KEY": OPERATOR_KEY, "STRONGROOM_SUMMARIZER": start_summarizer()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self.url = self._wait_for_address()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)

    def _wait_for_address(self) -> str:
        end = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(r" on (http://[\d.]+:\d+)", "".join(self.said))
            if found and _is_ready(found.group(1)):
                return found.group(1)
            time.sleep(0.01)
        self.stop()
        raise RuntimeError("the server did not start; it said:\n" + "".join(self.said))

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def mint(self, **fields) -> str:
        """A key with these fields over {"name", "scopes": ["*"]}."""
        answer = httpx.post(
            f"{self.url}/v1/admin/api-keys",
            headers={"Authorization": f"Bearer {OPERATOR_KEY}"},
            json={"name": "of a test", "scopes": ["*"], **fields},
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["key"]

    def fresh_workspace(self) -> str:
        """The name of a workspace that nobody else uses."""
        name = f"workspace-{time.monotonic_ns()}"
        answer = httpx.post(
            f"{self.url}/v1/admin/workspaces",
            headers={"Authorization": f"Bearer {OPERATOR_KEY}"},
            json={"name": name},
        )
        assert answer.status_code == 201, answer.text
        return name


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError):
        return False


@pytest.fixture(scope="session")
def server():
    with tempfile.TemporaryDirectory(prefix="strongroom-test-") as folder:
        running = Server(folder)
        yield running
        running.stop()
