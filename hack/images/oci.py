"""Writes images as an OCI layout in one tar file: documents by the image specification 1.1."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.images import layers
from hack.images.contents import CREATED, EPOCH, USER, Image
from hack.images.layers import Layer
from hack.images.platforms import Platform

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"

NAME_ANNOTATION = "io.containerd.image.name"
TAG_ANNOTATION = "org.opencontainers.image.ref.name"
"""containerd takes the full name from the first; the second is OCI's and holds the tag alone."""


@dataclass(frozen=True, slots=True)
class Packed:
    """An image whose documents are made; equal images over equal layers have equal digests."""

    reference: str
    config: bytes
    manifest: bytes
    layers: Sequence[Layer]
    architecture: str

    @property
    def digest(self) -> str:
        """Return the manifest's digest, which is the image's."""
        return digest_of(self.manifest)


def pack(image: Image, parts: Sequence[Layer], platform: Platform) -> Packed:
    """Return the image made of `parts`, lowest first."""
    config = document(config_of(image, parts, platform))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(CONFIG_TYPE, digest_of(config), len(config)),
        "layers": [_descriptor(layers.MEDIA_TYPE, part.digest, part.size) for part in parts],
    }
    return Packed(image.reference, config, document(manifest), tuple(parts), platform.architecture)


def config_of(image: Image, parts: Sequence[Layer], platform: Platform) -> Mapping[str, Any]:
    """Return the image's configuration: how it runs, and the layers by their content."""
    settings: dict[str, Any] = {
        "User": USER,
        "WorkingDir": "/",
        "Entrypoint": list(image.entry_point),
        "Env": [f"{name}={value}" for name, value in sorted(image.environment.items())],
        "Labels": dict(image.labels),
    }
    if image.command:
        settings["Cmd"] = list(image.command)
    return {
        "architecture": platform.architecture,
        "os": "linux",
        "created": CREATED,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [part.content_digest for part in parts]},
        "history": [{"created": CREATED, "created_by": part.made_by} for part in parts],
    }


def index_of(images: Iterable[Packed]) -> Mapping[str, Any]:
    """Return the layout's index: every image with its name."""
    return {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [
            {
                **_descriptor(MANIFEST_TYPE, image.digest, len(image.manifest)),
                "platform": {"architecture": image.architecture, "os": "linux"},
                "annotations": {
                    NAME_ANNOTATION: image.reference,
                    TAG_ANNOTATION: image.reference.rpartition(":")[2],
                },
            }
            for image in images
        ],
    }


def write_archive(file: Path, images: Sequence[Packed]) -> None:
    """Write `images` to `file`; what they share is in it once."""
    documents = {
        digest_of(text): text for image in images for text in (image.config, image.manifest)
    }
    blobs = {layer.digest: layer for image in images for layer in image.layers}
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "oci-layout", document({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", document(index_of(images)))
        for digest, text in sorted(documents.items()):
            _add(archive, _blob(digest), text)
        for digest, layer in sorted(blobs.items()):
            with layer.file.open("rb") as content:
                archive.addfile(_entry(_blob(digest), layer.size), content)


def document(content: Mapping[str, Any]) -> bytes:
    """Return JSON that is the same for the same content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def digest_of(content: bytes) -> str:
    """Return the digest by which OCI names `content`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": size}


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_entry(name, len(content)), io.BytesIO(content))


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o644, EPOCH
    return entry
