"""The composition root: logging, how the manager runs, and the whole operator in one process."""

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog

from smbpctl import __version__
from smbpctl.api.v1alpha1 import BIG_PEER, BigPeer
from smbpctl.app import (
    configure_logging,
    forwards_ports,
    leader_election,
    manager_options,
    member_door,
    run_operator,
)
from smbpctl.operand.doors import DirectDoor, PortForwardDoor
from smbpctl.reconcilers.kinds import STATEFUL_SET
from smbpctl.reconcilers.operator import FIELD_OWNERS
from smbpctl.resources import naming
from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.gcpolicy import ProcessPolicy
from smbpctl.runtime.leader import LeaderElection
from smbpctl.runtime.manager import ManagerOptions
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.transport import ClusterConfig
from smbpctl.sandbox.secrets import referenced_secrets
from smbpctl.settings import MemberAccess, Settings
from test.support.cluster_stage import a_storage_class
from test.support.fake_cluster import FakeCluster
from test.support.fake_cluster_http import ClusterHttp, until
from test.support.logging_state import restored_logging
from test.support.observations import NOW
from test.support.peers import SECRETS, a_manifest


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """No other test finds the logging of these."""
    with restored_logging():
        yield


class TestLeaderElection:
    def test_alone_unless_asked(self) -> None:
        """Whoever runs it from outside needs no right on a Lease."""
        assert leader_election(Settings(operator_namespace="here")) is None

    def test_the_lease_is_in_the_operators_namespace(self) -> None:
        """60, 40 and 10 seconds: a slow API server costs nobody the lease."""
        election = leader_election(Settings(leader_elect=True, operator_namespace="here"))

        assert election == LeaderElection(
            lease_name="manager.smbpctl.dev",
            namespace="here",
            lease_duration=timedelta(seconds=60),
            renew_deadline=timedelta(seconds=40),
            retry_period=timedelta(seconds=10),
        )

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({}, "--operator-namespace"),
            (
                {"operator_namespace": "here", "lease_duration_seconds": 30},
                "leader election: lease_duration .* must exceed renew_deadline",
            ),
        ],
    )
    def test_what_cannot_work_is_refused(self, settings: dict[str, Any], message: str) -> None:
        """Before anything is started."""
        with pytest.raises(ConfigurationError, match=message):
            leader_election(Settings(leader_elect=True, **settings))


