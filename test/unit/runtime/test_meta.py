"""What identifies an object: kinds, keys, owners, selectors, and their texts."""

from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbpctl.runtime.meta import (
    FieldSelector,
    GroupKind,
    GroupVersionKind,
    LabelSelector,
    Manifest,
    ObjectKey,
    ObjectMeta,
    OwnerReference,
    StoredObject,
    controller_of,
    controller_reference,
    fields_equal,
    gvk_of,
    is_deleting,
    key_of,
    labels_equal,
    labels_exist,
    metadata_of,
    owner_references_of,
    uid_of,
)

DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")
CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
WORDS = st.text("abcdefghij.-", min_size=1, max_size=10)
LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)


def a_manifest(**metadata: object) -> Manifest:
    """Return a Deployment with this metadata beside its name."""
    metadata = {"name": "web", "namespace": "shop"} | metadata
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}


class TestKinds:
    @pytest.mark.parametrize(
        ("api_version", "gvk"),
        [("apps/v1", DEPLOYMENT), ("v1", GroupVersionKind("", "v1", "Deployment"))],
    )
    def test_a_kind_is_read_from_its_api_version(
        self, api_version: str, gvk: GroupVersionKind
    ) -> None:
        """The core group has no name and no slash."""
        assert GroupVersionKind.of(api_version, "Deployment") == gvk

    @pytest.mark.parametrize(
        ("api_version", "kind"),
        [("", "Pod"), ("v1", ""), ("/v1", "Pod"), ("apps/", "Pod"), ("a/b/v1", "Pod")],
    )
    def test_what_names_no_kind_is_refused(self, api_version: str, kind: str) -> None:
        """A malformed kind fails where it is read, with both parts in the message."""
        with pytest.raises(ValueError, match=f"'{api_version}' with kind '{kind}'"):
            GroupVersionKind.of(api_version, kind)

    @given(group=st.one_of(st.just(""), WORDS), version=WORDS, kind=WORDS)
    def test_api_version_and_kind_are_the_whole_identity(
        self, group: str, version: str, kind: str
    ) -> None:
        """Writing and reading a kind gives the same kind."""
        gvk = GroupVersionKind(group, version, kind)

        assert GroupVersionKind.of(gvk.api_version, gvk.kind) == gvk

    def test_texts(self) -> None:
        """Kinds read as in `kubectl`; the core group is left out."""
        assert str(DEPLOYMENT) == "Deployment.v1.apps"
        assert str(CONFIG_MAP) == "ConfigMap.v1"
        assert str(DEPLOYMENT.group_kind) == "Deployment.apps"
        assert str(GroupKind("", "ConfigMap")) == "ConfigMap"
        assert str(ObjectKey("shop", "web")) == "shop/web"
        assert str(ObjectKey("", "node-1")) == "node-1"

    def test_keys_sort_by_namespace_and_name(self) -> None:
        """Deterministic output sorts by key."""
        keys = [ObjectKey("b", "a"), ObjectKey("", "z"), ObjectKey("a", "b"), ObjectKey("a", "a")]

        assert [str(key) for key in sorted(keys)] == ["z", "a/a", "a/b", "b/a"]


class TestManifest:
    def test_identity_is_read_from_metadata(self) -> None:
        """Key, kind and UID are what the API server says."""
        manifest = a_manifest(uid="u1")

        assert key_of(manifest) == ObjectKey("shop", "web")
        assert gvk_of(manifest) == DEPLOYMENT
        assert uid_of(manifest) == "u1"

    def test_cluster_scoped_objects_have_no_namespace(self) -> None:
        """An absent or null namespace is the empty one."""
        assert key_of({"metadata": {"name": "node-1"}}) == ObjectKey("", "node-1")
        assert key_of({"metadata": {"name": "node-1", "namespace": None}}).namespace == ""

    @pytest.mark.parametrize(
        "manifest",
        [
            {"kind": "Pod"},
            {"kind": "Pod", "metadata": None},
            {"kind": "Pod", "metadata": ["a"]},
            {"kind": "Pod", "metadata": {"name": ""}},
            {"kind": "Pod", "metadata": {"name": 7}},
        ],
    )
    def test_an_object_without_a_name_has_no_key(self, manifest: Manifest) -> None:
        """Bad input gives a clear error that names the kind."""
        with pytest.raises(ValueError, match=r"metadata\.name is missing.*'Pod'"):
            key_of(manifest)

    def test_a_manifest_without_a_kind_is_refused(self) -> None:
        """The kind is needed to know where to send it."""
        with pytest.raises(ValueError, match="names no kind"):
            gvk_of({"metadata": {"name": "a"}})

    def test_deletion_is_told_by_its_timestamp(self) -> None:
        """A null timestamp is none."""
        assert is_deleting(a_manifest(deletionTimestamp="2026-01-01T00:00:00Z"))
        assert not is_deleting(a_manifest(deletionTimestamp=None))
        assert not is_deleting(a_manifest())

    def test_metadata_is_empty_when_there_is_none(self) -> None:
        """Reading a field of it needs no check."""
        assert metadata_of({}) == {}
        assert uid_of({}) == ""


