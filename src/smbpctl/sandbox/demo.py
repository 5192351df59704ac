"""The demonstration: a control plane of its own, the operator on it, until all is available."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, cast, final

import yaml
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from smbpctl.api.v1alpha1 import (
    BIG_PEER,
    BigPeer,
    ConditionStatus,
    ConditionType,
    find_condition,
)
from smbpctl.api.v1alpha1.schema import crd
from smbpctl.app import run_operator
from smbpctl.reconcilers.access import policy_rules
from smbpctl.resources.permissions import NAME, NAMESPACE, operator_permissions
from smbpctl.runtime.clock import Clock, LoopClock, system_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.crds import ensure_crds
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.meta import Manifest, ObjectKey
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.simulation.controlplane import Binaries, ControlPlane
from smbpctl.runtime.transport import load_config
from smbpctl.sandbox.secrets import referenced_secrets
from smbpctl.sandbox.world import World
from smbpctl.settings import read_settings

NAMESPACE_OF_DEMO: Final = "default"
FIELD_OWNER: Final = "smbpctl-demo"

_REFRESH: Final = timedelta(milliseconds=250)
_STYLES: Final = {
    ConditionStatus.TRUE: "green",
    ConditionStatus.FALSE: "yellow",
    ConditionStatus.UNKNOWN: "dim",
}


@final
@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Where the programs and the manifest are, how long to wait, and whether to stay afterwards."""

    binaries: Path
    manifest: Path
    directory: Path
    patience: timedelta = timedelta(minutes=3)
    stay: bool = False


@final
class Demo:
    """Plays the whole story once, and shows it as it happens."""

    def __init__(self, options: DemoOptions, console: Console) -> None:
        self._options = options
        self._console = console
        self._clock: Clock = LoopClock()
        self._control_plane = ControlPlane(
            Binaries.in_directory(options.binaries), options.directory
        )

    async def run(self) -> bool:
        """Return whether the BigPeer became available within the time given."""
        manifest = _read(self._options.manifest)
        peer = BigPeer.parse(manifest, strict=True)
        with self._console.status("starting etcd, kube-apiserver and their controllers"):
            await asyncio.to_thread(self._control_plane.start)
        try:
            return await self._on_stage(manifest, peer)
        finally:
            await asyncio.to_thread(self._control_plane.stop)

    async def _on_stage(self, manifest: Manifest, peer: BigPeer) -> bool:
        admin = await load_config(self._control_plane.kubeconfig)
        random = system_random()
        cluster = Cluster.open(admin, clock=self._clock, random=random, metrics=Metrics())
        classes = [e.ingress.class_name for e in peer.spec.exposure if e.ingress is not None]
        world = World(
            admin, clock=self._clock, random=random, ingress_class=classes[0] if classes else ""
        )
        try:
            await self._install(cluster, peer)
            account = await asyncio.to_thread(
                self._control_plane.service_account_kubeconfig, NAMESPACE, NAME
            )
            config = await load_config(account)
            settings = read_settings({"probe_address": "127.0.0.1:0", "member_access": "direct"})
            async with asyncio.TaskGroup() as group:
                players = [
                    group.create_task(world.run()),
                    group.create_task(run_operator(settings, config, handle_signals=False)),
                ]
                await cluster.client.apply(manifest, field_owner=FIELD_OWNER, force=True)
                available = await self._watch(cluster, peer.key)
                if self._options.stay and available:
                    await asyncio.Event().wait()
                for player in players:
                    player.cancel()
        finally:
            await cluster.close()
        return available

    async def _install(self, cluster: Cluster, peer: BigPeer) -> None:
        """Apply what a person applies first: the CRD, the operator's rights, the Secrets."""
        objects = [
            *operator_permissions(policy_rules()),
            *referenced_secrets(peer, self._clock.now()),
        ]
        with self._console.status("installing the CustomResourceDefinition and the rights"):
            for each in objects:
                await cluster.client.apply(each, field_owner=FIELD_OWNER, force=True)
            await ensure_crds(cluster.client, [crd()], field_owner=FIELD_OWNER, clock=self._clock)

    async def _watch(self, cluster: Cluster, key: ObjectKey) -> bool:
        """Show the conditions as they change, until Available is True or patience ends."""
        deadline = self._clock.monotonic() + self._options.patience.total_seconds()
        available = False
        with Live(console=self._console, auto_refresh=False) as live:
            while not available and self._clock.monotonic() < deadline:
                await self._clock.sleep(_REFRESH)
                manifest = await cluster.client.get(BIG_PEER, key)
                if manifest is None:
                    continue
                peer = BigPeer.parse(manifest)
                live.update(Group(_components(peer), _conditions(peer)), refresh=True)
                available = _available(peer)
        self._console.print()
        if not available:
            self._console.print(f"BigPeer {key} did not become available in time", style="red")
            return False
        self._console.print(f"BigPeer {key}: Available=True", style="bold green")
        self._console.print(self._hint(), soft_wrap=True)
        return True

    def _hint(self) -> str:
        if not self._options.stay:
            return 'make demo ARGS="--stay" keeps the cluster, to look around with kubectl'
        kubectl = self._options.binaries / "kubectl"
        kubeconfig = self._control_plane.kubeconfig
        return (
            "Look around in another terminal; Ctrl-C ends it:\n"
            f"  {kubectl} --kubeconfig {kubeconfig} get bigpeers,pods,services -A"
        )


def _read(path: Path) -> Manifest:
    try:
        loaded: object = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not YAML: {error}") from error
    manifest = cast("Manifest", loaded) if isinstance(loaded, dict) else {}
    if manifest.get("kind") != BIG_PEER.kind or not isinstance(manifest.get("metadata"), dict):
        raise ConfigurationError(f"{path} is no manifest of a {BIG_PEER.kind}")
    return {**manifest, "metadata": {"namespace": NAMESPACE_OF_DEMO, **manifest["metadata"]}}


def _available(peer: BigPeer) -> bool:
    condition = find_condition(peer.status.conditions, ConditionType.AVAILABLE)
    return condition is not None and condition.status is ConditionStatus.TRUE


def _components(peer: BigPeer) -> Table:
    table = Table(title=f"BigPeer {peer.key}", title_justify="left", box=None)
    for column in ("component", "ready", "version"):
        table.add_column(column)
    status, spec = peer.status, peer.spec
    store = status.store.summary if status.store is not None else "0/?"
    table.add_row("store", store, status.version or "")
    tiers = (
        ("api", status.api, spec.api),
        ("subscriptions", status.subscriptions, spec.subscriptions),
        ("auth", status.auth, spec.auth),
    )
    for name, tier, wanted in tiers:
        ready = tier.ready_replicas if tier is not None else 0
        table.add_row(name, f"{ready}/{wanted.replicas}", "")
    return table


def _conditions(peer: BigPeer) -> Table:
    table = Table(box=None)
    for column in ("condition", "status", "reason"):
        table.add_column(column, no_wrap=True, min_width=8)
    table.add_column("message", no_wrap=True, overflow="ellipsis", ratio=1)
    order = [kind.value for kind in ConditionType]
    for condition in sorted(peer.status.conditions, key=lambda each: order.index(each.type)):
        table.add_row(
            condition.type,
            Text(condition.status.value, style=_STYLES[condition.status]),
            condition.reason,
            condition.message,
        )
    return table
