"""The stage of the operator's tests: nodes, a fake operand, the operator as its own process."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smbpctl.runtime.clock import LoopClock, system_random
from smbpctl.runtime.simulation.agents import FailureRules
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.runtime.transport import load_config
from smbpctl.sandbox.operand import FakeOperand
from smbpctl.sandbox.world import World
from test.support.conversation import Conversation, Watch, operator_writes


class Nodes:
    """The node agent with the fake operand, on a thread with an event loop of its own."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self.failures: FailureRules
        self.operand: FakeOperand
        self._kubeconfig = control_plane.kubeconfig
        self._started = threading.Event()
        self._stop: Callable[[], object] = lambda: None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="nodes")

    def __enter__(self) -> "Nodes":
        self._thread.start()
        assert self._started.wait(30), "the node agent did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._thread.join(30)
        if self._error is not None:
            raise self._error

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()

    async def _run(self) -> None:
        config = await load_config(self._kubeconfig)
        world = World(config, clock=LoopClock(), random=system_random(), node_prefix="stage")
        self.failures, self.operand = world.failures, world.operand
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._stop = lambda: loop.call_soon_threadsafe(task.cancel)
        self._started.set()
        await world.run()


@dataclass
class Operator:
    """`smbpctl run` as a process of its own, under the rights that config/rbac grants."""

    kubeconfig: Path
    log: Path
    flags: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> "Operator":
        """Start the process."""
        assert self.process is None
        command = [sys.executable, "-m", "smbpctl", "run", "--kubeconfig", str(self.kubeconfig)]
        command += ["--member-access", "direct"]  # to the agent's pods: there is no kubelet
        command += ["--probe-address", "", "--log-level", "debug", *self.flags]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, env=dict(os.environ))
        return self

    def kill(self) -> None:
        """End it as the kernel would: no handler runs."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it as Kubernetes would; return its exit status."""
        return self._end(signal.SIGTERM)

    def __enter__(self) -> "Operator":
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.kill()

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        status = self.process.wait(30)
        self.process = None
        return status


class Stage(Conversation):
    """A control plane with CRD, rights and nodes; what a test says to the cluster goes here."""

    def __init__(
        self, control_plane: ControlPlane, nodes: Nodes, kubeconfig: Path, logs: Path
    ) -> None:
        super().__init__(control_plane.kubectl)
        self.control_plane = control_plane
        self.nodes = nodes
        self.kubeconfig = kubeconfig
        self.logs = logs

    def watch(self, namespace: str, selector: str) -> Watch:
        """Return a witness of a namespace's pods."""
        kubectl = [str(self.control_plane.binaries.kubectl)]
        kubectl += ["--kubeconfig", str(self.control_plane.kubeconfig)]
        return Watch(kubectl, namespace, selector)

    def operator(self, *flags: str) -> Operator:
        """Return an operator that is not started yet."""
        log = self.logs / f"operator-{secrets.token_hex(3)}.log"
        return Operator(self.kubeconfig, log, flags)

    def writes(self, namespace: str | None = None) -> Iterator[Mapping[str, Any]]:
        """Return the operator's mutating requests so far, Leases excluded."""
        return operator_writes(self.control_plane.audit_events(), namespace)
