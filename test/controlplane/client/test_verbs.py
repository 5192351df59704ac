"""The verbs on a real API server: reading and writing one object."""

import pytest

from smbpctl.runtime.client import Client, Propagation
from smbpctl.runtime.errors import AlreadyExists, Conflict, Invalid, NoKindMatch, NotFound
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, gvk_of, key_of, uid_of
from test.controlplane.client.world import (
    CLUSTER_ROLE,
    CONFIG_MAP,
    DEPLOYMENT,
    OWNER,
    config_map,
    deployment,
    eventually,
    pod,
    thing,
)


class TestVerbs:
    """Reading and writing one object."""

    async def test_life_of_an_object(self, client: Client, namespace: str) -> None:
        """Created, read, patched both ways, deleted."""
        key = ObjectKey(namespace, "a")
        absent = await client.get(CONFIG_MAP, key)

        created = await client.create(config_map(namespace, k="1"), field_owner=OWNER)
        read = await client.get(CONFIG_MAP, key)
        uid_test = {"op": "test", "path": "/metadata/uid", "value": uid_of(created)}
        change = {"op": "add", "path": "/data/json", "value": "2"}
        await client.patch_json(CONFIG_MAP, key, [uid_test, change], field_owner=OWNER)
        merged = await client.patch_merge(
            CONFIG_MAP, key, {"data": {"k": None, "merge": "3"}}, field_owner=OWNER
        )
        deleted = await client.delete(CONFIG_MAP, key)
        again = await client.delete(CONFIG_MAP, key)

        assert absent is None
        assert read == created
        assert merged["data"] == {"json": "2", "merge": "3"}
        assert merged["metadata"]["managedFields"][0]["manager"] == OWNER
        assert (deleted, again) == (True, False)
        assert await client.get(CONFIG_MAP, key) is None

    async def test_a_taken_name(self, client: Client, namespace: str) -> None:
        """AlreadyExists, told apart from Conflict."""
        await client.create(config_map(namespace), field_owner=OWNER)

        with pytest.raises(AlreadyExists):
            await client.create(config_map(namespace), field_owner=OWNER)

    async def test_a_generated_name(self, client: Client, namespace: str) -> None:
        """Chosen by the server."""
        manifest = config_map(namespace)
        manifest["metadata"] = {"generateName": "gen-", "namespace": namespace}

        created = await client.create(manifest, field_owner=OWNER)

        assert key_of(created).name.startswith("gen-")

    async def test_names_with_colons(self, client: Client) -> None:
        """RBAC has them."""
        found = await client.get(CLUSTER_ROLE, ObjectKey("", "system:node"))

        assert found is not None

    async def test_a_missing_namespace(self, client: Client) -> None:
        """Nothing is in it and nothing can be put into it; the kind is served all the same."""
        nowhere = "no-such-namespace"

        found = await client.get(CONFIG_MAP, ObjectKey(nowhere, "a"))

        assert found is None
        with pytest.raises(NotFound, match=nowhere):
            await client.create(config_map(nowhere), field_owner=OWNER)

    async def test_a_large_object(self, client: Client, namespace: str) -> None:
        """Close to what a ConfigMap may hold."""
        text = "x" * 1_000_000

        stored = await client.apply(config_map(namespace, k=text), field_owner=OWNER)

        assert stored["data"]["k"] == text

    async def test_reviews_and_raw_paths(self, client: Client) -> None:
        """What is no object of a kind."""
        review = await client.post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}},
            },
        )

        assert review["status"]["allowed"] is True
        assert await client.get_raw("/readyz") == b"ok"


class TestApply:
    """Server-side apply."""

    async def test_creates_changes_and_removes(self, client: Client, namespace: str) -> None:
        """What an owner leaves out is removed; a repeated apply changes nothing."""
        first = await client.apply(config_map(namespace, a="1", b="1"), field_owner=OWNER)
        second = await client.apply(config_map(namespace, a="2"), field_owner=OWNER)
        third = await client.apply(config_map(namespace, a="2"), field_owner=OWNER)

        assert (first["data"], second["data"]) == ({"a": "1", "b": "1"}, {"a": "2"})
        assert third["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]

    async def test_a_conflict_names_manager_and_field(self, client: Client, namespace: str) -> None:
        """Until it is forced."""
        await client.apply(config_map(namespace, a="1"), field_owner="somebody/else")

        with pytest.raises(Conflict) as caught:
            await client.apply(config_map(namespace, a="2"), field_owner=OWNER)
        forced = await client.apply(config_map(namespace, a="2"), field_owner=OWNER, force=True)

        (cause,) = caught.value.causes
        assert (cause.reason, cause.field) == ("FieldManagerConflict", ".data.a")
        assert "somebody/else" in cause.message
        assert str(caught.value).startswith(f"apply ConfigMap {namespace}/a: ")
        assert forced["data"] == {"a": "2"}

    async def test_a_uid_is_an_expectation(self, client: Client, namespace: str) -> None:
        """With a UID it neither creates nor changes a namesake; the two are refused differently."""
        expected = config_map(namespace, a="1")
        expected["metadata"]["uid"] = "11111111-2222-3333-4444-555555555555"

        with pytest.raises(Conflict):
            await client.apply(expected, field_owner=OWNER)
        await client.create(config_map(namespace), field_owner=OWNER)
        with pytest.raises(Invalid) as caught:
            await client.apply(expected, field_owner=OWNER)

        assert {cause.field for cause in caught.value.causes} == {"metadata.uid"}

    async def test_status_is_applied_to_its_subresource(
        self, client: Client, namespace: str
    ) -> None:
        """The spec in the same manifest is not touched by it."""
        await client.create(pod(namespace), field_owner=OWNER)
        condition = {"type": "smbpctl.dev/Test", "status": "True"}
        status = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a", "namespace": namespace},
            "status": {"conditions": [condition]},
        }

        stored = await client.apply(status, field_owner=OWNER, subresource="status")

        types = [each["type"] for each in stored["status"]["conditions"]]
        assert "smbpctl.dev/Test" in types
        # The scheduler may have written a condition of its own by now.
        ours = [each for each in stored["metadata"]["managedFields"] if each["manager"] == OWNER]
        assert "status" in [each.get("subresource") for each in ours]


