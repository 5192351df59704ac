"""The Lease object as an election reads and writes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast, final

from smbpctl.runtime.meta import Manifest, metadata_of

RELEASED = timedelta(seconds=1)
"""The duration that a released Lease carries, as client-go writes it."""


@final
@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What one version of the Lease says; whatever is missing or malformed reads as empty.

    `renewed` and `acquired` are texts: they are compared for equality and shown, never taken for
    a time, because whose clock wrote them is not known.
    """

    holder: str
    duration: timedelta
    transitions: int
    acquired: str
    renewed: str
    version: str
    manifest: Manifest = field(repr=False, compare=False)

    @classmethod
    def of(cls, manifest: Manifest) -> "LeaseRecord":
        """Read a Lease."""
        spec = _mapping(manifest.get("spec"))
        return cls(
            holder=_text(spec.get("holderIdentity")),
            duration=timedelta(seconds=max(0, _number(spec.get("leaseDurationSeconds")))),
            transitions=_number(spec.get("leaseTransitions")),
            acquired=_text(spec.get("acquireTime")),
            renewed=_text(spec.get("renewTime")),
            version=_text(metadata_of(manifest).get("resourceVersion")),
            manifest=manifest,
        )

    @property
    def released(self) -> bool:
        """Tell whether its holder let go of it.

        An empty holder alone does not say so: somebody may have blanked it under a leader that
        still works.
        """
        return not self.holder and timedelta(0) < self.duration <= RELEASED

    @property
    def blank(self) -> bool:
        """Tell whether nothing says that anybody ever held it."""
        return not (self.holder or self.renewed)

    @property
    def order(self) -> int:
        """Return the resourceVersion as a number, larger for later ones; -1 when it is none."""
        return int(self.version) if self.version.isascii() and self.version.isdigit() else -1


@final
@dataclass(frozen=True, slots=True)
class Claim:
    """What a holder, or the one who lets go, writes into the Lease."""

    holder: str
    duration: timedelta
    transitions: int
    acquired: str
    renewed: str

    def onto(self, manifest: Manifest) -> Manifest:
        """Return the Lease with this claim; what else it carries stays, its version included."""
        spec = {
            **_mapping(manifest.get("spec")),
            "holderIdentity": self.holder,
            "leaseDurationSeconds": round(self.duration.total_seconds()),
            "leaseTransitions": self.transitions,
            "acquireTime": self.acquired,
            "renewTime": self.renewed,
        }
        return {**manifest, "spec": spec}


def new_lease(namespace: str, name: str) -> Manifest:
    """Return a Lease that nobody holds, to be claimed."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": namespace},
    }


def micro_time(moment: datetime) -> str:
    """Return a moment as Kubernetes writes a MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
