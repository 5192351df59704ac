"""A real Kubernetes control plane on this machine: etcd, API server, controllers, scheduler."""

import hashlib
import json
import os
import re
import ssl
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast, final

from smbpctl.runtime.clock import Clock, LoopClock
from smbpctl.runtime.simulation.controlplane import commands
from smbpctl.runtime.simulation.controlplane.binaries import CONTROLLERS, Binaries
from smbpctl.runtime.simulation.controlplane.certificates import CertificateAuthority, KeyPair
from smbpctl.runtime.simulation.controlplane.kubeconfig import (
    BearerToken,
    kubeconfig,
    write_private,
)
from smbpctl.runtime.simulation.controlplane.layout import PROBE, Layout, write_credentials
from smbpctl.runtime.simulation.controlplane.ports import LOOPBACK, ReservedPort
from smbpctl.runtime.simulation.controlplane.process import SupervisedProcess
from smbpctl.runtime.simulation.controlplane.readiness import (
    Deadline,
    Endpoint,
    wait_until_ready,
)

SERVERS = ("etcd", "kube-apiserver", *CONTROLLERS)
_ADMIN = "admin"
_MASTERS = ("system:masters",)
# Of the longest names only the start is kept; the digest after it keeps paths apart.
_READABLE_CHARACTERS = 60


class ControlPlaneError(Exception):
    """The control plane was used in a state that does not allow it."""


