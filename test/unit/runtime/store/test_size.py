"""The estimate of a store's memory is close to what it really takes."""

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from smbpctl.runtime.store import ObjectDecoder, Store
from test.support.list_watch import WIDGET, encode

OBJECTS = 1500


def pod_like(number: int) -> dict[str, Any]:
    """Return an object with labels and an owner of its own, and some content."""
    return {
        "metadata": {
            "name": f"web-{number:05}",
            "namespace": f"team-{number % 7}",
            "uid": f"0b1c7d2e-7a3f-4c3e-9a55-{number:012}",
            "resourceVersion": str(1_000_000 + number),
            "generation": 1,
            "labels": {"app": "web", "instance": f"web-{number:05}", "shard": str(number % 16)},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "Set", "name": "web", "uid": f"u-{number % 40}"}
            ],
        },
        "spec": {"text": "x" * (200 + number % 900)},
    }


def bare(number: int) -> dict[str, Any]:
    """Return an object with nothing but its name and version."""
    return {
        "metadata": {"name": f"n{number}", "uid": f"u-{number}", "resourceVersion": f"{number + 1}"}
    }


def owned(number: int) -> dict[str, Any]:
    """Return an object whose owner has no other child."""
    document = pod_like(number)
    document["metadata"]["ownerReferences"][0]["uid"] = f"owner-{number}"
    return document


def fill(store: Store, make: Callable[[int], dict[str, Any]], *, metadata_only: bool) -> None:
    """Put objects in, as an informer does."""
    decoder = ObjectDecoder(WIDGET, metadata_only=metadata_only)
    for number in range(OBJECTS):
        store.put(decoder.object(encode(make(number))))


@pytest.mark.parametrize("make", [pod_like, bare, owned])
@pytest.mark.parametrize("metadata_only", [False, True])
def test_the_estimate_is_within_a_fifth(
    make: Callable[[int], dict[str, Any]], metadata_only: bool
) -> None:
    """Of what the allocator was asked for, with a user's index as well."""
    warm = Store()
    fill(warm, make, metadata_only=metadata_only)
    del warm
    gc.collect()

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    store = Store()
    store.add_index("shard", lambda each: [(each.meta.labels or {}).get("shard", "none")])
    fill(store, make, metadata_only=metadata_only)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert len(store) == OBJECTS
    assert store.memory() == pytest.approx(taken, rel=0.2)


def test_an_emptied_store_takes_next_to_nothing() -> None:
    """What was counted when an object came is taken off when it goes, or changes."""
    store, decoder = Store(), ObjectDecoder(WIDGET)
    store.add_index("shard", lambda each: [(each.meta.labels or {}).get("shard", "none")])
    empty = store.memory()
    for number in range(500):
        document = pod_like(number)
        for version in (2 * number + 1, 2 * number + 2):
            document["metadata"]["resourceVersion"] = str(version)
            document["metadata"]["labels"] = {} if version % 2 else {"shard": "1"}
            store.put(decoder.object(encode(document)))

    full = store.memory()
    steps = store.replacing(store.listing(), "9", initial=False)
    assert sum(map(len, steps)) == 500

    assert full > 500 * 500
    assert store.bytes() == 0
    assert store.memory() < empty + 50_000
