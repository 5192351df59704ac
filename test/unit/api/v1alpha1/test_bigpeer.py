"""Reading BigPeers: tolerant of newer servers, exact about what is wrong."""

import pytest

from smbpctl.api.v1alpha1.bigpeer import BIG_PEER, BigPeer, DeletionPolicy
from smbpctl.api.v1alpha1.errors import FieldError, InvalidSpec
from smbpctl.runtime.meta import ObjectKey
from test.support.bigpeer_values import REFUSED, TAKEN, ValueCase
from test.support.bigpeers import ABSENT, edited, external_peer

MALFORMED = [case for case in REFUSED if not case.blamed.endswith("[1]")]
"""All but the doubles in sets and list-maps, which `validate` finds."""


def errors_of(edits: dict[str, object], *, strict: bool = False) -> tuple[FieldError, ...]:
    """What parse finds in the smallest BigPeer after the edits."""
    with pytest.raises(InvalidSpec) as raised:
        BigPeer.parse(edited(external_peer(), edits), strict=strict)
    return raised.value.errors


class TestParse:
    @pytest.mark.parametrize("case", MALFORMED, ids=str)
    def test_malformed_value_is_named(self, case: ValueCase) -> None:
        """A value the schema refuses gives an error at the path of the field."""
        with pytest.raises(InvalidSpec) as raised:
            BigPeer.parse(case.manifest)

        assert any(error.field.startswith(case.names) for error in raised.value.errors)

    @pytest.mark.parametrize("case", TAKEN, ids=str)
    def test_value_at_the_limit_is_taken(self, case: ValueCase) -> None:
        """A value the schema takes is taken."""
        assert BigPeer.parse(case.manifest, strict=True).name == "demo"

    def test_error_names_the_object_and_every_field(self) -> None:
        """One error carries everything that is wrong, so that one edit can mend it."""
        manifest = edited(
            external_peer(),
            {"metadata.namespace": "ns", "spec.version": ABSENT, "spec.store.replicas": "3"},
        )

        with pytest.raises(InvalidSpec) as raised:
            BigPeer.parse(manifest)

        assert raised.value.key == ObjectKey("ns", "demo")
        assert raised.value.reason == "InvalidSpec"
        assert raised.value.message == (
            "BigPeer ns/demo is invalid: spec.version: is required; "
            "spec.store.replicas: must be an integer"
        )

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            ("spec", [], "must be an object"),
            ("spec.version", 1, "must be a string"),
            ("spec.exposure", {}, "must be a list"),
            ("spec.store.resources.requests", 1, "must be an object"),
            ("spec.networkPolicy.enabled", "true", "must be true or false"),
            ("spec.store.replicas", 0, "must be greater than or equal to 1"),
            ("spec.deletionPolicy", "x", "must be 'Retain' or 'Delete'"),
            ("kind", "Kafka", "must be 'BigPeer'"),
            ("apiVersion", "smbpctl.dev/v9", "must be 'smbpctl.dev/v1alpha1'"),
        ],
    )
    def test_messages_read_after_a_path(self, path: str, value: object, message: str) -> None:
        """Messages speak of JSON, not of Python."""
        assert errors_of({path: value}) == (FieldError(path, message),)

    def test_object_without_a_name(self) -> None:
        """A manifest without a name is refused, and the error is still printable."""
        errors = errors_of({"metadata": {}})

        assert errors == (FieldError("metadata", "name is required"),)

    def test_unknown_fields_are_tolerated(self) -> None:
        """Fields of a newer schema are dropped: the operator works on after a downgrade."""
        manifest = edited(external_peer(), {"spec.new": 1, "status.new": 1, "new": 1})

        assert BigPeer.parse(manifest).spec == BigPeer.parse(external_peer()).spec

    @pytest.mark.parametrize("path", ["new", "spec.new", "spec.store.storage.new", "status.new"])
    def test_unknown_fields_are_refused_when_strict(self, path: str) -> None:
        """In a manifest that a person wrote, an unknown field is a mistake."""
        assert errors_of({path: 1}, strict=True) == (FieldError(path, "is not a known field"),)

    def test_python_names_are_unknown_fields(self) -> None:
        """Only the camelCase name is read from a manifest."""
        manifest = edited(external_peer(), {"spec.store.minimum_replicas": 1})

        assert BigPeer.parse(manifest).spec.store.minimum_replicas is None
        assert errors_of({"spec.store.minimum_replicas": 1}, strict=True)

    def test_metadata_is_free(self) -> None:
        """Strict reading leaves metadata to the server."""
        manifest = edited(external_peer(), {"metadata.annotations": {"a/b": "c"}})

        assert BigPeer.parse(manifest, strict=True).metadata["annotations"] == {"a/b": "c"}

    def test_manifest_is_left_alone(self) -> None:
        """Reading changes nothing in what was read."""
        manifest = external_peer()

        BigPeer.parse(manifest)

        assert manifest == external_peer()


class TestMetadata:
    def test_of_a_served_object(self) -> None:
        """Properties show the metadata that reconcilers need."""
        metadata = {
            "name": "demo", "namespace": "ns", "uid": "u", "generation": 7,
            "deletionTimestamp": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        peer = BigPeer.parse({**external_peer(), "metadata": metadata})

        assert (peer.name, peer.namespace, peer.uid, peer.generation) == ("demo", "ns", "u", 7)
        assert peer.key == ObjectKey("ns", "demo")
        assert peer.deleting

    def test_of_a_file(self) -> None:
        """An object that never reached a server has empty metadata, not errors."""
        peer = BigPeer.parse(external_peer())

        assert (peer.namespace, peer.uid, peer.generation, peer.deleting) == ("", "", 0, False)


class TestModel:
    def test_round_trip(self) -> None:
        """Writing a model and reading it again gives the same model."""
        peer = BigPeer.parse(external_peer())

        assert BigPeer.parse(peer.to_manifest(), strict=True) == peer

    def test_kind_is_the_declared_one(self) -> None:
        """The model's literals and the constant name the same kind."""
        manifest = BigPeer.parse({"metadata": {"name": "a"}, "spec": external_peer()["spec"]})

        assert (manifest.api_version, manifest.kind) == (BIG_PEER.api_version, BIG_PEER.kind)

    def test_data_is_kept_by_default(self) -> None:
        """Deletion destroys no data unless the spec says so."""
        assert BigPeer.parse(external_peer()).spec.deletion_policy is DeletionPolicy.RETAIN