class TestDelete:
    """Deletions under preconditions."""

    async def test_needs_the_right_uid_and_version(self, client: Client, namespace: str) -> None:
        """A namesake, or an object that changed meanwhile, is left alone."""
        created = await client.create(config_map(namespace), field_owner=OWNER)
        key, uid = key_of(created), uid_of(created)
        version = created["metadata"]["resourceVersion"]

        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAP, key, uid="another")
        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAP, key, uid=uid, resource_version="1")
        deleted = await client.delete(CONFIG_MAP, key, uid=uid, resource_version=version)

        assert deleted

    async def test_may_only_be_a_mark(self, client: Client, namespace: str) -> None:
        """An object with finalizers stays, marked as deleted, until they are gone."""
        manifest = config_map(namespace)
        manifest["metadata"]["finalizers"] = ["smbpctl.dev/test"]
        created = await client.create(manifest, field_owner=OWNER)
        key = key_of(created)

        await client.delete(CONFIG_MAP, key, propagation=Propagation.ORPHAN)
        marked = await client.get(CONFIG_MAP, key)
        await client.patch_merge(
            CONFIG_MAP, key, {"metadata": {"finalizers": None}}, field_owner=OWNER
        )

        assert marked is not None
        assert marked["metadata"]["deletionTimestamp"]
        assert await client.get(CONFIG_MAP, key) is None


class TestUpdate:
    """Replacement of the whole object."""

    async def test_of_the_version_that_was_read(self, client: Client, namespace: str) -> None:
        """Another write in between is not lost: the second one is refused."""
        read = await client.create(config_map(namespace, k="1", gone="x"), field_owner=OWNER)

        stored = await client.update({**read, "data": {"k": "2"}}, field_owner=OWNER)
        with pytest.raises(Conflict, match=f"update ConfigMap {namespace}/a: .* been modified"):
            await client.update({**read, "data": {"k": "3"}}, field_owner=OWNER)

        assert stored["data"] == {"k": "2"}
        assert await client.get(CONFIG_MAP, key_of(read)) == stored

    async def test_without_version(self, client: Client, namespace: str) -> None:
        """Refused here; only by name it overwrites what others wrote."""
        read = await client.create(config_map(namespace, k="1"), field_owner=OWNER)
        await client.patch_merge(CONFIG_MAP, key_of(read), {"data": {"n": "1"}}, field_owner=OWNER)

        with pytest.raises(ValueError, match=r"metadata\.resourceVersion is missing"):
            await client.update(config_map(namespace, k="2"), field_owner=OWNER)
        stored = await client.update({**read, "data": {}}, field_owner=OWNER, overwrite=True)

        assert "data" not in stored

    async def test_of_a_custom_resource_never_overwrites(
        self, client: Client, namespace: str, things: GroupVersionKind
    ) -> None:
        """The server wants the version there."""
        created = await client.create(thing(things, namespace), field_owner=OWNER)

        with pytest.raises(Invalid, match="must be specified for an update"):
            await client.update(created, field_owner=OWNER, overwrite=True)

    async def test_of_another_object(self, client: Client, namespace: str) -> None:
        """A UID in the manifest is a precondition; a missing object is not created."""
        read = await client.create(config_map(namespace, k="1"), field_owner=OWNER)
        other = {**read, "metadata": {**read["metadata"], "uid": "another"}}
        absent = {**read, "metadata": {**read["metadata"], "name": "absent"}}

        with pytest.raises(Conflict, match="UID"):
            await client.update(other, field_owner=OWNER)
        with pytest.raises(NotFound):
            await client.update(absent, field_owner=OWNER)

    async def test_of_a_status(self, client: Client, namespace: str) -> None:
        """Leaves the rest of the object alone."""
        read = await client.create(deployment(namespace, 2), field_owner=OWNER)
        spec = {**read["spec"], "replicas": 9}
        changed = {**read, "spec": spec, "status": {"observedGeneration": 1, "replicas": 1}}

        stored = await _until_no_conflict(client, changed)

        assert stored["spec"]["replicas"] == 2
        assert stored["status"]["replicas"] == 1


