"""`smbpctl render`: the objects of a manifest, or a message that names object and field."""

import io
from pathlib import Path
from typing import Any

import pytest
import yaml

from smbpctl.api.v1alpha1 import InvalidSpec
from smbpctl.cli import execute
from smbpctl.cli.render import RENDERED_UID, render
from smbpctl.runtime.meta import Manifest
from test.support.bigpeers import ABSENT, edited, external_peer, strimzi_peer
from test.support.golden import Golden

SAMPLES = sorted((Path(__file__).parents[3] / "config" / "samples").glob("*.yaml"))
SAMPLE = next(each for each in SAMPLES if each.stem == "bigpeer")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[Manifest]:
    """Render, and return the objects that were printed."""
    assert execute(["render", *arguments]) == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Render in vain, and return the one line of the error."""
    code = execute(["render", *arguments])
    out, err = capsys.readouterr()
    assert (code, out, err.startswith("smbpctl render: ")) == (1, "", True)
    return err.removeprefix("smbpctl render: ").rstrip("\n")


def written(tmp_path: Path, *documents: object) -> str:
    """Write documents as one YAML stream and return the file's name."""
    file = tmp_path / "peer.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return str(file)


class TestOutput:
    @pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
    def test_the_samples(
        self, sample: Path, golden: Golden, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """One with Secrets and a Kafka of somebody else's, one with cert-manager and Strimzi."""
        golden(f"render/{sample.stem}", shown(capsys, "-f", str(sample)))

    def test_equal_objects_are_written_out(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Anchors would tell of Python objects, and few people can read them."""
        execute(["render", "-f", str(SAMPLE)])

        out = capsys.readouterr().out
        assert [line for line in out.splitlines() if "&id" in line or "*id" in line] == []

    def test_several_documents(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """One after the other; empty documents between them are nothing."""
        second = edited(external_peer(), {"metadata.name": "other"})

        objects = shown(capsys, "-f", written(tmp_path, external_peer(), None, second))

        names = [each["metadata"]["labels"]["app.kubernetes.io/instance"] for each in objects]
        assert names == sorted(names)
        assert set(names) == {"demo", "other"}

    def test_standard_input(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """`-` is what others pipe in."""
        monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(external_peer())))

        assert shown(capsys, "-f", "-") == render(external_peer())

    @pytest.mark.parametrize("version", ["v1", "v1beta2"])
    def test_the_api_version_of_strimzi(
        self, version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It is the only difference."""
        file = written(tmp_path, strimzi_peer())

        objects = shown(capsys, "-f", file, "--strimzi-version", version)

        kafka = [each for each in objects if "kafka" in each["apiVersion"]]
        assert {each["apiVersion"] for each in kafka} == {f"kafka.strimzi.io/{version}"}
        assert len(kafka) == 4

    @pytest.mark.parametrize("namespace", [ABSENT, None])
    def test_what_only_a_cluster_knows_has_placeholders(self, namespace: object) -> None:
        """The namespace too, as with kubectl, also where it was left blank."""
        objects = render(edited(external_peer(), {"metadata.namespace": namespace}))

        (stateful_set,) = [each for each in objects if each["kind"] == "StatefulSet"]
        (template,) = stateful_set["spec"]["volumeClaimTemplates"]
        assert {each["metadata"]["namespace"] for each in objects} == {"default"}
        assert template["metadata"]["labels"]["smbpctl.dev/bigpeer-uid"] == RENDERED_UID

    def test_the_operator_s_settings_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is rendered is what this operator would apply."""
        monkeypatch.setenv("SMBPCTL_IMAGE_PREFIX", "mirror.test/ditto")

        (stateful_set,) = [e for e in render(external_peer()) if e["kind"] == "StatefulSet"]

        (container,) = stateful_set["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "mirror.test/ditto/store-replica:1.63.2"


class TestRefusals:
    @pytest.mark.parametrize(
        ("edits", "message"),
        [
            ({"spec.storage": {}}, "spec.storage: is not a known field"),
            ({"spec.store.storage.sise": "1"}, "spec.store.storage.sise: is not a known field"),
            ({"sepc": {}}, "sepc: is not a known field"),
            ({"spec.version": ABSENT}, "spec.version: is required"),
            ({"spec": ABSENT}, "spec: is required"),
            ({"spec.store.replicas": "three"}, "spec.store.replicas: must be an integer"),
            ({"spec.store": []}, "spec.store: must be an object"),
            (
                {"apiVersion": "smbpctl.dev/v9"},
                "apiVersion: must be 'smbpctl.dev/v1alpha1'",
            ),
            (
                {"spec.tls": {"type": "Secrets"}},
                "spec.tls.secrets: secrets must be present if and only if type is Secrets",
            ),
        ],
    )
    def test_object_and_field_are_named(
        self,
        edits: Manifest,
        message: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Unknown, missing, malformed, and rules that fields break together."""
        file = written(tmp_path, edited(external_peer(), edits))

        line = refused(capsys, "-f", file)

        assert line.startswith("BigPeer default/demo is invalid: ")
        assert message in line

    def test_every_error_at_once(self) -> None:
        """So that a person mends them in one go."""
        broken = edited(external_peer(), {"spec.version": ABSENT, "spec.storage": {}})

        with pytest.raises(InvalidSpec) as raised:
            render(broken)

        assert {each.field for each in raised.value.errors} == {"spec.version", "spec.storage"}

    @pytest.mark.parametrize("metadata", [None, [], "x", {}, {"name": None}, {"name": 7}])
    def test_metadata_of_every_shape(self, metadata: object) -> None:
        """An object without a name cannot be named, but its problem can."""
        with pytest.raises(InvalidSpec, match=r"BigPeer default/.* is invalid: metadata: name"):
            render({**external_peer(), "metadata": metadata})

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (b"", "holds no object"),
            (b"---\n---\n", "holds no object"),
            (b"# nothing\n", "holds no object"),
            (b"a: b: c", "is not YAML: mapping values are not allowed here"),
            (b"{", "is not YAML"),
            (b"\xff\xfe\xfd", "is not YAML"),
            (b"just text", "document 1 is no object but str"),
            (b"- kind: BigPeer", "document 1 is no object but list"),
            (b"kind: Kafka", "document 1 is of kind Kafka, not BigPeer"),
            (b"spec: {}", "document 1 is of kind None, not BigPeer"),
            (b"!!python/object:os.system {}", "is not YAML: could not determine a constructor"),
        ],
    )
    def test_files_that_hold_no_big_peer(
        self, text: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The file is named, and the document in it."""
        file = tmp_path / "peer.yaml"
        file.write_bytes(text)

        line = refused(capsys, "-f", str(file))

        assert line.startswith(str(file))
        assert message in line

    def test_the_second_document(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Nothing of the first is printed: half an output would be applied by the pipe."""
        file = written(tmp_path, external_peer(), {"kind": "Secret"})

        assert refused(capsys, "-f", file) == f"{file}: document 2 is of kind Secret, not BigPeer"

    def test_a_folder(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Read like any other file that cannot be."""
        assert refused(capsys, "-f", str(tmp_path)) == f"{tmp_path}: Is a directory"

    def test_a_malformed_setting(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The environment counts here too, and is named like a flag."""
        monkeypatch.setenv("SMBPCTL_WORKERS", "many")

        assert refused(capsys, "-f", str(SAMPLE)).startswith("--workers: Input should be a valid")

    @pytest.mark.parametrize("document", [{1: 2}, {**external_peer(), 7: 8}])
    def test_keys_that_are_no_text(self, document: dict[Any, Any]) -> None:
        """YAML knows them, JSON does not."""
        with pytest.raises(InvalidSpec):
            render(document)