class TestLogging:
    def test_json_lines_on_standard_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        """One object a line: event, level, time and values; standard output is free."""
        configure_logging(Settings())

        structlog.get_logger().info("pod replaced", pod="shop/a", healing=False)

        out, err = capsys.readouterr()
        line = json.loads(err)
        assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta(0)
        assert (out, line) == (
            "",
            {"event": "pod replaced", "level": "info", "pod": "shop/a", "healing": False},
        )

    def test_an_exception_stays_on_its_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        """With its traceback, so that a collector does not tear it apart."""
        configure_logging(Settings())

        structlog.get_logger().error("reconcile failed", exc_info=ValueError("broken"))

        (line,) = capsys.readouterr().err.splitlines()
        assert "ValueError: broken" in json.loads(line)["exception"]

    def test_values_bound_to_the_task_are_shown(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The controller binds key and run once, for all lines of a run."""
        configure_logging(Settings())

        with structlog.contextvars.bound_contextvars(key="shop/demo"):
            structlog.get_logger().warning("x")

        assert json.loads(capsys.readouterr().err)["key"] == "shop/demo"

    @pytest.mark.parametrize(
        ("level", "shown"),
        [
            ("debug", ["debug", "info", "warning", "error"]),
            ("info", ["info", "warning", "error"]),
            ("warning", ["warning", "error"]),
            ("error", ["error"]),
        ],
    )
    def test_levels(self, level: str, shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing below what was asked for."""
        configure_logging(Settings.model_validate({"log_level": level}))
        log = structlog.get_logger()

        for each in ("debug", "info", "warning", "error"):
            getattr(log, each)("x")

        lines = capsys.readouterr().err.splitlines()
        assert [json.loads(line)["level"] for line in lines] == shown

    def test_for_people(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The other format is not JSON."""
        configure_logging(Settings.model_validate({"log_format": "console"}))

        structlog.get_logger().info("pod replaced", pod="shop/a")

        line = capsys.readouterr().err
        assert "pod replaced" in line
        assert not line.startswith("{")

    def test_debug_does_not_show_secrets(self, caplog: pytest.LogCaptureFixture) -> None:
        """The client library prints whole response bodies at debug level, wherever that is on."""
        caplog.set_level(logging.DEBUG)
        configure_logging(Settings.model_validate({"log_level": "debug"}))

        rest = logging.getLogger("kubernetes_asyncio.client.rest")

        assert not rest.isEnabledFor(logging.DEBUG)


class TestManagerOptions:
    def test_they_are_those_of_the_settings(self) -> None:
        """The field owners are all four: the cache keeps what each of them owns."""
        settings = Settings.model_validate(
            {"namespace": "shop", "probe_address": ":9", "graceful_shutdown_seconds": 5}
        )

        assert manager_options(settings) == ManagerOptions(
            namespaces=frozenset({"shop"}),
            field_owners=FIELD_OWNERS,
            probe_address=":9",
            graceful_shutdown_timeout=timedelta(seconds=5),
            user_agent=f"smbpctl/{__version__}",
            process_policy=ProcessPolicy.OWN,
        )

    def test_an_empty_address_serves_nothing(self) -> None:
        """Not a random port."""
        settings = Settings.model_validate({"probe_address": ""})

        assert manager_options(settings).probe_address is None


class TestMemberAccess:
    @pytest.mark.parametrize(
        ("access", "in_cluster", "forwarded"),
        [
            ("auto", True, False),
            ("auto", False, True),
            ("direct", True, False),
            ("direct", False, False),
            ("port-forward", True, True),
            ("port-forward", False, True),
        ],
    )
    async def test_where_we_are_decides_unless_told(
        self, access: str, in_cluster: bool, forwarded: bool
    ) -> None:
        """Pods' addresses are of no use outside the cluster; inside, the detour is."""
        settings = Settings(member_access=MemberAccess(access))
        config = ClusterConfig(server="https://192.0.2.1", in_cluster=in_cluster)

        async with member_door(settings, config, LoopClock()) as door:
            kind = type(door)

        assert forwards_ports(settings, config) is forwarded
        assert kind is (PortForwardDoor if forwarded else DirectDoor)


SETTINGS = Settings.model_validate(
    {"probe_address": "", "image_prefix": "registry.test/x", "operator_namespace": "system"}
)


def a_cluster() -> FakeCluster:
    """A cluster with a BigPeer and the Secrets it names."""
    cluster = FakeCluster()
    manifest = a_manifest({"spec.tls": SECRETS})
    for each in (a_storage_class(), *referenced_secrets(BigPeer.parse(manifest), NOW), manifest):
        cluster.put(each)
    return cluster


async def run_until(cluster: FakeCluster, *, settings: Settings = SETTINGS) -> BigPeer:
    """Run the operator until all of it has reported; return the BigPeer then."""
    key = ObjectKey("shop", "demo")

    def peer() -> BigPeer:
        return BigPeer.parse(cluster.find(BIG_PEER, key))

    def reported() -> bool:
        types = {condition.type for condition in peer().status.conditions}
        return (
            types >= {"NetworkingReady", "TLSReady", "TransactionLogReady", "Ready"}
            and (
                STATEFUL_SET,
                ObjectKey("shop", naming.partition_name(peer(), 0)),
            )
            in cluster.objects
        )

    async with ClusterHttp(cluster).serve() as config, asyncio.TaskGroup() as group:
        running = group.create_task(run_operator(settings, config, handle_signals=False))
        await until(cluster, reported)
        running.cancel()
    return peer()


class TestRunOperator:
    async def test_all_four_reconcilers_at_work(self) -> None:
        """From an API server and a BigPeer to its workloads, each part under its own name."""
        cluster = a_cluster()

        peer = await run_until(cluster)

        key = ObjectKey("shop", "demo")
        owners = {owner for owner, _ in cluster.owned[BIG_PEER, key]}
        assert owners == FIELD_OWNERS
        assert peer.status.effective is not None
        assert peer.status.effective.image_prefix == "registry.test/x"

    async def test_the_settings_reach_the_objects(self) -> None:
        """Prefix and group shape the pods."""
        cluster = a_cluster()

        await run_until(cluster)

        (store,) = cluster.all(STATEFUL_SET)
        spec = store["spec"]["template"]["spec"]
        assert spec["securityContext"]["fsGroup"] == 65532
        assert spec["containers"][0]["image"] == "registry.test/x/store-replica:1.63.2"

    async def test_what_ends_it_is_raised(self) -> None:
        """Here an address that is none; whoever started the operator gets to know."""
        cluster = a_cluster()
        settings = SETTINGS.model_copy(update={"probe_address": "127.0.0.1:not-a-port"})

        async with ClusterHttp(cluster).serve() as config:
            with pytest.raises(Exception, match="not-a-port"):
                await run_operator(settings, config, handle_signals=False)
