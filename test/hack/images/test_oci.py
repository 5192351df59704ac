"""Documents and archive follow the OCI image specification, and equal inputs give equal bytes."""

import gzip
import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hack.images.contents import EPOCH, Image
from hack.images.layers import Layer, write_layer
from hack.images.oci import NAME_ANNOTATION, TAG_ANNOTATION, digest_of, pack, write_archive
from hack.images.platforms import PLATFORMS

AMD64 = PLATFORMS["x86_64"]


def image(reference: str = "registry.test/a/b:1.0", **changes: Any) -> Image:
    """An image with something in every field."""
    return Image(
        **{
            "reference": reference,
            "entry_point": ("tool", "--fast"),
            "command": ("run",),
            "labels": {"title": "b"},
            "environment": {"PATH": "/usr/bin", "LANG": "C.UTF-8"},
            **changes,
        }
    )


def compress(source: Path, target: Path) -> None:
    """Compression that anybody can check."""
    target.write_bytes(gzip.compress(source.read_bytes(), mtime=0))


@pytest.fixture
def parts(tmp_path: Path) -> list[Layer]:
    """Two layers."""
    made: list[Layer] = []
    for name in ("lower", "upper"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        file = tmp_path / f"{name}.tar.gz"
        made.append(write_layer(tmp_path / name, file, made_by=name, compress=compress))
    return made


def read(file: Path) -> dict[str, bytes]:
    """An archive's files by name."""
    found: dict[str, bytes] = {}
    with tarfile.open(file) as archive:
        for entry in archive:
            content = archive.extractfile(entry)
            assert content is not None, f"{entry.name} is no file"
            found[entry.name] = content.read()
    return found


class TestConfiguration:
    """How an image runs."""

    def test_user_is_a_number(self, parts: list[Layer]) -> None:
        """The kubelet refuses names under runAsNonRoot: it cannot tell who they are."""
        config = json.loads(pack(image(), parts, AMD64).config)["config"]

        user, _, group = config["User"].partition(":")
        assert user.isdigit()
        assert group.isdigit()
        assert int(user) > 0

    def test_it_says_what_to_start(self, parts: list[Layer]) -> None:
        """Entry point, command, sorted environment, labels, folder."""
        config = json.loads(pack(image(), parts, AMD64).config)["config"]

        assert config["Entrypoint"] == ["tool", "--fast"]
        assert config["Cmd"] == ["run"]
        assert config["Env"] == ["LANG=C.UTF-8", "PATH=/usr/bin"]
        assert config["Labels"] == {"title": "b"}
        assert config["WorkingDir"] == "/"

    def test_no_command_is_no_key(self, parts: list[Layer]) -> None:
        """An absent command is left out, not null."""
        config = json.loads(pack(image(command=()), parts, AMD64).config)["config"]

        assert "Cmd" not in config

    def test_history_goes_with_the_layers(self, parts: list[Layer]) -> None:
        """One entry for each layer, lowest first, under one fixed date."""
        config = json.loads(pack(image(), parts, AMD64).config)

        assert config["rootfs"]["diff_ids"] == [part.content_digest for part in parts]
        assert [each["created_by"] for each in config["history"]] == ["lower", "upper"]
        assert {config["created"], *(each["created"] for each in config["history"])} == {
            "2020-02-02T00:00:00Z"
        }

    def test_architecture_is_the_platforms(self, parts: list[Layer]) -> None:
        """Called as OCI calls it, not as uname does."""
        config = json.loads(pack(image(), parts, PLATFORMS["aarch64"]).config)

        assert (config["os"], config["architecture"]) == ("linux", "arm64")


class TestDigest:
    """An image is named by its content."""

    def test_it_is_stable(self, parts: list[Layer]) -> None:
        """The order of labels and variables does not count."""
        one = image(environment={"A": "1", "B": "2"}, labels={"x": "1", "y": "2"})
        other = image(environment={"B": "2", "A": "1"}, labels={"y": "2", "x": "1"})

        assert pack(one, parts, AMD64).digest == pack(other, parts, AMD64).digest

    def test_the_name_is_not_content(self, parts: list[Layer]) -> None:
        """The same image under another name has the same digest."""
        assert (
            pack(image(), parts, AMD64).digest
            == pack(image("registry.test/other:2"), parts, AMD64).digest
        )

    @pytest.mark.parametrize(
        "change",
        [{"labels": {"title": "c"}}, {"environment": {"FAKE_VERSION": "2"}}, {"command": ("x",)}],
        ids=str,
    )
    def test_settings_are_content(self, parts: list[Layer], change: dict[str, Any]) -> None:
        """A version that differs only in a label or variable is another image."""
        assert pack(image(**change), parts, AMD64).digest != pack(image(), parts, AMD64).digest


class TestArchive:
    """What `ctr images import` reads."""

    def test_every_blob_is_there_under_its_digest(self, tmp_path: Path, parts: list[Layer]) -> None:
        """Following the index reaches documents and layers; sizes and digests are true."""
        write_archive(tmp_path / "a.tar", [pack(image(), parts, AMD64)])

        files = read(tmp_path / "a.tar")
        manifest = checked(files, json.loads(files["index.json"])["manifests"][0])
        config = json.loads(checked(files, json.loads(manifest)["config"]))
        layers = [checked(files, each) for each in json.loads(manifest)["layers"]]
        assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
        plain = [gzip.decompress(layer) for layer in layers]
        assert config["rootfs"]["diff_ids"] == [digest_of(layer) for layer in plain]
        assert layers == [part.file.read_bytes() for part in parts]

    def test_images_carry_full_name_and_tag(self, tmp_path: Path, parts: list[Layer]) -> None:
        """containerd takes the full name, others the tag; a port is no tag."""
        name = "registry.test:5000/a/b:1.0"

        write_archive(tmp_path / "a.tar", [pack(image(name), parts, AMD64)])

        entry = json.loads(read(tmp_path / "a.tar")["index.json"])["manifests"][0]
        assert entry["annotations"] == {NAME_ANNOTATION: name, TAG_ANNOTATION: "1.0"}
        assert entry["platform"] == {"architecture": "amd64", "os": "linux"}

    def test_shared_layers_are_there_once(self, tmp_path: Path, parts: list[Layer]) -> None:
        """A second tag costs its documents only."""
        images = [
            pack(image(f"registry.test/a:{tag}", labels={"v": tag}), parts, AMD64)
            for tag in ("1", "2")
        ]

        write_archive(tmp_path / "a.tar", images)

        with tarfile.open(tmp_path / "a.tar") as archive:
            names = archive.getnames()
        assert len(names) == len(set(names)) == 2 + 2 * 2 + len(parts)

    def test_equal_images_give_equal_bytes(self, tmp_path: Path, parts: list[Layer]) -> None:
        """Time and builder do not show in the archive either."""
        write_archive(tmp_path / "1.tar", [pack(image(), parts, AMD64)])
        write_archive(tmp_path / "2.tar", [pack(image(), parts, AMD64)])

        assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()
        with tarfile.open(tmp_path / "1.tar") as archive:
            assert {(e.mtime, e.uid, e.uname, e.mode) for e in archive} == {(EPOCH, 0, "", 0o644)}


def checked(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    """The blob of a descriptor, whose digest and size are checked."""
    content = files[f"blobs/{descriptor['digest'].replace(':', '/')}"]
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" == descriptor["digest"]
    assert len(content) == descriptor["size"]
    return content