class TestOwners:
    def test_references_are_read_and_written_in_the_shape_of_the_api(self) -> None:
        """What is absent stays absent, so that an apply owns no field it did not ask for."""
        written: list[dict[str, Any]] = [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a", "uid": "u1"},
            {
                "apiVersion": "v1",
                "kind": "Node",
                "name": "b",
                "uid": "u2",
                "controller": True,
                "blockOwnerDeletion": True,
            },
        ]

        references = owner_references_of(a_manifest(ownerReferences=written))

        assert [reference.to_manifest() for reference in references] == written
        assert [str(reference.group_kind) for reference in references] == [
            "Deployment.apps",
            "Node",
        ]

    def test_the_controller_is_the_one_that_says_so(self) -> None:
        """Other owners only keep the object from being collected."""
        reference = {"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "u1"}
        both = a_manifest(
            ownerReferences=[reference, reference | {"uid": "u2", "controller": True}]
        )

        controller = controller_of(both)

        assert controller is not None
        assert controller.uid == "u2"
        assert controller_of(a_manifest(ownerReferences=[reference])) is None
        assert controller_of(a_manifest(ownerReferences=None)) is None

    def test_a_child_is_controlled_by_a_reference_that_blocks_deletion(self) -> None:
        """Foreground deletion of the owner waits for the child."""
        reference = controller_reference(a_manifest(uid="u1"))

        assert reference == OwnerReference(
            api_version="apps/v1",
            kind="Deployment",
            name="web",
            uid="u1",
            controller=True,
            block_owner_deletion=True,
        )

    def test_what_was_never_on_a_server_cannot_own(self) -> None:
        """Without a UID the garbage collector would delete the child at once."""
        with pytest.raises(ValueError, match="Deployment shop/web has no uid"):
            controller_reference(a_manifest())


class TestStoredObject:
    def test_metadata_is_decoded_from_the_bytes_of_the_api(self) -> None:
        """Names are camelCase there; what is unknown is left in the bytes."""
        raw = msgspec.json.encode(
            {
                "name": "web",
                "namespace": "shop",
                "uid": "u1",
                "resourceVersion": "42",
                "generation": 3,
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"app": "x"},
                "annotations": {"left": "out"},
                "ownerReferences": [
                    {
                        "apiVersion": "v1",
                        "kind": "Node",
                        "name": "n",
                        "uid": "u2",
                        "controller": True,
                    }
                ],
            }
        )

        meta = msgspec.json.decode(raw, type=ObjectMeta)

        assert meta.key == ObjectKey("shop", "web")
        assert (meta.resource_version, meta.generation) == ("42", 3)
        assert meta.deletion_timestamp is not None
        assert meta.labels == {"app": "x"}
        assert meta.controller is not None
        assert meta.controller.uid == "u2"

    def test_an_object_without_owners_has_no_controller(self) -> None:
        """Absent and empty references are the same."""
        assert ObjectMeta(name="a").controller is None
        assert ObjectMeta(name="a", owner_references=()).controller is None

    def test_each_read_is_a_private_copy(self) -> None:
        """A caller may change what it got; the cache never sees it."""
        stored = StoredObject(gvk=CONFIG_MAP, meta=ObjectMeta(name="a"), raw=b'{"data":{"k":"v"}}')
        first = stored.manifest()
        first["data"]["k"] = "changed"

        assert stored.manifest()["data"] == {"k": "v"}

    def test_the_kind_is_always_there(self) -> None:
        """Items of a typed list come without apiVersion and kind."""
        stored = StoredObject(gvk=DEPLOYMENT, meta=ObjectMeta(name="a"), raw=b'{"kind":"Wrong"}')

        assert gvk_of(stored.manifest()) == DEPLOYMENT

    @pytest.mark.parametrize("field", StoredObject.__struct_fields__)
    def test_stored_objects_cannot_be_changed(self, field: str) -> None:
        """Everybody reads the same one."""
        stored = StoredObject(gvk=CONFIG_MAP, meta=ObjectMeta(name="a"), raw=b"{}")

        with pytest.raises(AttributeError):
            setattr(stored, field, None)

    @pytest.mark.parametrize("field", ObjectMeta.__struct_fields__)
    def test_their_metadata_cannot_be_changed(self, field: str) -> None:
        """It is shared like the rest."""
        with pytest.raises(AttributeError):
            setattr(ObjectMeta(name="a"), field, None)


