"""Query strings and media types."""

from datetime import timedelta
from urllib.parse import parse_qs

import pytest

from smbpctl.runtime.client.query import (
    encoded,
    list_headers,
    list_query,
    watch_headers,
    watch_query,
)
from smbpctl.runtime.meta import LabelSelector, fields_equal, labels_equal


def test_empty_parameters_are_left_out() -> None:
    """An empty value and no value are not the same to the server."""
    assert encoded({"a": "", "b": "x y/z"}) == "b=x+y%2Fz"


def test_a_first_page_names_the_moment() -> None:
    """Limit, labels and resourceVersion."""
    query = list_query(
        page_size=7, selector=labels_equal({"a": "b"}), resource_version="5", token=""
    )

    assert parse_qs(query) == {"limit": ["7"], "labelSelector": ["a=b"], "resourceVersion": ["5"]}


def test_a_token_stands_for_the_moment() -> None:
    """The server refuses a resourceVersion beside it."""
    query = list_query(page_size=7, selector=None, resource_version="5", token="next+/=")

    assert parse_qs(query) == {"limit": ["7"], "continue": ["next+/="]}


def test_selecting_everything_sends_no_selector() -> None:
    """So does no selector at all."""
    everything = list_query(
        page_size=7, selector=LabelSelector.everything(), resource_version="", token=""
    )

    assert everything == "limit=7"


@pytest.mark.parametrize(("wanted", "seconds"), [(300.9, "300"), (0.2, "1")])
def test_a_watch_has_bookmarks_and_an_end(wanted: float, seconds: str) -> None:
    """Zero seconds would mean the server's choice."""
    query = watch_query(
        selector=labels_equal({"a": "b"}),
        resource_version="5",
        timeout=timedelta(seconds=wanted),
    )

    assert parse_qs(query) == {
        "watch": ["1"],
        "allowWatchBookmarks": ["true"],
        "labelSelector": ["a=b"],
        "resourceVersion": ["5"],
        "timeoutSeconds": [seconds],
    }


def test_a_list_as_a_stream_is_a_consistent_read() -> None:
    """The three parameters belong together; without a version nothing stale may be answered."""
    query = watch_query(
        selector=None,
        fields=fields_equal({"metadata.name": "a,b=c\\"}),
        resource_version="",
        initial_events=True,
        timeout=timedelta(seconds=60),
    )

    assert parse_qs(query) == {
        "watch": ["1"],
        "allowWatchBookmarks": ["true"],
        "sendInitialEvents": ["true"],
        "resourceVersionMatch": ["NotOlderThan"],
        "fieldSelector": ["metadata.name=a\\,b\\=c\\\\"],
        "timeoutSeconds": ["60"],
    }


def test_metadata_only_is_asked_by_media_type() -> None:
    """With a way out for servers that cannot."""
    asked = [
        list_headers(metadata_only=True)["Accept"],
        watch_headers(metadata_only=True)["Accept"],
    ]

    assert asked == [
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
    ]
    assert list_headers(metadata_only=False) == {"Accept": "application/json"}
