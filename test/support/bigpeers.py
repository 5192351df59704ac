"""Manifests of BigPeers for tests, and how to change them by path."""

import copy
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, cast

from smbpctl.runtime.meta import Manifest

Edits = Mapping[str, Any]


class Absent(Enum):
    """Stands for a field that an edit takes away."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT


def external_peer() -> Manifest:
    """The smallest BigPeer on a Kafka cluster of somebody else's."""
    return {
        "apiVersion": "smbpctl.dev/v1alpha1",
        "kind": "BigPeer",
        "metadata": {"name": "demo"},
        "spec": {
            "version": "1.63.2",
            "store": {"storage": {"size": "10Gi"}},
            "transactionLog": {
                "type": "External",
                "external": {"bootstrapServers": ["kafka.example.com:9092"]},
            },
        },
    }


def strimzi_peer() -> Manifest:
    """The smallest BigPeer on a Kafka cluster of its own."""
    return edited(
        external_peer(),
        {
            "spec.transactionLog": {
                "type": "Strimzi",
                "strimzi": {"storage": {"size": "10Gi"}},
            }
        },
    )


def exposed_peer() -> Manifest:
    """A BigPeer with one Ingress."""
    return edited(external_peer(), {"spec.exposure": [an_exposure()]})


def an_exposure(name: str = "web", **fields: object) -> Manifest:
    """An exposure of type Ingress; `fields` replace or add to it."""
    return {
        "name": name,
        "type": "Ingress",
        "hosts": [f"{name}.example.com"],
        "ingress": {"className": "nginx"},
        **fields,
    }


def edited(manifest: Mapping[str, Any], edits: Edits) -> Manifest:
    """Return a copy in which every path, such as `spec.exposure[0].name`, has its new value."""
    result = copy.deepcopy(dict(manifest))
    for path, value in edits.items():
        steps = [int(step) if step.isdecimal() else step for step in re.findall(r"[^.\[\]]+", path)]
        holder: Any = result
        for step in steps[:-1]:
            holder = holder[step] if isinstance(step, int) else holder.setdefault(step, {})
        if value is ABSENT:
            cast("dict[str, Any]", holder).pop(str(steps[-1]), None)
        else:
            holder[steps[-1]] = copy.deepcopy(value)
    return result
