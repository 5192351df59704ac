"""What calls say of themselves: the beginning of every error message."""

from datetime import timedelta

import pytest

from smbpctl.runtime.client import GetCall, ListCall, RawCall, Verb, WatchCall, WriteCall
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey

POD = GroupVersionKind("", "v1", "Pod")
KEY = ObjectKey("shop", "a")
SECOND = timedelta(seconds=1)


def _write(verb: Verb, *, key: ObjectKey = KEY, name: str = "", subresource: str = "") -> WriteCall:
    return WriteCall(verb=verb, gvk=POD, key=key, body={}, name=name, subresource=subresource)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (GetCall(POD, KEY), "get Pod shop/a"),
        (GetCall(POD, KEY, "status"), "get Pod/status shop/a"),
        (ListCall(gvk=POD), "list Pod"),
        (ListCall(gvk=POD, namespace="shop"), "list Pod in shop"),
        (
            WatchCall(
                gvk=POD,
                namespace="shop",
                resource_version="",
                timeout=SECOND,
                read_timeout=SECOND,
            ),
            "watch Pod in shop",
        ),
        (_write(Verb.CREATE, key=ObjectKey("shop", ""), name="shop/a-"), "create Pod shop/a-"),
        (_write(Verb.PATCH, subresource="status"), "patch Pod/status shop/a"),
        (_write(Verb.EVICT, subresource="eviction"), "evict Pod shop/a"),
        (
            _write(Verb.DELETE_COLLECTION, key=ObjectKey("shop", "")),
            "delete selected Pod in shop",
        ),
        (RawCall("/readyz"), "get /readyz"),
        (RawCall("/apis/x", {}), "post /apis/x"),
    ],
)
def test_they_name_verb_kind_and_object(call: object, text: str) -> None:
    """As far as there is one."""
    assert str(call) == text


@pytest.mark.parametrize("verb", Verb)
def test_what_stores_content_needs_an_owner(verb: Verb) -> None:
    """Deletions and evictions store none."""
    without = {Verb.DELETE, Verb.DELETE_COLLECTION, Verb.EVICT}

    assert _write(verb).stores is (verb not in without)
