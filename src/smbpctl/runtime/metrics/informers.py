"""The metrics of informers: how much each holds, and when the server was last heard of."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol, final

from prometheus_client import CollectorRegistry, Counter, Gauge


class InformerStatus(Protocol):
    """What an informer tells when it is asked, at scrape time."""

    @property
    def synced(self) -> bool:
        """Tell whether the first list is complete."""
        ...

    def state_name(self) -> str:
        """Return the word for what it is doing, from a closed set."""
        ...

    def object_count(self) -> int:
        """Return how many objects the store holds."""
        ...

    def byte_count(self) -> int:
        """Return the size of the stored JSON in bytes."""
        ...

    def memory(self) -> int:
        """Return about how many bytes the store takes: JSON, metadata, tables and indexes."""
        ...

    def last_event_age(self) -> float:
        """Return the seconds since the server was last heard of; NaN before the first time."""
        ...


@final
class InformerMetrics:
    """The metrics of one informer; all but the relists are asked for at scrape time."""

    def __init__(self, families: "InformerFamilies", kind: str) -> None:
        self._families = families
        self._kind = kind

    def watch(self, status: InformerStatus, states: Iterable[str]) -> None:
        """Ask `status` at each scrape from now on, in place of any status watched before.

        `states` are all words that `state_name` can be.
        """
        families, kind = self._families, self._kind
        families.synced.labels(gvk=kind).set_function(lambda: float(status.synced))
        families.objects.labels(gvk=kind).set_function(lambda: float(status.object_count()))
        families.bytes.labels(gvk=kind).set_function(lambda: float(status.byte_count()))
        families.memory.labels(gvk=kind).set_function(lambda: float(status.memory()))
        families.last_event_age.labels(gvk=kind).set_function(status.last_event_age)
        for state in states:
            shown = families.state.labels(gvk=kind, state=state)
            shown.set_function(partial(_is_equal, status.state_name, state))

    def relisted(self, reason: str) -> None:
        """Count a complete list other than the first; `reason` is from a closed set of words."""
        self._families.relists.labels(gvk=self._kind, reason=reason).inc()


def _is_equal(ask: Callable[[], str], word: str) -> float:
    return float(ask() == word)


@final
class InformerFamilies:
    """The families that all informers of a registry share."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, help_text: str, *labels: str) -> Gauge:
            name = f"smbpctl_informer_{name}"
            return Gauge(name, help_text, ["gvk", *labels], registry=registry)

        self.synced: Gauge = gauge(
            "synced", "1 when the first list of the kind is complete, else 0."
        )
        self.state: Gauge = gauge(
            "state", "1 for what the informer is doing, 0 for the rest.", "state"
        )
        self.objects: Gauge = gauge("objects", "Objects of the kind in the cache.")
        self.bytes: Gauge = gauge("bytes", "Size of the cached JSON of the kind.")
        self.memory: Gauge = gauge(
            "memory_bytes", "Estimated memory of the kind's objects and indexes."
        )
        self.last_event_age: Gauge = gauge(
            "last_event_age_seconds", "Time since the server was last heard of for the kind."
        )
        self.relists: Counter = Counter(
            "smbpctl_informer_relists_total",
            "Complete lists of the kind other than the first.",
            ["gvk", "reason"],
            registry=registry,
        )
