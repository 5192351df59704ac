"""Metrics as a manager has them, with a sample in every family, and how to read one."""

from smbpctl.runtime.meta import GroupVersionKind
from smbpctl.runtime.metrics import Metrics

CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")


class FakeQueue:
    """A queue with two ready keys and two running ones."""

    arrivals = 7
    retries = 3

    def depths(self) -> dict[int, int]:
        return {0: 2}

    def running_seconds(self) -> list[float]:
        return [1.5, 4.0]


class IdleQueue:
    """A queue to which nothing has happened."""

    arrivals = 0
    retries = 0

    def depths(self) -> dict[int, int]:
        return {}

    def running_seconds(self) -> list[float]:
        return []


class FakeInformer:
    """An informer in the middle of its life."""

    def __init__(self, age: float = 12.5) -> None:
        self.synced = True
        self._age = age

    def object_count(self) -> int:
        return 40

    def byte_count(self) -> int:
        return 5000

    def memory(self) -> int:
        return 9000

    def state_name(self) -> str:
        return "streaming"

    def last_event_age(self) -> float:
        return self._age


def in_use() -> Metrics:
    """Return metrics of which every family has a sample."""
    metrics = Metrics()
    metrics.controller("echo")
    metrics.queue("echo").watch(FakeQueue())
    informer = metrics.informer(CONFIG_MAP)
    informer.watch(FakeInformer(), ["listing", "streaming"])
    informer.relisted("expired")
    metrics.leader("echo")
    metrics.read_your_writes_waited("seen", 0.1)
    metrics.request("GET", "10.0.0.1:6443", 200)
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Return one sample, None when there is no such series."""
    return metrics.registry.get_sample_value(name, labels)
