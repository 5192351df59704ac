"""The manager over an API server in memory: start, readiness, stop, and what it hands out."""

import asyncio
import gc
import os
import signal
import socket
from datetime import timedelta

import aiohttp
import pytest

from smbpctl.runtime.clock import LoopClock, seeded_random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.errors import CacheNotSynced, ConfigurationError, LeadershipLost
from smbpctl.runtime.gcpolicy import ProcessPolicy
from smbpctl.runtime.health import ProbeKind
from smbpctl.runtime.leader import LeaderElection
from smbpctl.runtime.manager import Manager, ManagerOptions, Phase
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.transport import ClusterConfig
from test.support.fake_api import CONFIG_MAP, POD, FakeApi
from test.support.virtual_time import run_virtual

CLOCK = LoopClock()


def new_manager(api: FakeApi, options: ManagerOptions | None = None) -> Manager:
    """Return a manager of the server in memory."""
    metrics, random = Metrics(), seeded_random(3)
    cluster = Cluster.over(api.transport(), clock=CLOCK, random=random, metrics=metrics)
    return Manager(cluster, options=options, metrics=metrics, clock=CLOCK, random=random)


async def get(port: int, path: str) -> tuple[int, str]:
    """Return status and body of what is served on this machine."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        return response.status, await response.text()


class Probe:
    """A runnable that looks at the manager when it starts."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self.synced: bool | None = None
        self.ended = False

    async def run(self) -> None:
        """Look, then wait."""
        self.synced = self.manager.cache.synced
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


class TestRun:
    """One life."""

    def test_controllers_start_when_the_caches_are_synced(self) -> None:
        """What is registered is listed before the last phase starts."""

        async def main() -> tuple[bool | None, bool | None, bool]:
            api = FakeApi(hold=asyncio.Event())
            async with new_manager(api) as manager:
                manager.cache.register(POD.gvk)
                probe = Probe(manager)
                manager.add(probe, Phase.CONTROLLERS)
                async with asyncio.TaskGroup() as group:
                    group.create_task(manager.run(handle_signals=False))
                    await CLOCK.sleep(timedelta(seconds=5))
                    early = probe.synced
                    assert api.hold is not None
                    api.hold.set()
                    await CLOCK.sleep(timedelta(seconds=5))
                    manager.stop()
            return early, probe.synced, probe.ended

        assert run_virtual(main()) == (None, True, True)

    def test_caches_that_do_not_sync_end_run(self) -> None:
        """The error names kind and reason, so that the log of the dead process tells all."""

        async def main() -> float:
            began = CLOCK.monotonic()
            options = ManagerOptions(cache_sync_timeout=timedelta(seconds=40))
            async with new_manager(FakeApi(forbidden={"pods"}), options) as manager:
                manager.cache.register(POD.gvk)
                with pytest.raises(
                    CacheNotSynced, match=r"Pod\.v1 is forbidden .*cannot watch"
                ) as raised:
                    await manager.run(handle_signals=False)
            assert raised.value.__notes__ == ["This ended the cache, and with it the manager."]
            return CLOCK.monotonic() - began

        assert run_virtual(main()) == pytest.approx(40)

    async def test_sigterm_stops_it(self) -> None:
        """With signals handled, SIGTERM has `run` return, and the handlers are given back."""
        before = signal.getsignal(signal.SIGTERM)
        async with new_manager(FakeApi()) as manager:
            probe = Probe(manager)
            manager.add(probe, Phase.OTHERS)
            CLOCK.call_later(
                timedelta(milliseconds=20), lambda: os.kill(os.getpid(), signal.SIGTERM)
            )
            async with asyncio.timeout(10):
                await manager.run()

        assert probe.ended
        assert signal.getsignal(signal.SIGTERM) is before

    def test_the_block_closes_the_connections(self) -> None:
        """Leaving the block is what closes them, with or without a run."""

        async def main() -> bool:
            api = FakeApi()
            transport = api.transport()
            cluster = Cluster.over(
                transport, clock=CLOCK, random=seeded_random(3), metrics=Metrics()
            )
            async with Manager(cluster):
                assert not transport.closed
            return transport.closed

        assert run_virtual(main())


