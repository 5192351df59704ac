"""The permission check at start, as a service account of a real cluster sees it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from smbpctl.runtime.client import Client
from smbpctl.runtime.errors import Forbidden, MissingPermissions
from smbpctl.runtime.preflight import Permission, check_permissions, watch_permissions
from smbpctl.runtime.simulation.controlplane import ControlPlane
from test.controlplane.client.world import (
    CLUSTER_ROLE,
    CONFIG_MAP,
    DEPLOYMENT,
    SECRET,
    config_of,
    connected,
    eventually,
)

ACCOUNT = "worker"


@pytest.fixture
async def worker(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Client]:
    """A client of a service account that may list and watch ConfigMaps, and get one Secret."""
    control_plane.kubectl("create", "serviceaccount", ACCOUNT, "-n", namespace)
    _grant(control_plane, namespace, "maps", "--verb=list,watch", "--resource=configmaps")
    _grant(
        control_plane,
        namespace,
        "tls",
        "--verb=get",
        "--resource=secrets",
        "--resource-name=tls",
    )
    config = await config_of(control_plane.service_account_kubeconfig(namespace, ACCOUNT))
    async with connected(config) as client:
        yield client


def _grant(control_plane: ControlPlane, namespace: str, name: str, *rule: str) -> None:
    control_plane.kubectl("create", "role", name, *rule, "-n", namespace)
    account = f"--serviceaccount={namespace}:{ACCOUNT}"
    control_plane.kubectl("create", "rolebinding", name, f"--role={name}", account, "-n", namespace)


async def test_names_exactly_what_is_missing(worker: Client, namespace: str) -> None:
    """In one error: of kinds, subresources, single objects and other namespaces."""
    kinds = [CONFIG_MAP, DEPLOYMENT, CLUSTER_ROLE]
    watched = await watch_permissions(worker.backend, kinds, namespace=namespace)
    needed = [
        *watched,
        Permission(resource="configmaps", verb="list"),
        Permission(resource="configmaps", verb="patch", namespace=namespace),
        Permission(resource="pods", subresource="eviction", verb="create", namespace=namespace),
        Permission(resource="secrets", verb="get", namespace=namespace, name="tls"),
        Permission(resource="secrets", verb="get", namespace=namespace, name="other"),
    ]

    report = await check_permissions(worker, needed)
    with pytest.raises(MissingPermissions) as caught:
        report.require()

    assert report.unknown == {}
    assert sorted(caught.value.missing) == sorted(
        [
            "list configmaps in all namespaces",
            f"patch configmaps in namespace {namespace}",
            f"create pods/eviction in namespace {namespace}",
            f"get secrets other in namespace {namespace}",
            f"list deployments.apps in namespace {namespace}",
            f"watch deployments.apps in namespace {namespace}",
            "list clusterroles.rbac.authorization.k8s.io",
            "watch clusterroles.rbac.authorization.k8s.io",
        ]
    )


async def test_says_what_the_server_then_does(worker: Client, namespace: str) -> None:
    """A missing permission is one whose use is refused; one that is not missing works."""
    kinds = [CONFIG_MAP, SECRET]
    report = await check_permissions(
        worker, await watch_permissions(worker.backend, kinds, namespace=namespace)
    )

    missing = {(each.resource, each.verb) for each in report.missing}
    assert missing == {("secrets", "list"), ("secrets", "watch")}
    await worker.list(CONFIG_MAP, namespace=namespace)
    with pytest.raises(Forbidden):
        await worker.list(SECRET, namespace=namespace)


async def test_what_it_tells_to_grant_is_enough(
    control_plane: ControlPlane, worker: Client, namespace: str
) -> None:
    """The rule in the message, granted as it says, is the one that was missing."""
    permission = Permission(
        group="apps",
        resource="deployments",
        subresource="scale",
        verb="patch",
        namespace=namespace,
    )

    before = await check_permissions(worker, [permission])

    assert 'apiGroups: ["apps"], resources: ["deployments/scale"], verbs: ["patch"]' in (
        before.text()
    )

    _grant(control_plane, namespace, "scale", "--verb=patch", "--resource=deployments.apps/scale")

    granted = await _until_allowed(worker, permission)
    assert (before.missing, granted) == ((permission,), True)


async def _until_allowed(client: Client, permission: Permission) -> bool:
    async def allowed() -> bool | None:
        report = await check_permissions(client, [permission])
        return None if report.missing or report.unknown else True

    return await eventually(allowed)


async def test_a_server_that_takes_no_questions(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Nothing is known then, and nothing is called missing: nobody in particular may not ask."""
    config = await config_of(control_plane.kubeconfig)
    nobody = replace(config, headers=(("Impersonate-User", "system:anonymous"),))
    permission = Permission(resource="configmaps", verb="list", namespace=namespace)

    async with connected(nobody) as client:
        report = await check_permissions(client, [permission])

    report.require()
    assert report.missing == ()
    assert "cannot create resource" in report.unknown[permission]