class TestLabelSelector:
    @given(labels=LABELS, wanted=LABELS.filter(bool))
    def test_all_equalities_must_hold(self, labels: dict[str, str], wanted: dict[str, str]) -> None:
        """An object is selected when it carries all wanted labels, whatever else it carries."""
        assert labels_equal(wanted).matches(labels) == (labels | wanted == labels)

    @given(labels=LABELS, keys=st.sets(st.sampled_from("abc"), min_size=1))
    def test_all_keys_must_exist(self, labels: dict[str, str], keys: set[str]) -> None:
        """The value does not matter."""
        assert labels_exist(*keys).matches(labels) == (keys <= labels.keys())

    def test_both_kinds_of_requirement_must_hold(self) -> None:
        """A selector may hold equalities and keys."""
        selector = LabelSelector(equals=(("app", "x"),), exists=("tier",))

        assert selector.matches({"app": "x", "tier": "web"})
        assert not selector.matches({"app": "x"})
        assert not selector.matches({"app": "y", "tier": "web"})
        assert not selector.matches(None)

    def test_an_empty_value_is_not_an_absent_label(self) -> None:
        """Kubernetes allows labels with empty values."""
        assert not labels_equal({"app": ""}).matches({})
        assert labels_equal({"app": ""}).matches({"app": ""})

    def test_nothing_never_means_everything(self) -> None:
        """The empty selector has to be asked for by its name."""
        with pytest.raises(ValueError, match="at least one label"):
            labels_equal({})
        with pytest.raises(ValueError, match="at least one key"):
            labels_exist()
        assert LabelSelector.everything().matches(None)
        assert LabelSelector.everything().to_query() == ""

    def test_the_query_is_sorted(self) -> None:
        """Equal selectors make equal requests."""
        assert labels_equal({"b": "2", "a": "1"}).to_query() == "a=1,b=2"
        assert labels_exist("b", "a").to_query() == "a,b"
        assert LabelSelector((("a", "1"),), ("b",)).to_query() == "a=1,b"


class TestView:
    class Struct(msgspec.Struct, rename="camel"):
        api_version: str
        kind: str
        data: dict[str, str]

    class Model(pydantic.BaseModel):
        apiVersion: str  # noqa: N815 - the name in JSON
        kind: str
        data: dict[str, str]

    @pytest.mark.parametrize("model", [Struct, Model])
    @pytest.mark.parametrize(
        "raw",
        [
            b'{"data":{"k":"v"}}',
            b' { "data":{"k":"v"}}',
            b'{"kind":"ConfigMap","apiVersion":"v1","data":{"k":"v"}}',
            b'{"apiVersion":"v1","data":{"k":"v"},"kind":"ConfigMap"}',
        ],
    )
    def test_models_are_decoded_from_the_bytes(self, model: type[Any], raw: bytes) -> None:
        """With the kind that items of typed lists do not name; private to the caller."""
        stored = StoredObject(gvk=CONFIG_MAP, meta=ObjectMeta(name="a"), raw=raw)

        view = stored.view(model)

        assert isinstance(view, model)
        assert view.kind == "ConfigMap"
        assert view.data == {"k": "v"}
        assert stored.view(model).data is not view.data

    @pytest.mark.parametrize("model", [Struct, Model])
    def test_what_the_model_refuses_is_a_value_error(self, model: type[Any]) -> None:
        """Whichever library it is of."""
        stored = StoredObject(gvk=CONFIG_MAP, meta=ObjectMeta(name="a"), raw=b"{}")

        with pytest.raises(ValueError, match="data"):
            stored.view(model)


class TestFieldSelector:
    def test_query_holds_all_requirements_escaped(self) -> None:
        """As apimachinery reads it."""
        selector = FieldSelector((("a", "x,y"), ("b", "1=2")), (("metadata.name", "n\\m"),))

        assert selector.to_query() == "a=x\\,y,b=1\\=2,metadata.name!=n\\\\m"

    def test_fields_are_sorted_and_needed(self) -> None:
        """Two spellings of one selector are one; none would mean all by accident."""
        assert fields_equal({"b": "2", "a": "1"}) == FieldSelector((("a", "1"), ("b", "2")))
        with pytest.raises(ValueError, match="at least one field"):
            fields_equal({})
