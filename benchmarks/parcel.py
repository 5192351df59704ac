"""The custom resource of the benchmarks, `Parcel`: its CRD, and parcels of a ConfigMap's size."""

from collections.abc import Sequence
from typing import Any, Final

GROUP: Final = "benchmarks.smbpctl.dev"
VERSION: Final = "v1"
KIND: Final = "Parcel"
PLURAL: Final = "parcels"
NAMESPACE: Final = "default"
"""The namespace of all parcels: the one that every cluster has."""

LIST_PATH: Final = f"/apis/{GROUP}/{VERSION}/{PLURAL}"
API_VERSION: Final = f"{GROUP}/{VERSION}"
MOMENT: Final = "2026-01-01T00:00:00Z"
"""When everything happened: equal runs give equal objects."""

_FEWEST_SETTINGS = 4
_SIZES = 24
_STRING = {"type": "string"}
_INTEGER = {"type": "integer"}


def crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition; its lists are maps, as in well-made APIs."""
    spec = _object(
        image=_STRING,
        replicas=_INTEGER,
        settings={"type": "object", "additionalProperties": _STRING},
        ports=_list_map("name", _object(name=_STRING, port=_INTEGER, protocol=_STRING)),
    )
    condition = _object(
        **dict.fromkeys(("type", "status", "reason", "message"), _STRING),
        lastTransitionTime={"type": "string", "format": "date-time"},
        observedGeneration=_INTEGER,
    )
    status = _object(
        observedGeneration=_INTEGER,
        readyReplicas=_INTEGER,
        conditions=_list_map("type", condition),
    )
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": _object(spec=spec, status=status)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": KIND, "plural": PLURAL, "singular": KIND.lower()},
            "versions": [version],
        },
    }


def name(number: int) -> str:
    """Return the name of the parcel of this number."""
    return f"parcel-{number:06}"


def parcel(number: int) -> dict[str, Any]:
    """Return the parcel of this number as its author writes it; sizes go round with the number."""
    settings = {
        f"section{index % 5}.option-{index:02}": f"value {number * 31 + index} of this option"
        for index in range(_FEWEST_SETTINGS + number % _SIZES)
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name(number),
            "namespace": NAMESPACE,
            "labels": {
                "app.kubernetes.io/name": "parcel",
                "app.kubernetes.io/instance": name(number),
                f"{GROUP}/shard": str(number % 16),
            },
            "annotations": {f"{GROUP}/purpose": "measures how fast a list is read"},
        },
        "spec": {
            "image": f"registry.example.com/parcels/server:1.{number % 40}.0",
            "replicas": 1 + number % 5,
            "settings": settings,
            "ports": [
                {"name": port, "port": 8000 + index, "protocol": "TCP"}
                for index, port in enumerate(("http", "metrics", "admin"))
            ],
        },
    }


def status(number: int) -> dict[str, Any]:
    """Return the status of a parcel as its controller applies it."""
    types: Sequence[str] = ("Available", "Progressing", "Degraded")
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name(number), "namespace": NAMESPACE},
        "status": {
            "observedGeneration": 1,
            "readyReplicas": 1 + number % 5,
            "conditions": [
                {
                    "type": kind,
                    "status": "True" if kind == "Available" else "False",
                    "reason": "AsExpected",
                    "message": f"{kind}: as far as can be seen, all is as it should be.",
                    "lastTransitionTime": MOMENT,
                    "observedGeneration": 1,
                }
                for kind in types
            ],
        },
    }


def served(number: int) -> dict[str, Any]:
    """Return a parcel as a server would serve it, without managedFields: for use without one."""
    written = parcel(number)
    written["metadata"] |= {
        "uid": f"00000000-0000-4000-8000-{number:012}",
        "resourceVersion": str(1000 + number),
        "generation": 1,
        "creationTimestamp": MOMENT,
    }
    return {**written, "status": status(number)["status"]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _list_map(key: str, items: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {**items, "required": [key]},
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": [key],
    }
