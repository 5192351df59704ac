"""Tests of the control plane's life cycle, with scripts in the place of the real programs."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import psutil
import pytest
import yaml

from smbpctl.runtime.simulation.controlplane import (
    Binaries,
    ControlPlane,
    ControlPlaneError,
    NotReady,
    PortTaken,
    ProcessDied,
)
from smbpctl.runtime.simulation.controlplane.binaries import CONTROL_PLANE
from smbpctl.runtime.simulation.controlplane.ports import LOOPBACK, ReservedPort

FAKE = Path(__file__).with_name("fake_program.py").read_text()
SERVERS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]


class Make(Protocol):
    """Makes a control plane that is stopped after the test."""

    def __call__(
        self,
        directory: Path = ...,
        *,
        controllers: bool = ...,
        ready_timeout: timedelta = ...,
        arguments: Mapping[str, Sequence[str]] | None = ...,
    ) -> ControlPlane: ...


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with a fake of each program."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in CONTROL_PLANE:
        (folder / name).write_text(f"#!{sys.executable} -IS\n{FAKE}")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def make(programs: Path, tmp_path: Path) -> Iterator[Make]:
    """A function that makes a control plane of the fakes."""
    with ExitStack() as stack:

        def build(
            directory: Path = tmp_path / "cluster",
            *,
            controllers: bool = True,
            ready_timeout: timedelta = timedelta(seconds=50),
            arguments: Mapping[str, Sequence[str]] | None = None,
        ) -> ControlPlane:
            control_plane = ControlPlane(
                Binaries.in_directory(programs),
                directory,
                controllers=controllers,
                ready_timeout=ready_timeout,
                arguments=arguments,
            )
            stack.callback(control_plane.stop)
            return control_plane

        yield build


def events(control_plane: ControlPlane) -> list[str]:
    """What the fakes recorded, in order."""
    return (control_plane.logs.parent / "home" / "events").read_text().splitlines()


def children() -> list[psutil.Process]:
    """Every process below this one."""
    return psutil.Process().children(recursive=True)


def test_servers_start_upwards_and_end_in_reverse_order(make: Make) -> None:
    """What others depend on starts first and ends last, and nothing is left."""
    with make() as control_plane:
        # Those above the API server are not waited for: their first words may come a little later.
        for _ in range(200):
            started = events(control_plane)
            if len(started) == len(SERVERS):
                break
            threading.Event().wait(0.05)

    ended = events(control_plane)[len(started) :]
    assert sorted(started[:2]) == ["start etcd", "start kube-apiserver"]
    assert sorted(started[2:]) == ["start kube-controller-manager", "start kube-scheduler"]
    assert ended == [f"end {name}" for name in reversed(SERVERS)]
    assert children() == []


def test_without_controllers_only_storage_and_api_server_run(make: Make) -> None:
    """controllers=False starts neither controller manager nor scheduler."""
    with make(controllers=False) as control_plane:
        started = events(control_plane)

    assert sorted(started) == ["start etcd", "start kube-apiserver"]


def test_starting_and_stopping_twice_is_harmless(make: Make) -> None:
    """The second start keeps the running processes, the second stop finds nothing to do."""
    control_plane = make()
    control_plane.stop()
    control_plane.start()
    before = {process.pid for process in children()}

    control_plane.start()

    assert {process.pid for process in children()} == before
    control_plane.stop()
    control_plane.stop()
    assert children() == []


# What the dead server would have brought about must stay undone, or start could overlook it.
@pytest.mark.parametrize(
    ("name", "unready"),
    [
        ("etcd", "/readyz"),
        ("kube-apiserver", "/readyz"),
        ("kube-controller-manager", "/api/"),
        ("kube-scheduler", "/nothing"),
    ],
)
def test_a_server_that_dies_at_start_is_reported_with_its_last_words(
    make: Make, programs: Path, name: str, unready: str
) -> None:
    """The error names the program, its log and what it said; everything else is stopped."""
    (programs / f"die-{name}").write_text("cannot open the flux capacitor")
    (programs / "unready").write_text(unready)
    control_plane = make()

    with pytest.raises(ProcessDied) as caught:
        control_plane.start()

    assert caught.value.name == name
    assert caught.value.log == control_plane.logs / f"{name}.log"
    assert "cannot open the flux capacitor" in str(caught.value)
    assert children() == []


def test_a_server_that_is_never_ready_is_given_up(make: Make, programs: Path) -> None:
    """After the timeout the error says who is not ready, and nothing is left running."""
    (programs / "unready").write_text("/readyz")
    control_plane = make(ready_timeout=timedelta(seconds=0.2))

    with pytest.raises(NotReady) as caught:
        control_plane.start()

    assert "not ready after 0.2 s: kube-apiserver: " in str(caught.value)
    assert children() == []


def test_a_restart_brings_the_same_cluster_back(make: Make) -> None:
    """URL, authority and kubeconfigs of before a stop are valid after the next start."""
    control_plane = make()
    control_plane.start()
    url, authority = control_plane.url, control_plane.ca_path.read_bytes()
    control_plane.stop()

    control_plane.start()

    assert (control_plane.url, control_plane.ca_path.read_bytes()) == (url, authority)


def test_a_restart_that_does_not_get_its_port_says_so(make: Make) -> None:
    """A port taken while the control plane was down is an error, not another port."""
    control_plane = make()
    control_plane.start()
    number = int(control_plane.url.rpartition(":")[2])
    control_plane.stop()

    with (
        socket.create_server((LOOPBACK, number)),
        pytest.raises(PortTaken, match=f"port {number} "),
    ):
        control_plane.start()

    assert children() == []


def test_ports_are_free_again_after_stop(make: Make) -> None:
    """stop gives all ports back."""
    with make() as control_plane:
        number = int(control_plane.url.rpartition(":")[2])

    ReservedPort(number).close()


def test_a_folder_in_use_is_refused(make: Make, tmp_path: Path) -> None:
    """Two control planes never share a folder, not even one after the other."""
    with make(tmp_path / "one"):
        pass

    with pytest.raises(ControlPlaneError, match=f"{tmp_path / 'one'} is in use"):
        make(tmp_path / "one").start()


def test_arguments_come_last_and_only_for_known_programs(make: Make) -> None:
    """A flag of the caller follows ours, so that it wins; a misspelt program is an error."""
    control_plane = make(arguments={"kube-apiserver": ["--v=9"]})
    control_plane.start()

    (command,) = (control_plane.logs / "kube-apiserver.log").read_text().splitlines()
    assert command.endswith(" --v=9")
    with pytest.raises(ValueError, match="arguments for kubeapiserver; known: etcd"):
        make(arguments={"kubeapiserver": []})


def test_a_kubeconfig_belongs_to_user_and_groups(make: Make) -> None:
    """Each user has a file of its own, also where names differ only in odd characters."""
    control_plane = make(controllers=False)
    control_plane.start()

    paths = [
        control_plane.kubeconfig_for("a/b"),
        control_plane.kubeconfig_for("a:b"),
        control_plane.kubeconfig_for("a:b", ["g"]),
    ]

    assert len(set(paths)) == 3
    assert control_plane.kubeconfig_for("a/b") == paths[0]
    config = yaml.safe_load(paths[0].read_text())
    assert config["clusters"][0]["cluster"]["server"] == control_plane.url
    assert config["users"][0]["name"] == "a/b"


def test_a_service_account_kubeconfig_holds_a_token(make: Make) -> None:
    """The token is the one that the API server gave for that account in that namespace."""
    control_plane = make(controllers=False)
    control_plane.start()

    path = control_plane.service_account_kubeconfig("team", "bot")

    (user,) = yaml.safe_load(path.read_text())["users"]
    assert user["name"] == "system:serviceaccount:team:bot"
    assert user["user"] == {"token": "token-of bot --namespace=team"}


def test_credentials_need_a_started_control_plane(make: Make) -> None:
    """Before the first start there is neither URL nor authority, and the error says so."""
    control_plane = make()

    with pytest.raises(ControlPlaneError, match="never started"):
        control_plane.kubeconfig_for("ann")
    with pytest.raises(ControlPlaneError, match="never started"):
        _ = control_plane.url


def test_audit_events_leave_a_line_half_written_out(make: Make) -> None:
    """Only complete lines are parsed; the rest comes with a later call."""
    control_plane = make()
    assert list(control_plane.audit_events()) == []
    control_plane.logs.mkdir(parents=True)
    whole = json.dumps({"verb": "create"})
    control_plane.audit_log.write_text(f"{whole}\n" + whole[:9])

    first = list(control_plane.audit_events())
    with control_plane.audit_log.open("a") as log:
        log.write(whole[9:] + "\n")

    assert first == [{"verb": "create"}]
    assert list(control_plane.audit_events()) == [{"verb": "create"}] * 2


def test_kubectl_gets_input_and_no_foreign_environment(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kubectl runs as administrator unless told otherwise, untouched by the caller's settings."""
    monkeypatch.setenv("KUBECONFIG", "/elsewhere")
    control_plane = make()
    other = Path("/some/kubeconfig")

    default = control_plane.kubectl("get", "pods", stdin="text").stdout
    chosen = control_plane.kubectl("get", "pods", kubeconfig=other).stdout

    assert f"['--kubeconfig={control_plane.kubeconfig}', 'get', 'pods'] text" in default
    assert "'--kubeconfig=/some/kubeconfig'" in chosen
    assert "KUBECONFIG" not in default


def test_a_failure_of_kubectl_carries_what_it_said(make: Make) -> None:
    """With check the error has kubectl's words as a note; without check it is just returned."""
    control_plane = make()

    with pytest.raises(subprocess.CalledProcessError) as caught:
        control_plane.kubectl("fail")
    answer = control_plane.kubectl("fail", check=False)

    assert caught.value.__notes__ == ["error: no such thing"]
    assert (answer.returncode, answer.stderr) == (1, "error: no such thing\n")
