"""`smbpctl render`: print the objects that would be applied for a BigPeer, without a cluster."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, cast

import yaml

from smbpctl.api.v1alpha1 import BIG_PEER, BigPeer, InvalidSpec, effective, validate
from smbpctl.cli.command import Subcommands
from smbpctl.reconcilers.operator import Operator
from smbpctl.resources.certificates import issuers_and_certificates
from smbpctl.resources.desired import (
    foundation_objects,
    front_end_objects,
    kafka_objects,
    networking_objects,
    store_objects,
)
from smbpctl.resources.kafka import VERSIONS
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.meta import Manifest
from smbpctl.settings import read_settings

RENDERED_UID = "00000000-0000-0000-0000-000000000000"
"""Stands for the UID that a BigPeer gets when it is created."""


def add_to(commands: Subcommands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("render", help="print the objects of a BigPeer manifest")
    parser.add_argument(
        "-f", "--filename", required=True, help="manifest with one or more BigPeers, - for stdin"
    )
    parser.add_argument(
        "--strimzi-version", choices=VERSIONS, default=VERSIONS[0], help="API version of Kafka"
    )
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Print every object as a YAML stream; what belongs to no BigPeer of the file is left out."""
    objects: list[Manifest] = []
    for document in _documents(arguments.filename):
        objects += render(document, strimzi_version=arguments.strimzi_version)
    # A copy in which nothing is shared: YAML would show that as anchors.
    plain = json.loads(json.dumps(objects))
    yaml.safe_dump_all(plain, sys.stdout, sort_keys=False, width=100)
    return 0


def render(document: Manifest, *, strimzi_version: str = VERSIONS[0]) -> list[Manifest]:
    """Return all objects of a BigPeer in the order in which they are applied.

    The manifest is read strictly: raise InvalidSpec for an unknown field or a broken rule, naming
    object and field. What only a cluster knows (UIDs, contents of Secrets) has placeholders.
    """
    given = document.get("metadata")
    metadata = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    said = {name: value for name, value in metadata.items() if value is not None}
    placed = {"uid": RENDERED_UID, "namespace": "default", **said}
    peer = BigPeer.parse({**document, "metadata": placed}, strict=True)
    errors = validate(peer)
    if errors:
        raise InvalidSpec(peer.key, errors)
    settings = read_settings()
    operator = Operator(
        image_prefix=settings.image_prefix,
        namespace=settings.operator_namespace,
        file_system_group=settings.file_system_group,
    )
    inputs, computed = operator.inputs(peer), effective(peer)
    return [
        *issuers_and_certificates(peer),
        *kafka_objects(peer, computed, strimzi_version),
        *foundation_objects(peer, computed),
        *store_objects(peer, inputs),
        *front_end_objects(peer, inputs),
        *networking_objects(peer, inputs),
    ]


def _documents(filename: str) -> list[Manifest]:
    try:
        text = sys.stdin.read() if filename == "-" else Path(filename).read_text("utf-8")
        loaded = [document for document in yaml.safe_load_all(text) if document is not None]
    except OSError as error:
        raise ConfigurationError(f"{filename}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{filename} is not YAML: {error}") from error
    if not loaded:
        raise ConfigurationError(f"{filename} holds no object")
    return [
        _big_peer(document, f"{filename}: document {n}") for n, document in enumerate(loaded, 1)
    ]


def _big_peer(document: object, where: str) -> Manifest:
    if not isinstance(document, dict):
        raise ConfigurationError(f"{where} is no object but {type(document).__name__}")
    manifest = cast("Manifest", document)
    if manifest.get("kind") != BIG_PEER.kind:
        raise ConfigurationError(f"{where} is of kind {manifest.get('kind')}, not {BIG_PEER.kind}")
    return manifest
