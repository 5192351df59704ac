"""Manager, builder and controller on a real API server: a small controller from start to stop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from smbpctl.runtime.apply import Applier
from smbpctl.runtime.builder import controller, reconcile_function
from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.informer import Form
from smbpctl.runtime.manager import Manager, ManagerOptions
from smbpctl.runtime.meta import GroupVersionKind, LabelSelector, ObjectKey, uid_of
from smbpctl.runtime.predicate import label_selector
from smbpctl.runtime.reconcile import DONE, Request, Result
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.runtime.transport import load_config

CLOCK = LoopClock()
CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
SERVICE_ACCOUNT = GroupVersionKind("", "v1", "ServiceAccount")
OWNER = "test/echo"
PATIENCE = 30
CHOSEN = label_selector(LabelSelector((), ("echo",)))


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    """Return when `check` holds; the server needs a moment."""
    async with asyncio.timeout(PATIENCE):
        while not await check():
            await CLOCK.sleep(timedelta(milliseconds=50))


async def open_manager(kubeconfig: Path, namespace: str, **options: Any) -> Manager:
    """Return a manager of one namespace that serves probes on a free port."""
    return Manager.from_config(
        await load_config(kubeconfig),
        options=ManagerOptions(
            namespaces=frozenset({namespace}),
            field_owners=frozenset({OWNER}),
            probe_address="127.0.0.1:0",
            **options,
        ),
    )


@asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[None]:
    """Run a manager for the length of the block, and stop it gracefully at the end."""
    async with manager, asyncio.TaskGroup() as group:
        group.create_task(manager.run(handle_signals=False))
        yield
        manager.stop()


async def served(manager: Manager, path: str) -> tuple[int, str]:
    """Return status and body of what the manager serves."""
    assert manager.probe_server is not None
    await manager.probe_server.wait_ready()
    url = f"http://127.0.0.1:{manager.probe_server.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


class Echo:
    """Applies a ServiceAccount for each ConfigMap; notes which keys it was called with."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        self.applier = Applier(
            manager.client,
            manager.cache,
            field_owner=OWNER,
            domain="test.example.com",
            metrics=manager.metrics,
        )
        self.keys: list[str] = []

    async def reconcile(self, request: Request) -> Result:
        """Apply the child."""
        self.keys.append(request.key.name)
        owner = await self.manager.cache.get(CONFIG_MAP, request.key)
        if owner is not None:
            metadata = {"name": request.key.name, "namespace": request.key.namespace}
            child = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
            await self.applier.apply_set(owner, [child])
        return DONE


def echo(manager: Manager) -> Echo:
    """Add the controller to a manager."""
    reconciler = Echo(manager)
    built = controller("echo").for_(CONFIG_MAP, CHOSEN, form=Form.FULL).owns(SERVICE_ACCOUNT)
    built.build(manager, reconciler)
    return reconciler