async def _until_no_conflict(client: Client, manifest: Manifest) -> Manifest:
    """Update a status; the controller of the kind writes it as well."""

    async def attempt() -> Manifest | None:
        found = await client.get(gvk_of(manifest), key_of(manifest))
        assert found is not None
        metadata = {**manifest["metadata"], "resourceVersion": _version(found)}
        try:
            return await client.update(
                {**manifest, "metadata": metadata}, field_owner=OWNER, subresource="status"
            )
        except Conflict:
            return None

    return await eventually(attempt)


def _version(manifest: Manifest) -> str:
    return str(manifest["metadata"]["resourceVersion"])


class TestPatch:
    """The three sorts."""

    async def test_json_is_bound_by_its_tests(self, client: Client, namespace: str) -> None:
        """A test that fails leaves the object as it was."""
        created = await client.create(config_map(namespace, k="1"), field_owner=OWNER)
        operations = [
            {"op": "test", "path": "/metadata/uid", "value": "another"},
            {"op": "replace", "path": "/data/k", "value": "2"},
        ]

        with pytest.raises(Invalid, match=f"patch ConfigMap {namespace}/a: "):
            await client.patch_json(CONFIG_MAP, key_of(created), operations, field_owner=OWNER)

        assert await client.get(CONFIG_MAP, key_of(created)) == created

    async def test_strategic_merges_lists_by_their_keys(
        self, client: Client, namespace: str
    ) -> None:
        """Where a merge patch replaces them."""
        key = key_of(await client.create(deployment(namespace, 1), field_owner=OWNER))
        container = {"name": "main", "env": [{"name": "A", "value": "1"}]}
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}

        merged = await client.patch_strategic(DEPLOYMENT, key, patch, field_owner=OWNER)

        (stored,) = merged["spec"]["template"]["spec"]["containers"]
        assert (stored["image"], stored["env"]) == ("registry.invalid/none:1", container["env"])

    async def test_of_a_status(
        self, client: Client, namespace: str, things: GroupVersionKind
    ) -> None:
        """Read back through the subresource, which shows the whole object."""
        key = key_of(await client.create(thing(things, namespace), field_owner=OWNER))
        patch = {"spec": {"x": "no"}, "status": {"phase": "yes"}}

        await client.patch_merge(things, key, patch, field_owner=OWNER, subresource="status")
        found = await client.get(things, key, subresource="status")

        assert found is not None
        assert (found.get("spec"), found["status"]) == (None, {"phase": "yes"})


class TestScale:
    """Wanted replicas, of whatever kind has them."""

    async def test_of_a_deployment(self, client: Client, namespace: str) -> None:
        """Set without touching anything else; the answer is the scale."""
        created = await client.create(deployment(namespace, 1), field_owner=OWNER)
        key = key_of(created)

        scale = await client.set_scale(DEPLOYMENT, key, 3, field_owner=OWNER)
        read = await client.get_scale(DEPLOYMENT, key)
        found = await client.get(DEPLOYMENT, key)

        assert (scale["kind"], scale["spec"], uid_of(scale)) == (
            *("Scale", {"replicas": 3}),
            uid_of(created),
        )
        assert read is not None
        assert read["spec"] == {"replicas": 3}
        assert found is not None
        assert found["spec"] == {**created["spec"], "replicas": 3}
        subresources = [
            entry.get("subresource")
            for entry in found["metadata"]["managedFields"]
            if entry["manager"] == OWNER
        ]
        assert "scale" in subresources

    async def test_of_a_custom_resource(
        self, client: Client, namespace: str, things: GroupVersionKind
    ) -> None:
        """Where the definition says which field that is."""
        created = await client.create(thing(things, namespace, spec={"n": 1}), field_owner=OWNER)

        await client.set_scale(things, key_of(created), 5, field_owner=OWNER)

        found = await client.get(things, key_of(created))
        assert found is not None
        assert found["spec"] == {"n": 5}

    async def test_of_what_has_none(self, client: Client, namespace: str) -> None:
        """An absent object is told apart from a kind without scale."""
        absent = ObjectKey(namespace, "absent")

        assert await client.get_scale(DEPLOYMENT, absent) is None
        with pytest.raises(NotFound):
            await client.set_scale(DEPLOYMENT, absent, 1, field_owner=OWNER)
        with pytest.raises(NoKindMatch):
            await client.get_scale(CONFIG_MAP, absent)

    async def test_of_less_than_none(self, client: Client, namespace: str) -> None:
        """Invalid, with the field."""
        key = key_of(await client.create(deployment(namespace, 1), field_owner=OWNER))

        with pytest.raises(Invalid) as caught:
            await client.set_scale(DEPLOYMENT, key, -1, field_owner=OWNER)

        assert [cause.field for cause in caught.value.causes] == ["spec.replicas"]
