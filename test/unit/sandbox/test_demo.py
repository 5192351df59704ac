"""The demonstration: what it refuses, what it shows, and the whole story without a real server."""

import asyncio
import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from smbpctl.api.v1alpha1 import BIG_PEER, ConditionType, InvalidSpec
from smbpctl.reconcilers.kinds import DEPLOYMENT, SECRET, STATEFUL_SET
from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.crds import CRD
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.meta import Manifest, ObjectKey, gvk_of, key_of
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.simulation.controlplane import BinariesError
from smbpctl.runtime.simulation.controlplane.binaries import CONTROL_PLANE
from smbpctl.sandbox.demo import Demo, DemoOptions
from test.support.bigpeers import ABSENT, edited, external_peer
from test.support.cluster_stage import Workloads, is_true
from test.support.fake_cluster import CORE, NODES, RIGHTS, FakeCluster
from test.support.fake_cluster_http import ClusterHttp
from test.support.peers import SECRETS, a_manifest
from test.support.virtual_time import run_virtual

KINDS = (*CORE, *NODES, *RIGHTS)
KEY = ObjectKey("shop", "demo")


@pytest.fixture
def binaries(tmp_path: Path) -> Path:
    """A folder with a program of every name; none is ever started."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in CONTROL_PLANE:
        (folder / name).touch(mode=0o755)
    return folder


class Stage:
    """A demonstration whose words are kept."""

    def __init__(self, binaries: Path, manifest: Manifest | bytes, **options: object) -> None:
        self.folder = binaries.parent
        file = self.folder / "peer.yaml"
        file.write_bytes(
            manifest if isinstance(manifest, bytes) else yaml.safe_dump(manifest).encode()
        )
        self.text = io.StringIO()
        self.demo = Demo(
            DemoOptions(binaries, file, self.folder / "data", **options),  # type: ignore[arg-type]
            Console(file=self.text, width=120),
        )

    @property
    def shown(self) -> str:
        """Return all that was shown."""
        return self.text.getvalue()


class TestRefusals:
    def test_programs_that_are_missing(self, tmp_path: Path) -> None:
        """Nothing can be shown without them."""
        with pytest.raises(BinariesError, match=r"not found in .*etcd"):
            Demo(DemoOptions(tmp_path, tmp_path / "x.yaml", tmp_path / "d"), Console())

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (b"", "is no manifest of a BigPeer"),
            (b"- a", "is no manifest of a BigPeer"),
            (b"kind: BigPeer", "is no manifest of a BigPeer"),
            (b"kind: BigPeer\nmetadata: demo", "is no manifest of a BigPeer"),
            (b"kind: Secret\nmetadata: {name: a}", "is no manifest of a BigPeer"),
            (b"a: b: c", "is not YAML: mapping values"),
            (b"a: 1\n---\nb: 2", "is not YAML: expected a single document"),
            (b"\xff\xfe", "is not YAML"),
        ],
    )
    async def test_files_that_hold_no_big_peer(
        self, text: bytes, message: str, binaries: Path
    ) -> None:
        """The file is named; nothing was started."""
        stage = Stage(binaries, text)

        with pytest.raises(ConfigurationError, match=message):
            await stage.demo.run()

        assert not (stage.folder / "data").exists()

    async def test_a_file_that_is_not_there(self, binaries: Path) -> None:
        """Its name, and why."""
        stage = Stage(binaries, b"")
        (stage.folder / "peer.yaml").unlink()

        with pytest.raises(ConfigurationError, match=r"peer\.yaml: No such file or directory"):
            await stage.demo.run()

    async def test_a_spec_that_breaks_the_schema(self, binaries: Path) -> None:
        """As `render` refuses it, before anything is started."""
        stage = Stage(binaries, edited(external_peer(), {"spec.storage": {}}))

        with pytest.raises(InvalidSpec, match=r"spec\.storage: is not a known field"):
            await stage.demo.run()

        assert not (stage.folder / "data").exists()


def watched(stage: Stage, server: FakeCluster, act: Callable[[], object]) -> tuple[bool, float]:
    """Let the demonstration watch, and `act` after a minute; return its verdict and seconds."""

    async def main() -> tuple[bool, float]:
        clock = LoopClock()
        cluster = Cluster.over(
            ClusterHttp(server).transport(),
            clock=clock,
            random=seeded_random(1),
            metrics=Metrics(),
        )
        clock.call_later(timedelta(minutes=1), lambda: act() and None)
        began = clock.monotonic()
        available = await stage.demo._watch(cluster, KEY)
        return available, clock.monotonic() - began

    return run_virtual(main())


def available(server: FakeCluster) -> Callable[[], object]:
    """Return what makes the BigPeer Available."""
    conditions = [is_true(ConditionType.AVAILABLE)]
    return lambda: server.put(a_manifest({"status.conditions": conditions}))


class TestWatch:
    def test_it_ends_when_the_big_peer_is_available(self, binaries: Path) -> None:
        """And says so, with what can be done next."""
        server, stage = FakeCluster(), Stage(binaries, b"")
        server.put(a_manifest())

        verdict, seconds = watched(stage, server, available(server))

        assert verdict is True
        assert 60 <= seconds < 61
        assert "BigPeer shop/demo: Available=True" in stage.shown
        assert 'make demo ARGS="--stay"' in stage.shown

    def test_it_ends_when_patience_does(self, binaries: Path) -> None:
        """With the last state on the screen."""
        server, stage = FakeCluster(), Stage(binaries, b"", patience=timedelta(minutes=2))
        why = {
            **is_true(ConditionType.AVAILABLE),
            "status": "False",
            "reason": "StoreNotReady",
            "message": "partition 0 has none",
        }
        server.put(a_manifest({"status.conditions": [why]}))

        verdict, seconds = watched(stage, server, lambda: None)

        assert verdict is False
        assert 120 <= seconds < 121
        assert "StoreNotReady" in stage.shown
        assert "partition 0 has none" in stage.shown
        assert "did not become available in time" in stage.shown

    def test_a_big_peer_that_is_not_there_yet(self, binaries: Path) -> None:
        """It was applied a moment ago; it will be."""
        server, stage = FakeCluster(), Stage(binaries, b"")

        verdict, _ = watched(stage, server, available(server))

        assert verdict is True

    def test_whoever_stays_is_told_how_to_look_around(self, binaries: Path) -> None:
        """The very command, with the programs and the kubeconfig at hand."""
        server, stage = FakeCluster(), Stage(binaries, b"", stay=True)
        server.put(a_manifest())
        stage.demo._control_plane = ControlPlane(stage.folder)  # type: ignore[assignment]

        watched(stage, server, available(server))

        assert f"{binaries / 'kubectl'} --kubeconfig {stage.folder / 'kubeconfig'}" in stage.shown


class ControlPlane:
    """Satisfies what the demonstration needs of a control plane: one that is there already."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.kubeconfig = folder / "kubeconfig"
        self.calls: list[str] = []
        content = {
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        self.kubeconfig.write_text(yaml.safe_dump(content))

    def start(self) -> None:
        """Remember."""
        self.calls.append("start")

    def stop(self) -> None:
        """Remember."""
        self.calls.append("stop")

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Return the only kubeconfig there is."""
        self.calls.append(f"account {namespace}/{name}")
        return self.kubeconfig


def with_controllers(server: FakeCluster) -> FakeCluster:
    """Let workloads run as soon as they are made."""
    workloads = Workloads(server)

    def tell(event: str, manifest: Manifest, before: Manifest | None) -> None:
        if gvk_of(manifest) in (STATEFUL_SET, DEPLOYMENT):
            workloads.settle()
        elif gvk_of(manifest) == CRD and "status" not in manifest:
            established = {"conditions": [{"type": "Established", "status": "True"}]}
            server.edit(CRD, key_of(manifest), lambda crd: crd.update(status=established))

    server.listeners.append(tell)
    return server


class TestStory:
    async def test_from_the_manifest_to_available(self, binaries: Path) -> None:
        """Start, install, run, watch, stop: the operator and its world at work on one cluster."""
        server = with_controllers(FakeCluster(KINDS))
        manifest = edited(external_peer(), {"spec.tls": SECRETS, "metadata.namespace": ABSENT})
        stage = Stage(binaries, manifest, patience=timedelta(seconds=20))

        async with ClusterHttp(server).serve() as config, asyncio.timeout(30):
            plane = ControlPlane(stage.folder, config.server)
            stage.demo._control_plane = plane  # type: ignore[assignment]
            verdict = await stage.demo.run()

        assert verdict is True
        assert plane.calls == ["start", "account smbpctl-system/smbpctl-manager", "stop"]
        assert {"our-ca", "our-in-band", "jwt"} <= {key_of(e).name for e in server.all(SECRET)}
        assert (BIG_PEER, ObjectKey("default", "demo")) in server.objects
        assert {"CustomResourceDefinition", "ClusterRole"} <= {
            gvk.kind for gvk, _ in server.objects
        }
        assert "BigPeer default/demo: Available=True" in stage.shown

    async def test_an_error_stops_the_control_plane_all_the_same(self, binaries: Path) -> None:
        """Its processes must not outlive the demonstration."""
        stage = Stage(binaries, external_peer())
        plane = ControlPlane(stage.folder, "http://127.0.0.1:1")
        stage.demo._control_plane = plane  # type: ignore[assignment]

        with pytest.raises(Exception, match=r"127\.0\.0\.1:1"):
            await stage.demo.run()

        assert plane.calls[-1] == "stop"
