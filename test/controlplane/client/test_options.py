"""Options of writes on a real API server: dry runs, validation, preconditions, warnings."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import structlog.testing

from smbpctl.runtime.client import Client, Validation
from smbpctl.runtime.errors import BadRequest, Conflict, Invalid
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, key_of, uid_of
from test.controlplane.client.world import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINTS,
    EVERYTHING,
    OWNER,
    POD,
    SECRET,
    config_map,
    deployment,
    pod,
    thing,
)

Write = Callable[[Client, Manifest, Validation], Awaitable[Manifest]]
WRITES: dict[str, Write] = {
    "create": lambda client, found, validation: client.create(
        {**config_map(key_of(found).namespace, "new"), "dta": {}},
        field_owner=OWNER,
        validation=validation,
    ),
    "update": lambda client, found, validation: client.update(
        {**found, "dta": {}}, field_owner=OWNER, validation=validation
    ),
    "patch_json": lambda client, found, validation: client.patch_json(
        CONFIG_MAP,
        key_of(found),
        [{"op": "add", "path": "/dta", "value": {}}],
        field_owner=OWNER,
        validation=validation,
    ),
    "patch_merge": lambda client, found, validation: client.patch_merge(
        CONFIG_MAP, key_of(found), {"dta": {}}, field_owner=OWNER, validation=validation
    ),
    "patch_strategic": lambda client, found, validation: client.patch_strategic(
        CONFIG_MAP, key_of(found), {"dta": {}}, field_owner=OWNER, validation=validation
    ),
}


@pytest.fixture(params=WRITES)
def write(request: pytest.FixtureRequest) -> Write:
    """Each verb that stores content and validates it, with an unknown field."""
    return WRITES[request.param]


class TestValidation:
    """Fields that the server does not know."""

    async def test_strict_refuses_them(self, client: Client, namespace: str, write: Write) -> None:
        """A typing error must not be dropped silently; nothing is stored."""
        found = await client.create(config_map(namespace, k="1"), field_owner=OWNER)

        with pytest.raises((BadRequest, Invalid), match='unknown field "dta"'):
            await write(client, found, Validation.STRICT)

        assert await client.get(CONFIG_MAP, key_of(found)) == found

    async def test_warn_drops_them_and_says_so(
        self, client: Client, namespace: str, write: Write
    ) -> None:
        """In the log, with the call."""
        found = await client.create(config_map(namespace, k="1"), field_owner=OWNER)

        with structlog.testing.capture_logs() as logs:
            stored = await write(client, found, Validation.WARN)

        assert "dta" not in stored
        assert [entry["text"] for entry in logs] == ['unknown field "dta"']
        assert " ConfigMap " in logs[0]["call"]

    async def test_ignore_drops_them(self, client: Client, namespace: str, write: Write) -> None:
        """Silently."""
        found = await client.create(config_map(namespace, k="1"), field_owner=OWNER)

        with structlog.testing.capture_logs() as logs:
            stored = await write(client, found, Validation.IGNORE)

        assert ("dta" in stored, logs) == (False, [])

    async def test_of_custom_resources(
        self, client: Client, namespace: str, things: GroupVersionKind
    ) -> None:
        """As their schema says: unknown fields and wrong types are told apart."""
        unknown = thing(things, namespace, spec={"n": 1, "m": 2})

        with pytest.raises(BadRequest, match=r'unknown field "spec\.m"'):
            await client.create(unknown, field_owner=OWNER)
        with pytest.raises(Invalid, match=r"spec\.n: Invalid value"):
            await client.create(thing(things, namespace, spec={"n": "x"}), field_owner=OWNER)
        with pytest.raises(BadRequest, match=r"\.spec\.m: field not declared in schema"):
            await client.apply(unknown, field_owner=OWNER)
        stored = await client.create(unknown, field_owner=OWNER, validation=Validation.IGNORE)

        assert stored["spec"] == {"n": 1}

    async def test_a_refused_patch_does_not_quote_a_secret(
        self, client: Client, namespace: str
    ) -> None:
        """The server puts the whole patched object into its message; that would be logged."""
        value = base64.b64encode(b"well kept").decode()
        secret = {**config_map(namespace, k=value), "kind": "Secret"}
        key = key_of(await client.create(secret, field_owner=OWNER))

        with pytest.raises(Invalid, match='unknown field "dta"') as caught:
            await client.patch_merge(SECRET, key, {"dta": {}}, field_owner=OWNER)

        assert value not in f"{caught.value!r} {caught.value.causes}"


class TestDryRun:
    """Everything but storing, of every verb."""

    async def test_of_what_does_not_exist(self, client: Client, namespace: str) -> None:
        """Shown as it would be stored, defaults included."""
        manifest = config_map(namespace, a="1")

        created = await client.create(manifest, field_owner=OWNER, dry_run=True)
        applied = await client.apply(manifest, field_owner=OWNER, dry_run=True)
        posted = await client.post(
            f"/api/v1/namespaces/{namespace}/configmaps", manifest, dry_run=True
        )

        assert [each["data"] for each in (created, applied, posted)] == [{"a": "1"}] * 3
        assert await client.get(CONFIG_MAP, ObjectKey(namespace, "a")) is None

    async def test_of_what_exists(self, client: Client, namespace: str) -> None:
        """It is the same object in the same version afterwards."""
        found = await client.create(config_map(namespace, k="1"), field_owner=OWNER)
        key = key_of(found)
        change = {"op": "replace", "path": "/data/k", "value": "2"}
        patch = {"data": {"k": "2"}}

        shown = [
            await client.update({**found, **patch}, field_owner=OWNER, dry_run=True),
            await client.patch_json(CONFIG_MAP, key, [change], field_owner=OWNER, dry_run=True),
            await client.patch_merge(CONFIG_MAP, key, patch, field_owner=OWNER, dry_run=True),
            await client.patch_strategic(CONFIG_MAP, key, patch, field_owner=OWNER, dry_run=True),
        ]
        deleted = await client.delete(CONFIG_MAP, key, dry_run=True)
        await client.delete_collection(
            CONFIG_MAP, namespace=namespace, selector=EVERYTHING, dry_run=True
        )

        assert [each["data"] for each in shown] == [{"k": "2"}] * 4
        assert deleted
        assert await client.get(CONFIG_MAP, key) == found

    async def test_of_evictions_and_scales(self, client: Client, namespace: str) -> None:
        """Subresources too."""
        key = key_of(await client.create(pod(namespace, "b"), field_owner=OWNER))
        wanted = key_of(await client.create(deployment(namespace, 2), field_owner=OWNER))

        await client.evict(key, uid=None, dry_run=True)
        scale = await client.set_scale(DEPLOYMENT, wanted, 7, field_owner=OWNER, dry_run=True)

        evicted = await client.get(POD, key)
        scaled = await client.get(DEPLOYMENT, wanted)
        assert evicted is not None
        assert "deletionTimestamp" not in evicted["metadata"]
        assert scale["spec"]["replicas"] == 7
        assert scaled is not None
        assert scaled["spec"]["replicas"] == 2

    async def test_refuses_what_a_write_would_be_refused(
        self, client: Client, namespace: str
    ) -> None:
        """Otherwise nothing could be learned from it."""
        found = await client.create(config_map(namespace, k="1"), field_owner=OWNER)

        with pytest.raises(Invalid):
            await client.apply(
                config_map(namespace, **{"no/slash": "x"}), field_owner=OWNER, dry_run=True
            )
        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAP, key_of(found), uid="another", dry_run=True)


class TestPreconditions:
    """Writes that are bound to the object that was read."""

    @pytest.mark.parametrize("precondition", [{"uid": "another"}, {"resource_version": "1"}])
    async def test_of_json_patches(
        self, client: Client, namespace: str, precondition: dict[str, str]
    ) -> None:
        """Another object, another version."""
        found = await client.create(config_map(namespace, k="1"), field_owner=OWNER)
        change = {"op": "replace", "path": "/data/k", "value": "2"}
        key = key_of(found)
        current = {"uid": uid_of(found), "resource_version": _version(found)}

        with pytest.raises(Conflict, match=f"patch ConfigMap {key}: "):
            await client.patch_json(CONFIG_MAP, key, [change], field_owner=OWNER, **precondition)
        unchanged = await client.get(CONFIG_MAP, key)
        changed = await client.patch_json(CONFIG_MAP, key, [change], field_owner=OWNER, **current)

        assert unchanged == found
        assert changed["data"] == {"k": "2"}

    async def test_do_not_hide_what_is_invalid(self, client: Client, namespace: str) -> None:
        """The object it would become names its fields; a patch that cannot be read does not."""
        found = await client.create(config_map(namespace, k="1"), field_owner=OWNER)
        wrong = {"op": "add", "path": "/data/no~1slash", "value": "x"}

        with pytest.raises(Invalid) as caught:
            await client.patch_json(
                CONFIG_MAP, key_of(found), [wrong], field_owner=OWNER, uid=uid_of(found)
            )

        assert [cause.field for cause in caught.value.causes] == ["data[no/slash]"]

    @pytest.mark.parametrize("verb", ["patch_merge", "patch_strategic"])
    async def test_of_merge_patches(self, client: Client, namespace: str, verb: str) -> None:
        """The version."""
        found = await client.create(config_map(namespace, k="1"), field_owner=OWNER)
        patch: Callable[..., Awaitable[Any]] = getattr(client, verb)
        change = {"data": {"k": "2"}}

        with pytest.raises(Conflict, match="the object has been modified"):
            await patch(CONFIG_MAP, key_of(found), change, field_owner=OWNER, resource_version="1")
        changed = await patch(
            CONFIG_MAP, key_of(found), change, field_owner=OWNER, resource_version=_version(found)
        )

        assert changed["data"] == {"k": "2"}

    async def test_of_a_status(
        self, client: Client, namespace: str, things: GroupVersionKind
    ) -> None:
        """Custom resources heed the version there, and the UID of a JSON patch."""
        key = key_of(await client.create(thing(things, namespace), field_owner=OWNER))
        status = {"status": {"phase": "x"}}
        change = {"op": "add", "path": "/status", "value": {"phase": "x"}}

        with pytest.raises(Conflict):
            await client.patch_merge(
                things,
                key,
                status,
                field_owner=OWNER,
                subresource="status",
                resource_version="1",
            )
        with pytest.raises(Conflict):
            await client.patch_json(
                things, key, [change], field_owner=OWNER, subresource="status", uid="another"
            )

        found = await client.get(things, key)
        assert found is not None
        assert "status" not in found

    async def test_of_evictions(self, client: Client, namespace: str) -> None:
        """The version that was read."""
        found = await client.create(pod(namespace), field_owner=OWNER)

        with pytest.raises(Conflict, match="the ResourceVersion in the precondition"):
            await client.evict(key_of(found), uid=uid_of(found), resource_version="1")

        assert await client.get(POD, key_of(found)) is not None

    async def test_of_scales(self, client: Client, namespace: str) -> None:
        """The version of the object, which its scale shares."""
        key = key_of(await client.create(deployment(namespace, 1), field_owner=OWNER))

        with pytest.raises(Conflict):
            await client.set_scale(DEPLOYMENT, key, 3, field_owner=OWNER, resource_version="1")

        scale = await client.get_scale(DEPLOYMENT, key)
        assert scale is not None
        assert scale["spec"]["replicas"] == 1


def _version(manifest: Manifest) -> str:
    return str(manifest["metadata"]["resourceVersion"])


async def test_deprecations_are_logged(client: Client) -> None:
    """Once, however often the kind is used."""
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            await client.get(ENDPOINTS, ObjectKey("default", "none"))

    assert [entry["event"] for entry in logs] == ["server warned"]
    assert "deprecated" in logs[0]["text"]