class TestController:
    """A controller that owns a child."""

    async def test_a_child_deleted_by_hand_comes_back(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """The owner's key is woken by the child's deletion, and the child applied again."""
        key = ObjectKey(namespace, "a")
        manager = await open_manager(control_plane.kubeconfig, namespace)
        echo(manager)
        async with running(manager):
            client = manager.client
            metadata = {"name": "a", "namespace": namespace, "labels": {"echo": "yes"}}
            owner = await client.create(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata},
                field_owner="someone",
            )

            async def child_uid() -> str:
                child = await client.get(SERVICE_ACCOUNT, key)
                return "" if child is None else uid_of(child)

            async def is_there() -> bool:
                return await child_uid() != ""

            await eventually(is_there)
            first = await client.get(SERVICE_ACCOUNT, key)
            assert first is not None
            await client.delete(SERVICE_ACCOUNT, key, uid=uid_of(first))

            async def is_another() -> bool:
                return await child_uid() not in {"", uid_of(first)}

            await eventually(is_another)

        (reference,) = first["metadata"]["ownerReferences"]
        assert (reference["uid"], reference["controller"]) == (uid_of(owner), True)

    async def test_what_is_as_it_should_be_is_not_written(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """A second manager over the same objects reconciles all and writes nothing."""
        control_plane.kubectl("--namespace", namespace, "create", "configmap", "a")
        control_plane.kubectl("--namespace", namespace, "label", "configmap", "a", "echo=yes")
        first = await open_manager(control_plane.kubeconfig, namespace)
        echo(first)
        key = ObjectKey(namespace, "a")

        async def is_there() -> bool:
            return await first.client.get(SERVICE_ACCOUNT, key) is not None

        async with running(first):
            await eventually(is_there)
            written = await first.client.get(SERVICE_ACCOUNT, key)
        second = await open_manager(control_plane.kubeconfig, namespace)
        reconciler = echo(second)

        async def was_left_out() -> bool:
            return b"smbpctl_write_noops_total 1.0" in second.metrics.exposition()[0]

        async with running(second):
            await eventually(was_left_out)
            found = await second.client.get(SERVICE_ACCOUNT, key)

        assert found == written
        assert set(reconciler.keys) == {"a"}


class TestStop:
    """Leaving in good order."""

    async def test_a_running_reconcile_is_finished(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """What has begun is written; what is queued behind it is not begun."""
        for name in "ab":
            control_plane.kubectl("--namespace", namespace, "create", "configmap", name)
            control_plane.kubectl("--namespace", namespace, "label", "configmap", name, "echo=yes")
        manager = await open_manager(control_plane.kubeconfig, namespace)
        began, stopping = asyncio.Event(), asyncio.Event()
        keys: list[str] = []

        async def slow(request: Request) -> Result:
            keys.append(request.key.name)
            began.set()
            await stopping.wait()
            # The manager was told to stop by now; the write must still get through.
            await CLOCK.sleep(timedelta(milliseconds=200))
            await manager.client.patch_merge(
                CONFIG_MAP, request.key, {"data": {"finished": "yes"}}, field_owner=OWNER
            )
            return DONE

        built = controller("slow").for_(CONFIG_MAP, CHOSEN).with_options(workers=1)
        built.build(manager, reconcile_function(slow))

        async with running(manager):
            await began.wait()
            manager.stop()
            stopping.set()

        written = control_plane.kubectl(
            *("--namespace", namespace, "get", "configmap", "--selector=echo"),
            "--output=jsonpath={range .items[*]}{.metadata.name}={.data.finished};{end}",
        )
        assert keys == ["a"]
        assert written.stdout == "a=yes;b=;"


class TestServing:
    """Probes and metrics."""

    async def test_a_running_manager_is_ready_and_tells_its_metrics(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """Requests, informers and the controller are all to be seen."""
        manager = await open_manager(control_plane.kubeconfig, namespace)
        echo(manager)

        async with running(manager):

            async def is_ready() -> bool:
                return (await served(manager, "/readyz"))[0] == 200

            await eventually(is_ready)
            alive = await served(manager, "/healthz?verbose")
            ready = await served(manager, "/readyz?verbose")
            _, metrics = await served(manager, "/metrics")

        host = manager.cluster.transport.base_url.removeprefix("https://")
        assert alive == (200, "[+]ping ok\nhealthz check passed\n")
        assert ready == (
            200,
            "[+]caches-synced ok\n[+]permissions ok\nreadyz check passed\n",
        )
        assert 'smbpctl_informer_synced{gvk="ServiceAccount.v1"} 1.0' in metrics
        assert 'controller_runtime_max_concurrent_reconciles{controller="echo"} 10.0' in metrics
        assert f'rest_client_requests_total{{code="200",host="{host}",method="GET"}}' in metrics


class TestPermissions:
    """A user who may not do what the controller needs."""

    async def test_readiness_names_the_missing_permission(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """The reason says who may not do what, and it goes once the permission is there."""
        kubectl = control_plane.kubectl
        kubectl(
            *("--namespace", namespace, "create", "role", "reader"),
            *("--verb=list,watch", "--resource=configmaps"),
        )
        kubectl(
            *("--namespace", namespace, "create", "rolebinding", "reader"),
            *("--role=reader", "--user=nobody-in-particular"),
        )
        kubeconfig = control_plane.kubeconfig_for("nobody-in-particular")
        manager = await open_manager(kubeconfig, namespace)
        echo(manager)

        async with running(manager):

            async def is_refused() -> bool:
                status, text = await served(manager, "/readyz")
                return status == 500 and "ServiceAccount.v1: forbidden" in text

            async def is_ready() -> bool:
                return (await served(manager, "/readyz"))[0] == 200

            await eventually(is_refused)
            _, reasons = await served(manager, "/readyz")
            await asyncio.to_thread(
                kubectl,
                *("--namespace", namespace, "create", "rolebinding", "more"),
                *("--clusterrole=edit", "--user=nobody-in-particular"),
            )
            await eventually(is_ready)

        assert 'User "nobody-in-particular" cannot watch resource "serviceaccounts"' in reasons
        assert "ConfigMap" not in reasons
