"""Tests of the container's process as a kubelet meets it: started, asked, ended, refused."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from smbpctl.operand import contract
from smbpctl.operand.contract import Component
from smbpctl.operand.members import MemberReport
from test.support.containers import Kubelet

COMMAND = (sys.executable, "-m", "smbpctl.sandbox.member")
PATIENCE = 20
UNWANTED = ("kubernetes_asyncio", "pydantic", "cryptography", "smbpctl.api", "smbpctl.reconcilers")


@dataclass
class Process:
    """A member's process and its first line."""

    popen: subprocess.Popen[str]
    started: dict[str, Any]

    def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> str:
        """Return the text of an answer that must be a success."""
        url = f"http://{self.started['addresses'][0]}{path}"
        with urlopen(Request(url, body, method=method), timeout=PATIENCE) as response:
            text: str = response.read().decode()
            return text

    def report(self) -> MemberReport:
        """Return what it says of itself."""
        return MemberReport.from_json(self.ask(contract.PATH_CLUSTER_VERSION))

    def ended(self) -> tuple[int, list[dict[str, Any]]]:
        """Wait for the end; return the status and the lines that were not read yet."""
        _, errors = self.popen.communicate(timeout=PATIENCE)
        return self.popen.returncode, [json.loads(line) for line in errors.splitlines()]


@contextmanager
def started(kubelet: Kubelet) -> Iterator[Process]:
    """Start the process and wait for its first line; kill what the test leaves."""
    with subprocess.Popen(
        [*COMMAND, "--root", str(kubelet.root), "--listen", "127.0.0.1:0"],
        env={"PATH": os.environ["PATH"], **kubelet.environment()},
        stderr=subprocess.PIPE,
        text=True,
    ) as popen:
        try:
            assert popen.stderr is not None
            yield Process(popen, json.loads(popen.stderr.readline()))
        finally:
            popen.kill()


def kubelet(root: Path, component: Component = Component.STORE) -> Kubelet:
    """Return a kubelet that has made all mounts."""
    made = Kubelet(root, component)
    made.mount()
    return made


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_member_serves_until_it_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    """It reports from its mounts, keeps its identity over a restart, and ends well when told."""
    made = kubelet(tmp_path)
    with started(made) as first:
        ready = first.ask(contract.PATH_READY)
        before = first.report()
        first.popen.send_signal(number)
        ended = first.ended()
    with started(made) as second:
        after = second.report()

    assert (first.started["event"], first.started["version"]) == ("member started", "1.64.0")
    assert first.started["component"] == "store"
    assert ready == "ok"
    assert ended[0] == 0
    assert [line["event"] for line in ended[1]] == ["member stopped"]
    assert before == after
    assert (before.config_id, before.ust) == (1, 0)


def test_a_hanging_member_ends_at_once(tmp_path: Path) -> None:
    """Who waits for an answer does not keep the process alive."""
    with started(kubelet(tmp_path, Component.API)) as member:
        member.ask("/fake/behaviour", "PUT", b'{"hangs": true}')
        with subprocess.Popen(
            [sys.executable, "-c", ASKS_AND_WAITS, member.started["addresses"][0]],
            stdout=subprocess.PIPE,
        ) as asking:
            assert asking.stdout is not None
            asking.stdout.readline()
            member.popen.send_signal(signal.SIGTERM)
            status, _ = member.ended()

    assert status == 0


ASKS_AND_WAITS = """
import socket, sys
host, port = sys.argv[1].split(":")
with socket.create_connection((host, int(port))) as connection:
    connection.sendall(b"GET /health/live HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    print("asked", flush=True)
    connection.recv(1)
"""


def test_a_member_told_to_crash_does_so_until_its_pod_goes(tmp_path: Path) -> None:
    """The restarted process ends as well; another pod, with another `/tmp`, lives."""
    made = kubelet(tmp_path)
    with started(made) as first:
        first.ask("/fake/behaviour", "PUT", b'{"crashes": true}')
        ended, _ = first.ended()
    with started(made) as second:
        again, _ = second.ended()
    for file in made.folder("/tmp").iterdir():
        file.unlink()
    with started(made) as third:
        ready = third.ask(contract.PATH_READY)

    assert (ended, again) == (1, 1)
    assert second.started["event"] == "member crashed as it was told"
    assert ready == "ok"


def test_an_exit_has_the_status_that_was_asked_for(tmp_path: Path) -> None:
    """The asker is answered, then the process ends."""
    with started(kubelet(tmp_path, Component.SUBSCRIPTION)) as member:
        answer = member.ask("/fake/exit?status=42", "POST")
        status, _ = member.ended()

    assert json.loads(answer) == {"status": 42}
    assert status == 42


def test_a_wrong_environment_is_refused(tmp_path: Path) -> None:
    """One line names all that is missing, and the status is another than that of a crash."""
    made = kubelet(tmp_path)
    topology = made.folder(contract.DIR_TOPOLOGY)
    topology.rename(tmp_path / "elsewhere")
    (made.folder(contract.DIR_TLS_JWT) / "tls.key").unlink()

    with started(made) as member:
        status, lines = member.ended()

    assert (status, lines) == (2, [])
    assert member.started["event"] == "environment refused"
    assert member.started["problem"] == (
        f"{topology} is not mounted; {made.folder(contract.DIR_TLS_JWT)}/tls.key is missing"
    )


def test_a_data_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A volume with the wrong owner is found at the start, not at the first write."""
    made = kubelet(tmp_path)
    # In place of a folder without the permission, which does not stop root.
    (made.folder(contract.DIR_DATA) / ".server-id.new").mkdir()

    with started(made) as member:
        status, _ = member.ended()

    assert status == 2
    assert f"{made.folder(contract.DIR_DATA)} cannot be written" in member.started["problem"]


def test_the_process_loads_what_it_needs_only(tmp_path: Path) -> None:
    """Two dozen of them start at once on a small machine: the operator stays out."""
    script = (
        "import sys\n"
        "import smbpctl.sandbox.member.__main__\n"
        "early = 'asyncio' in sys.modules\n"
        "import smbpctl.sandbox.member.process\n"
        f"print(early, [name for name in {UNWANTED!r} if name in sys.modules])"
    )

    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    assert ran.stdout == "False []\n"
