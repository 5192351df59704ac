"""Which permissions are missing, told all at once and before anything is begun."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.discovery import Resource
from smbpctl.runtime.errors import (
    ApiStatusError,
    Forbidden,
    MissingPermissions,
    NoKindMatch,
    TransportError,
)
from smbpctl.runtime.meta import GroupVersionKind, Manifest
from smbpctl.runtime.preflight import (
    Permission,
    PermissionReport,
    check_permissions,
    watch_permissions,
)
from test.support.virtual_time import run_virtual

LIST = Permission(group="apps", resource="deployments", verb="list")
STATUS = Permission(resource="pods", subresource="status", verb="patch", namespace="shop")
NODES = Permission(resource="nodes", verb="watch", namespaced=False)
NAMED = Permission(resource="secrets", verb="get", namespace="shop", name="tls")


@dataclass
class Authorizer:
    """Answers reviews by verb; counts how many are asked at once."""

    verdicts: Mapping[str, Manifest | Exception]
    takes: timedelta = timedelta(0)
    asked: list[Manifest] = field(default_factory=list[Manifest])
    running: int = 0
    most: int = 0

    async def post(self, path: str, body: Mapping[str, Any]) -> Manifest:
        """Answer one review."""
        assert path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        self.asked.append(body["spec"]["resourceAttributes"])
        self.running += 1
        self.most = max(self.most, self.running)
        if self.takes:
            await LoopClock().sleep(self.takes)
        self.running -= 1
        verdict = self.verdicts[body["spec"]["resourceAttributes"]["verb"]]
        if isinstance(verdict, Exception):
            raise verdict
        return {"status": verdict}


class Kinds:
    """Knows deployments and nodes."""

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        """Return how the kind is reached."""
        if gvk.kind not in {"Deployment", "Node"}:
            raise NoKindMatch(f"the API server does not serve {gvk}")
        return Resource(gvk, f"{gvk.kind.lower()}s", namespaced=gvk.kind == "Deployment")


class TestWords:
    """How a permission is called, and how it is granted."""

    @pytest.mark.parametrize(
        ("permission", "text"),
        [
            (LIST, "list deployments.apps in all namespaces"),
            (STATUS, "patch pods/status in namespace shop"),
            (NODES, "watch nodes"),
            (NAMED, "get secrets tls in namespace shop"),
        ],
    )
    def test_name_verb_resource_and_namespace(self, permission: Permission, text: str) -> None:
        """As an administrator would say it."""
        assert str(permission) == text

    @pytest.mark.parametrize(
        ("permission", "text"),
        [
            (
                LIST,
                "a ClusterRole, bound by a ClusterRoleBinding, with "
                'apiGroups: ["apps"], resources: ["deployments"], verbs: ["list"]',
            ),
            (
                STATUS,
                "a Role in shop, bound by a RoleBinding there, with "
                'apiGroups: [""], resources: ["pods/status"], verbs: ["patch"]',
            ),
            (
                NAMED,
                "a Role in shop, bound by a RoleBinding there, with "
                'apiGroups: [""], resources: ["secrets"], verbs: ["get"], resourceNames: ["tls"]',
            ),
        ],
    )
    def test_tell_the_rule(self, permission: Permission, text: str) -> None:
        """And what must hold it, for its reach."""
        assert permission.how_to_grant() == text


class TestCheck:
    """Asking for many at once."""

    async def test_asks_for_exactly_what_is_needed(self) -> None:
        """Each once; what is left out means any."""
        server = Authorizer({"list": {"allowed": True}, "patch": {"allowed": True}})

        report = await check_permissions(server, [STATUS, LIST, STATUS])

        assert server.asked == [
            {
                "verb": "patch",
                "resource": "pods",
                "subresource": "status",
                "namespace": "shop",
            },
            {"verb": "list", "group": "apps", "resource": "deployments"},
        ]
        assert report == PermissionReport((), {})
        report.require()

    async def test_names_every_missing_one(self) -> None:
        """In one error, so that one visit to the administrator suffices."""
        server = Authorizer(
            {
                "list": {"allowed": False},
                "watch": {"allowed": True},
                "patch": {"allowed": False, "denied": True, "reason": "no"},
            }
        )

        report = await check_permissions(server, [LIST, STATUS, NODES])
        with pytest.raises(MissingPermissions) as caught:
            report.require()

        assert report.missing == (STATUS, LIST)
        assert caught.value.missing == (
            "patch pods/status in namespace shop",
            "list deployments.apps in all namespaces",
        )
        assert str(caught.value).splitlines() == [
            f"cannot patch pods/status in namespace shop; grant {STATUS.how_to_grant()}",
            f"cannot list deployments.apps in all namespaces; grant {LIST.how_to_grant()}",
        ]

    @pytest.mark.parametrize(
        ("verdict", "why"),
        [
            (Forbidden("post /apis: you may not ask", code=403), "you may not ask"),
            (ApiStatusError("post /apis: 500", code=500), "500"),
            (TransportError("post /apis: reset", sent=True), "reset"),
            (NoKindMatch("post /apis: 404 page not found"), "404"),
            ({"allowed": False, "evaluationError": "webhook down"}, "webhook down"),
        ],
    )
    async def test_no_verdict_is_none(self, verdict: Manifest | Exception, why: str) -> None:
        """Neither allowed nor missing: the process starts, and the report says why."""
        report = await check_permissions(Authorizer({"list": verdict}), [LIST])

        report.require()

        assert report.missing == ()
        assert list(report.unknown) == [LIST]
        assert f"may or may not {LIST}: " in report.text()
        assert why in report.text()

    async def test_an_answer_that_is_no_review(self) -> None:
        """No verdict either."""

        class Odd:
            async def post(self, path: str, body: Mapping[str, Any]) -> Manifest:
                return {"status": "Failure"}

        report = await check_permissions(Odd(), [LIST])

        assert (report.missing, list(report.unknown)) == ((), [LIST])

    def test_is_bounded(self) -> None:
        """Hundreds of permissions do not become hundreds of requests at once."""
        server = Authorizer({"list": {"allowed": True}}, takes=timedelta(seconds=1))
        many = [Permission(resource=f"r{number}", verb="list") for number in range(20)]

        run_virtual(check_permissions(server, many, concurrency=3))

        assert (server.most, len(server.asked)) == (3, 20)


class TestWatched:
    """What informers need."""

    async def test_is_list_and_watch(self) -> None:
        """In the namespace they are bound to, if the kind has namespaces; else everywhere."""
        deployment = GroupVersionKind("apps", "v1", "Deployment")
        node = GroupVersionKind("", "v1", "Node")

        found = await watch_permissions(Kinds(), [deployment, node], namespace="shop")

        assert [str(each) for each in found] == [
            "list deployments.apps in namespace shop",
            "watch deployments.apps in namespace shop",
            "list nodes",
            "watch nodes",
        ]
        assert [each.namespace for each in found] == ["shop", "shop", "", ""]

    async def test_kinds_that_are_not_served_are_left_out(self) -> None:
        """They have no plural yet."""
        unserved = GroupVersionKind("example.com", "v1", "Thing")

        assert await watch_permissions(Kinds(), [unserved]) == []
