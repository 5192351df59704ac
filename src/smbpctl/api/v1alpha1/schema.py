"""The CustomResourceDefinition of BigPeer, generated from the models and the rules."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, cast

import yaml

from smbpctl.api.v1alpha1.bigpeer import BIG_PEER, PLURAL, BigPeer, BigPeerSpec
from smbpctl.api.v1alpha1.rules import RULES
from smbpctl.api.v1alpha1.status import BigPeerStatus
from smbpctl.api.v1alpha1.structural import Schema, one_line, structural_schema
from smbpctl.runtime.meta import Manifest


def _condition_column(condition_type: str) -> Schema:
    return {
        "name": condition_type,
        "type": "string",
        "jsonPath": f'.status.conditions[?(@.type=="{condition_type}")].status',
    }


PRINTER_COLUMNS: tuple[Mapping[str, Any], ...] = (
    _condition_column("Ready"),
    _condition_column("Available"),
    _condition_column("Progressing"),
    _condition_column("Degraded"),
    {"name": "Version", "type": "string", "jsonPath": ".status.version"},
    {"name": "Store", "type": "string", "jsonPath": ".status.store.summary"},
    {
        "name": "Endpoint",
        "type": "string",
        "jsonPath": ".status.endpoints[0].urls[0]",
        "priority": 1,
    },
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
)
"""What `kubectl get` shows; priority 1 only with `-o wide`."""


def crd() -> Manifest:
    """Return the CustomResourceDefinition; the same models always give the same manifest."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{BIG_PEER.group}"},
        "spec": {
            "group": BIG_PEER.group,
            "names": {
                "kind": BIG_PEER.kind,
                "listKind": f"{BIG_PEER.kind}List",
                "plural": PLURAL,
                "singular": BIG_PEER.kind.lower(),
                "shortNames": ["bp"],
                "categories": ["smbp"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": BIG_PEER.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": object_schema()},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.subscriptions.replicas",
                            "statusReplicasPath": ".status.subscriptions.replicas",
                            "labelSelectorPath": ".status.subscriptions.selector",
                        },
                    },
                    "additionalPrinterColumns": [dict(column) for column in PRINTER_COLUMNS],
                }
            ],
        },
    }


def object_schema() -> Schema:
    """Return the structural schema of a whole BigPeer."""
    validations = _validations()
    schema = {
        "type": "object",
        "description": one_line(BigPeer.__doc__ or ""),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of the schema."},
            "kind": {"type": "string", "description": "Kind of the object."},
            # The name appears so that rules can blame it; the server knows its type anyway.
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": structural_schema(BigPeerSpec, validations, defaults=True),
            "status": structural_schema(BigPeerStatus, validations, defaults=False),
        },
        "x-kubernetes-validations": validations[BigPeer.__name__],
    }
    # Rules and lists are shared between the places that use a model; a copy through JSON shares
    # nothing, so that YAML needs no anchors and callers may change what they get.
    return cast("Schema", json.loads(json.dumps(schema)))


def _validations() -> Mapping[str, Sequence[Schema]]:
    """Return the rules as `x-kubernetes-validations`, by the name of the model they are about."""
    grouped: defaultdict[str, list[Schema]] = defaultdict(list)
    for rule in RULES:
        grouped[rule.model.__name__].append(
            {
                "rule": rule.cel,
                "message": rule.message,
                "fieldPath": f".{rule.field}",
                "reason": rule.violation.value,
            }
        )
    return dict(grouped)


def to_yaml(manifest: Manifest) -> str:
    """Return the manifest as YAML with sorted keys, so that equal manifests give equal text."""
    return yaml.safe_dump(manifest, sort_keys=True, width=100, allow_unicode=True)