class TestReadiness:
    """The check that every manager has."""

    def test_readiness_names_each_kind_that_is_not_synced(self) -> None:
        """With its state and reason; what is synced is not mentioned."""

        async def main() -> tuple[tuple[str, ...], tuple[str, ...]]:
            api = FakeApi(forbidden={"pods"})
            async with new_manager(api) as manager:
                manager.cache.register(POD.gvk)
                manager.cache.register(CONFIG_MAP.gvk)
                async with asyncio.TaskGroup() as group:
                    group.create_task(manager.run(handle_signals=False))
                    await CLOCK.sleep(timedelta(seconds=5))
                    refused = manager.health.report(ProbeKind.READINESS).lines
                    api.forbidden.clear()
                    await CLOCK.sleep(timedelta(seconds=90))
                    granted = manager.health.report(ProbeKind.READINESS).lines
                    manager.stop()
            return refused, granted

        refused, granted = run_virtual(main())

        assert len(refused) == 2
        assert refused[0].startswith("[-]caches-synced failed: Pod.v1: forbidden to watch (")
        assert 'cannot watch resource "pods"' in refused[0]
        assert "ConfigMap" not in refused[0]
        assert refused[1] == (
            "[-]permissions failed: cannot list pods in all namespaces; "
            "cannot watch pods in all namespaces"
        )
        assert granted == ("[+]caches-synced ok", "[+]permissions ok")

    def test_without_preflight_nothing_is_asked(self) -> None:
        """For clusters that refuse the question, and for tests."""
        manager = new_manager(FakeApi(), ManagerOptions(preflight=False))

        assert manager.health.report(ProbeKind.READINESS).lines == ("[+]caches-synced ok",)


