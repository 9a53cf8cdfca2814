"""Requests made up from /openapi.json: no answer may be a failure of the server, or one that the document doesn't describe.

A longer run, with another seed: SCHEMATHESIS_EXAMPLES=500 SCHEMATHESIS_SEED=7 pytest tests/python/test_openapi.py
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from conftest import OPERATOR_KEY

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# What would end the key of the run, or bind it to a quota of nothing.
OF_KEYS = "^/v1/admin/(api-keys/|quotas)"
# It answers until its reader goes.
ENDLESS = "/v1/collections/{name}/events"
SECONDS_MAX = 3600


def run(server, folder: Path, key: str, examples: int, *which: str) -> str:
    """Runs schemathesis in a folder of its own, and answers what it said."""
    command = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [
            *[command, "--config-file", Path(__file__).with_name("schemathesis.toml")],
            *["run", f"{server.url}/openapi.json", "--header", f"Authorization: Bearer {key}"],
            *["--checks", CHECKS, "--phases", "examples,fuzzing", "--mode", "all"],
            *["--max-examples", os.environ.get("SCHEMATHESIS_EXAMPLES", str(examples))],
            *["--seed", os.environ.get("SCHEMATHESIS_SEED", "1"), "--generation-database", "none"],
            *["--generation-with-security-parameters", "false", "--request-timeout", "30"],
            *["--exclude-tag", "Not offered", "--exclude-path", ENDLESS, "--warnings", "off", "--no-color"],
            *which,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def routes_tried(said: str) -> int:
    """How many routes it tried."""
    return int(re.search(r"Tested: (\d+)", said).group(1))


def test_an_owner_meets_nothing_that_is_not_described(server, tmp_path):
    """Lost otherwise: a generated client would meet an answer that it can't read, or make the server fail."""
    key = server.mint(workspace=server.fresh_workspace())
    assert routes_tried(run(server, tmp_path, key, 10, "--exclude-path-regex", OF_KEYS)) > 90


def test_the_operator_does_not_either(server, tmp_path):
    """Lost otherwise: the same, where keys and quotas are made."""
    assert routes_tried(run(server, tmp_path, OPERATOR_KEY, 10, "--include-path-regex", OF_KEYS)) > 4
