"""A manager with nothing to do: what it takes to import it, to hold it, and to wait with it."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from statistics import median
from typing import final

from benchmarks.cluster import configuration, quiet
from benchmarks.subjects.meter import Meter, settled_rss
from benchmarks.subjects.outcome import Outcome, Task
from smbpctl.runtime import (
    DONE,
    Form,
    GroupVersionKind,
    Manager,
    ManagerOptions,
    Phase,
    Request,
    Result,
    builder,
)
from smbpctl.runtime.leader import LeaderElection
from smbpctl.runtime.meta import ObjectKey

WATCHES = (
    *(GroupVersionKind("", "v1", kind) for kind in ("ConfigMap", "Secret", "Service", "Pod")),
    *(GroupVersionKind("", "v1", kind) for kind in ("ServiceAccount", "PersistentVolumeClaim")),
    GroupVersionKind("apps", "v1", "StatefulSet"),
    GroupVersionKind("policy", "v1", "PodDisruptionBudget"),
    GroupVersionKind("networking.k8s.io", "v1", "NetworkPolicy"),
    GroupVersionKind("discovery.k8s.io", "v1", "EndpointSlice"),
)
"""Ten kinds that an operator commonly watches, of which a new cluster has few objects."""

_LEASE = LeaderElection(lease_name="benchmark-empty", namespace="default")
_SETTLE_SECONDS = 1.0
_IMPORTS = 5
_IMAGE_LOCK = Path(__file__).parents[2] / "requirements.image.lock"

# What a pod's process does up to the point where it would connect.
_IN_CLUSTER = """
import asyncio, json, sys, time
sys.modules.update(dict.fromkeys(sys.argv[2:]))  # as if they were not installed
started = time.perf_counter()
from pathlib import Path
from smbpctl.runtime import Manager, builder, load_config
async def main():
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}
    config = await load_config(environ=environ, service_account=Path(sys.argv[1]))
    async with Manager.from_config(config):
        return time.perf_counter() - started
seconds = asyncio.run(main())
print(json.dumps({
    "import_ms": seconds * 1e3,
    "modules": sum(module is not None for module in sys.modules.values()),
    "generated_clients": sum(name.startswith("kubernetes_asyncio") for name in sys.modules),
}))
"""


@final
class Leading:
    """A runnable that tells when the caches are synced and the Lease is held."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def run(self) -> None:
        """Tell it."""
        self.began.set()


async def idle(task: Task, meter: Meter) -> Outcome:
    """Hold ten watches and a Lease, and do nothing else for a while."""
    quiet()
    options = ManagerOptions(leader_election=_LEASE)
    async with Manager.from_config(configuration(task.reach()), options=options) as manager:
        for gvk in WATCHES:
            nothing = builder.controller(gvk.kind.lower()).for_(gvk, form=Form.FULL)
            nothing.build(manager, builder.reconcile_function(_nothing))
        leading = Leading()
        manager.add(leading, Phase.CONTROLLERS)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(manager.run())
            await leading.began.wait()
            await asyncio.sleep(_SETTLE_SECONDS)
            held = settled_rss()
            with meter:
                await asyncio.sleep(task.seconds)
            manager.stop()
    return Outcome(len(WATCHES), extras={"rss_bytes_total": held})


async def imported(task: Task, meter: Meter) -> Outcome:
    """Import and configure in fresh interpreters, byte code at hand, as in an image."""
    with meter:
        taken = _imports()
    return Outcome(
        task.amount, extras={key: median(each[key] for each in taken) for key in taken[0]}
    )


def _imports() -> list[dict[str, float]]:
    with tempfile.TemporaryDirectory() as name:
        for file in ("token", "ca.crt"):
            Path(name, file).touch()
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": name}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        _import(name, environment)  # compiles
        return [_import(name, environment) for _ in range(_IMPORTS)]


def _import(service_account: str, environment: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-c", _IN_CLUSTER, service_account, *_not_in_the_image()]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    taken: dict[str, float] = json.loads(ended.stdout)
    return taken


@cache
def _not_in_the_image() -> Sequence[str]:
    """Return what can be imported here but not in a pod; some libraries take what they find."""
    lines = _IMAGE_LOCK.read_text(encoding="utf-8").splitlines()
    image = {line.partition("==")[0] for line in lines if "==" in line}
    return sorted(
        module
        for module, distributions in packages_distributions().items()
        if module != "smbpctl"
        and not image & {each.lower().replace("_", "-") for each in distributions}
    )


async def _nothing(request: Request[ObjectKey]) -> Result:
    return DONE
