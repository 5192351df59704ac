"""Asks the server, before anything is begun, whether this process may do what it will need."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast, final

from smbpctl.runtime.discovery import Resource
from smbpctl.runtime.errors import ApiStatusError, MissingPermissions, NoKindMatch, TransportError
from smbpctl.runtime.meta import GroupVersionKind, Manifest

Questions: TypeAlias = Iterable["Permission"]

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WATCHED = ("list", "watch")


class ReviewClient(Protocol):
    """The one call that a preflight makes: satisfied by `Client`."""

    async def post(self, path: str, body: Mapping[str, Any]) -> Manifest:
        """Send a body to a path and return the answer."""
        ...


class ResourceMapper(Protocol):
    """Tells under which name RBAC knows a kind: satisfied by `Discovery`."""

    async def resource(self, gvk: GroupVersionKind) -> Resource:
        """Return how a kind is reached; raise NoKindMatch when it is not served now."""
        ...


@final
@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Permission:
    """One verb on one resource, as RBAC knows them.

    `resource` is the plural ("deployments"). Without `namespace` the permission is for all of
    them, without `name` for every object. `namespaced` only makes messages read well.
    """

    group: str = ""
    resource: str
    subresource: str = ""
    verb: str
    namespace: str = ""
    name: str = ""
    namespaced: bool = True

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        what = f"{resource}/{self.subresource}" if self.subresource else resource
        named = f"{what} {self.name}" if self.name else what
        if not self.namespaced:
            return f"{self.verb} {named}"
        where = f"namespace {self.namespace}" if self.namespace else "all namespaces"
        return f"{self.verb} {named} in {where}"

    def how_to_grant(self) -> str:
        """Return the rule that is needed, and what must hold it."""
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        names = f', resourceNames: ["{self.name}"]' if self.name else ""
        rule = (
            f'apiGroups: ["{self.group}"], resources: ["{resource}"], verbs: ["{self.verb}"]{names}'
        )
        if self.namespace:
            return f"a Role in {self.namespace}, bound by a RoleBinding there, with {rule}"
        return f"a ClusterRole, bound by a ClusterRoleBinding, with {rule}"

    def review(self) -> Manifest:
        """Return the question to the server."""
        asked = {
            "verb": self.verb,
            "group": self.group,
            "resource": self.resource,
            "subresource": self.subresource,
            "namespace": self.namespace,
            "name": self.name,
        }
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: each for key, each in asked.items() if each}},
        }


@final
@dataclass(frozen=True, slots=True)
class PermissionReport:
    """What the server said of each permission.

    `unknown` maps those that it gave no verdict on to the reason: it refused the question, could
    not be asked, or could not evaluate its own rules.
    """

    missing: tuple[Permission, ...]
    unknown: Mapping[Permission, str]

    def require(self) -> None:
        """Raise MissingPermissions, which names every missing one; unknown ones are let pass."""
        if self.missing:
            raise MissingPermissions(self.text(), [str(each) for each in self.missing])

    def text(self) -> str:
        """Return what is missing and how to grant it, and what is unknown, a line each."""
        return "\n".join(
            [
                *(f"cannot {each}; grant {each.how_to_grant()}" for each in self.missing),
                *(f"may or may not {each}: {why}" for each, why in self.unknown.items()),
            ]
        )


async def check_permissions(
    client: ReviewClient, permissions: Questions, *, concurrency: int = 8
) -> PermissionReport:
    """Ask for each permission (SelfSubjectAccessReview), `concurrency` at a time.

    Raises nothing: what cannot be asked is unknown. The report is sorted, each permission in it
    once.
    """
    asked = sorted(set(permissions))
    slots = asyncio.Semaphore(concurrency)
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(_ask(client, each, slots)) for each in asked]
    verdicts = [(each, answer.result()) for each, answer in zip(asked, answers, strict=True)]
    return PermissionReport(
        missing=tuple(each for each, verdict in verdicts if verdict is False),
        unknown={each: verdict for each, verdict in verdicts if isinstance(verdict, str)},
    )


async def watch_permissions(
    mapper: ResourceMapper, kinds: Iterable[GroupVersionKind], *, namespace: str = ""
) -> list[Permission]:
    """Return what informers of these kinds need, in one namespace or in all.

    Kinds that are not served now are left out: RBAC knows them by a name that is not known yet.
    """
    found: list[Permission] = []
    for gvk in kinds:
        try:
            resource = await mapper.resource(gvk)
        except NoKindMatch:
            continue
        found += [
            Permission(
                group=gvk.group,
                resource=resource.plural,
                verb=verb,
                namespace=namespace if resource.namespaced else "",
                namespaced=resource.namespaced,
            )
            for verb in _WATCHED
        ]
    return found


async def _ask(
    client: ReviewClient, permission: Permission, slots: asyncio.Semaphore
) -> bool | str:
    """Return the verdict, or why there is none."""
    async with slots:
        try:
            answer = await client.post(_REVIEWS, permission.review())
        except (ApiStatusError, NoKindMatch, TransportError) as error:
            return str(error)
    status: object = answer.get("status")
    if not isinstance(status, Mapping):
        return "the review was answered without a verdict"
    verdict = cast("Mapping[str, Any]", status)
    if verdict.get("allowed") is True:
        return True
    # An authorizer that failed may have been the one to allow it.
    return str(verdict.get("evaluationError") or "") or False