class TestServing:
    """Probes and metrics."""

    async def test_probes_are_served_while_the_caches_sync(self) -> None:
        """A kubelet must get an answer, and a reason, during a slow first list."""
        api = FakeApi(hold=asyncio.Event())
        options = ManagerOptions(probe_address="127.0.0.1:0")
        async with new_manager(api, options) as manager:
            manager.cache.register(POD.gvk)
            assert manager.probe_server is not None
            async with asyncio.TaskGroup() as group:
                group.create_task(manager.run(handle_signals=False))
                await manager.probe_server.wait_ready()
                port = manager.probe_server.port
                alive, _ = await get(port, "/healthz")
                ready, reasons = await get(port, "/readyz")
                _, metrics = await get(port, "/metrics")
                manager.stop()

        assert (alive, ready) == (200, 500)
        assert "caches-synced failed: Pod.v1: " in reasons
        assert 'smbpctl_informer_synced{gvk="Pod.v1"} 0.0' in metrics

    async def test_an_address_that_cannot_be_had_ends_run(self) -> None:
        """A process without probes would be killed without a reason in its log."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            async with new_manager(FakeApi(), ManagerOptions(probe_address=address)) as manager:
                with pytest.raises(ConfigurationError, match=address):
                    await manager.run(handle_signals=False)

    def test_without_an_address_nothing_is_served(self) -> None:
        """Embedders may have a server of their own."""
        assert new_manager(FakeApi()).probe_server is None


class TestComposition:
    """What a manager is made of."""

    async def test_from_config_composes_everything(self) -> None:
        """One clock, one registry of metrics, one cluster; nothing is connected by that."""
        config = ClusterConfig(server="https://127.0.0.1:1")
        options = ManagerOptions(
            namespaces=frozenset({"one"}), field_owners=frozenset({"demo/echo"})
        )

        async with Manager.from_config(config, options=options) as manager:
            assert manager.client is manager.cluster.client
            assert manager.cache is manager.cluster.cache
            assert manager.discovery is manager.cluster.discovery
            assert manager.options is options
            assert manager.cluster.transport.base_url == "https://127.0.0.1:1"

    async def test_an_election_fences_the_client(self) -> None:
        """The elector's own fence is asked before every write, and its checks are shown."""
        config = ClusterConfig(server="https://127.0.0.1:1")
        election = LeaderElection(lease_name="echo", namespace="demo")
        options = ManagerOptions(leader_election=election)

        async with Manager.from_config(config, options=options) as manager:
            assert manager.elector is not None
            assert manager.elector.settings is election
            with pytest.raises(LeadershipLost):
                manager.elector.fence.check()
            live = manager.health.report(ProbeKind.LIVENESS)
            ready = manager.health.report(ProbeKind.READINESS)

        assert live.lines == ("[+]leader-renewing ok",)
        assert ready.lines == (
            "[+]caches-synced ok",
            "[-]leader-or-standby failed: takes no part in the election",
            "[+]permissions ok",
        )

    def test_an_election_needs_an_elector(self) -> None:
        """A cluster that was opened without a fence would write whoever leads."""
        election = LeaderElection(lease_name="echo", namespace="demo")

        with pytest.raises(ValueError, match=r"Manager\.from_config"):
            new_manager(FakeApi(), ManagerOptions(leader_election=election))

    def test_the_collector_is_tuned_only_where_it_is_ours(self) -> None:
        """Paused until the lists are there, frozen then, and given back at the end."""
        found: list[tuple[object, ...]] = []

        def state() -> tuple[object, ...]:
            return gc.get_threshold(), gc.isenabled(), gc.get_freeze_count() > 0

        async def main(policy: ProcessPolicy) -> None:
            api = FakeApi(hold=asyncio.Event())
            async with new_manager(api, ManagerOptions(process_policy=policy)) as manager:
                manager.cache.register(POD.gvk)
                async with asyncio.TaskGroup() as group:
                    group.create_task(manager.run(handle_signals=False))
                    await CLOCK.sleep(timedelta(seconds=1))
                    found.append(state())
                    assert api.hold is not None
                    api.hold.set()
                    await CLOCK.sleep(timedelta(seconds=1))
                    found.append(state())
                    manager.stop()

        before = state()
        run_virtual(main(ProcessPolicy.LEAVE))
        left = [*found, state()]
        found.clear()
        run_virtual(main(ProcessPolicy.OWN))

        assert left == [before] * 3
        assert found[0][1:] == (False, False)
        assert found[1][1:] == (True, True)
        assert found[1][0] != before[0]
        assert state() == before

    def test_several_clusters_are_run_and_closed(self) -> None:
        """Each has its caches, and says for itself whether they are synced."""

        async def main() -> tuple[tuple[str, ...], bool, bool]:
            other = FakeApi(forbidden={"pods"})
            transport, random = other.transport(), seeded_random(4)
            cluster = Cluster.over(transport, clock=CLOCK, random=random, metrics=Metrics())
            cluster.cache.register(POD.gvk)
            async with new_manager(FakeApi()) as manager:
                manager.add_cluster(cluster, name="edge")
                with pytest.raises(ValueError, match="edge"):
                    manager.add_cluster(cluster, name="edge")
                async with asyncio.TaskGroup() as group:
                    group.create_task(manager.run(handle_signals=False))
                    await CLOCK.sleep(timedelta(seconds=5))
                    lines = manager.health.report(ProbeKind.READINESS).lines
                    other.forbidden.clear()
                    await CLOCK.sleep(timedelta(seconds=90))
                    synced = cluster.cache.synced
                    manager.stop()
            return lines, synced, transport.closed

        lines, synced, closed = run_virtual(main())

        assert lines[0] == "[+]caches-synced ok"
        assert lines[1].startswith("[-]caches-synced-edge failed: Pod.v1: forbidden to watch (")
        assert synced
        assert closed

    def test_two_managers_share_no_metrics(self) -> None:
        """Each has its own registry, so that several live in one process."""
        one, two = new_manager(FakeApi()), new_manager(FakeApi())
        one.metrics.controller("echo")

        assert b'controller="echo"' in one.metrics.exposition()[0]
        assert b'controller="echo"' not in two.metrics.exposition()[0]

    @pytest.mark.parametrize(
        "senseless",
        [
            {"graceful_shutdown_timeout": timedelta(seconds=-1)},
            {"cache_sync_timeout": timedelta(0)},
        ],
    )
    def test_senseless_options_are_refused(self, senseless: dict[str, timedelta]) -> None:
        """The message names the option."""
        (name,) = senseless

        with pytest.raises(ValueError, match=f"{name} must"):
            ManagerOptions(**senseless)  # type: ignore[arg-type]  # a table of cases