@final
class ControlPlane:
    """etcd, kube-apiserver and, unless told otherwise, controller manager and scheduler.

    A context manager; also usable by `start` and `stop`. Everything listens on 127.0.0.1 with
    TLS; RBAC, the default admission plugins and service accounts are on, and every request is in
    the audit log. There are no nodes, so no container ever runs.

    `directory` must be absent or empty. It holds all data, keys and logs and is left behind for
    the caller to delete. Starting again after `stop` brings back the same cluster: data, ports,
    keys and kubeconfigs stay valid, so a stop and a start are an outage as clients see it.

    The processes end with this process however that ends (see `SupervisedProcess`). All methods
    block; asyncio code calls them in a thread. Not thread-safe, except that `kubectl`,
    `kubeconfig_for` and `audit_events` may run at the same time as each other.
    """

    def __init__(
        self,
        binaries: Binaries,
        directory: Path,
        *,
        controllers: bool = True,
        ready_timeout: timedelta = timedelta(seconds=60),
        node_monitor_grace_period: timedelta = timedelta(seconds=50),
        arguments: Mapping[str, Sequence[str]] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare a control plane without touching the disk.

        `node_monitor_grace_period` is the silence after which a node is NotReady.
        `arguments` maps a program ("etcd", "kube-apiserver", "kube-controller-manager",
        "kube-scheduler") to flags put after ours; of a flag given twice the last one counts.
        `clock` dates certificates. Raises `ValueError` for any other name in `arguments`.
        """
        extra = dict(arguments or {})
        unknown = sorted(set(extra) - set(SERVERS))
        if unknown:
            raise ValueError(f"arguments for {', '.join(unknown)}; known: {', '.join(SERVERS)}")
        self.binaries = binaries
        self._layout = Layout(directory.absolute())
        self._servers = SERVERS if controllers else SERVERS[:2]
        self._ready_timeout = ready_timeout
        self._node_monitor_grace_period = node_monitor_grace_period
        self._arguments = extra
        self._clock = clock or LoopClock()
        self._authority: CertificateAuthority | None = None
        self._numbers: dict[str, int] = {}
        self._reserved: list[ReservedPort] = []
        self._processes: list[SupervisedProcess] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The API server's https URL; the same for the whole life of this object."""
        return f"https://{LOOPBACK}:{self._number('kube-apiserver')}"

    @property
    def ca_path(self) -> Path:
        """PEM of the authority that signed the API server's certificate."""
        return self._layout.certificate("ca")

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of user "admin" in group "system:masters", whom nothing is refused."""
        return self._kubeconfig_path(_ADMIN, _MASTERS)

    @property
    def logs(self) -> Path:
        """The folder with one log file a process, and the audit log."""
        return self._layout.logs

    @property
    def audit_log(self) -> Path:
        """The API server's audit log at level Metadata, one JSON object a line."""
        return self._layout.audit_log

    def start(self) -> None:
        """Start everything and return when it is ready; harmless when it runs already.

        Ready means: the API server's /readyz passes and, with controllers, the default namespace
        has its service account and the scheduler is ready. Raises `ProcessDied` with the end of
        the log when a process ends, `NotReady` after `ready_timeout`, `PortTaken` when a restart
        does not get its port back, `ControlPlaneError` when the folder is in use. Whatever was
        started is stopped again before any of these is raised.
        """
        if self._processes:
            return
        self._prepare()
        try:
            self._reserve_ports()
            with Deadline(self._ready_timeout) as deadline:
                self._start_all(deadline)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all processes in reverse order and wait for them; harmless when none runs."""
        while self._processes:
            self._processes.pop().stop()
        while self._reserved:
            self._reserved.pop().close()

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Sign a client certificate for `user` in `groups` and return a kubeconfig with it.

        The same user and groups give the same path, with a new certificate each time. Raises
        `ControlPlaneError` before the first start, `ValueError` for a name longer than 64
        characters, which fits no certificate.
        """
        pair = self._started().issue_client(user, groups=groups, now=self._clock.now())
        return self._write_kubeconfig(user, groups, pair)

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Ask the API server for a token of a service account; return a kubeconfig with it.

        Unlike a certificate with the account's user name, the token stops working when the
        account is deleted, and it knows no limit of length. It is valid for one hour. Raises
        `subprocess.CalledProcessError` when there is no such account.
        """
        answer = self.kubectl("create", "token", name, f"--namespace={namespace}")
        user = f"system:serviceaccount:{namespace}:{name}"
        return self._write_kubeconfig(user, (), BearerToken(answer.stdout.strip()))

    def audit_events(self) -> Iterator[Mapping[str, Any]]:
        """Yield the audit events written so far, oldest first; a line half written is left out.

        The API server writes an event after it has answered, so the last requests of a client
        can be missing for a moment.
        """
        if not self.audit_log.exists():
            return
        with self.audit_log.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield cast("Mapping[str, Any]", json.loads(line))

    def kubectl(
        self,
        *args: str,
        kubeconfig: Path | None = None,
        stdin: str | None = None,
        check: bool = True,
        timeout: timedelta = timedelta(seconds=60),
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator, or as the user of `kubeconfig`, and return its output.

        `stdin` is given to it as text. With `check` a failure raises
        `subprocess.CalledProcessError` whose note holds what kubectl said; `timeout` raises
        `subprocess.TimeoutExpired`.
        """
        command = [str(self.binaries.kubectl), f"--kubeconfig={kubeconfig or self.kubeconfig}"]
        answer = subprocess.run(
            [*command, *args],
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=timeout.total_seconds(),
            env=self._environment(),
            check=False,
        )
        if check and answer.returncode != 0:
            error = subprocess.CalledProcessError(
                answer.returncode, answer.args, answer.stdout, answer.stderr
            )
            error.add_note(answer.stderr.strip())
            raise error
        return answer

    def _prepare(self) -> None:
        if self._authority is not None:
            return
        try:
            self._layout.create()
        except FileExistsError as error:
            raise ControlPlaneError(
                f"{self._layout.root} is in use by another control plane: {error.filename} exists"
            ) from error
        self._authority = write_credentials(self._layout, now=self._clock.now())

    def _reserve_ports(self) -> None:
        for name in self._servers:
            port = ReservedPort(self._numbers.get(name, 0))
            self._reserved.append(port)
            self._numbers[name] = port.number

    def _start_all(self, deadline: Deadline) -> None:
        admin = self.kubeconfig_for(_ADMIN, _MASTERS)
        context = ssl.create_default_context(cafile=self.ca_path)
        context.load_cert_chain(self._layout.certificate(PROBE), self._layout.key(PROBE))
        # The API server takes longer to reach its first read than etcd takes to serve it.
        for name in self._servers[:2]:
            self._start_one(name, admin)
        self._wait("kube-apiserver", "/readyz?verbose", deadline, context)
        for name in self._servers[2:]:
            self._start_one(name, self.kubeconfig_for(f"system:{name}"))
        if "kube-controller-manager" not in self._servers:
            return
        # Pods are refused until their namespace's account exists.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._wait("kube-apiserver", account, deadline, context)
        self._wait("kube-scheduler", "/readyz", deadline, context)

    def _start_one(self, name: str, credentials: Path) -> None:
        process = SupervisedProcess(
            name,
            [*self._command(name, credentials), *self._arguments.get(name, ())],
            log=self._layout.log(name),
            environment=self._environment(),
        )
        self._processes.append(process)
        process.start()

    def _command(self, name: str, credentials: Path) -> list[str]:
        binaries, layout, port = self.binaries, self._layout, self._number(name)
        if name == "etcd":
            return commands.etcd(binaries, layout, port=port)
        if name == "kube-apiserver":
            return commands.api_server(binaries, layout, port=port, etcd_port=self._number("etcd"))
        if name == "kube-scheduler":
            return commands.scheduler(binaries, layout, port=port, kubeconfig=credentials)
        return commands.controller_manager(
            binaries,
            layout,
            port=port,
            kubeconfig=credentials,
            node_monitor_grace_period=self._node_monitor_grace_period,
        )

    def _wait(self, name: str, path: str, deadline: Deadline, context: ssl.SSLContext) -> None:
        endpoint = Endpoint(name=name, port=self._number(name), path=path, context=context)
        wait_until_ready(endpoint, deadline=deadline, between=self._ensure_running)

    def _ensure_running(self) -> None:
        for process in self._processes:
            process.ensure_running()

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            raise ControlPlaneError("the control plane was never started")
        return self._numbers[name]

    def _started(self) -> CertificateAuthority:
        if self._authority is None:
            raise ControlPlaneError("the control plane was never started")
        return self._authority

    def _write_kubeconfig(
        self, user: str, groups: Sequence[str], credential: KeyPair | BearerToken
    ) -> Path:
        authority = self._started().certificate
        text = kubeconfig(self.url, authority=authority, user=user, credential=credential)
        path = self._kubeconfig_path(user, groups)
        write_private(path, text.encode())
        return path

    def _kubeconfig_path(self, user: str, groups: Sequence[str]) -> Path:
        readable = re.sub(r"[^A-Za-z0-9.-]+", "-", user)[:_READABLE_CHARACTERS]
        identity = json.dumps([user, sorted(groups)]).encode()
        digest = hashlib.sha256(identity).hexdigest()[:8]
        return self._layout.kubeconfigs / f"{readable}-{digest}.yaml"

    def _environment(self) -> dict[str, str]:
        # Nothing is inherited: a proxy, an ETCD_* or a KUBE* variable would change what runs.
        return {"HOME": str(self._layout.home), "PATH": os.defpath}
