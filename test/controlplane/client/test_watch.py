"""Watches of a real API server, in every mode that informers use, and what it refuses."""

import json
from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.client import Client
from smbpctl.runtime.errors import BadRequest, ServerError, TransportError
from smbpctl.runtime.meta import (
    GroupVersionKind,
    Manifest,
    ObjectKey,
    fields_equal,
    key_of,
    labels_equal,
)
from test.controlplane.client.world import (
    CONFIG_MAP,
    MINUTE,
    OWNER,
    POD,
    config_map,
    pod,
    read_events,
    thing,
)

SECONDS = timedelta(seconds=2)
FUTURE = "999999999999"


def _told(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (event["type"], event["object"]["metadata"]["name"])
        for event in events
        if event["type"] != "BOOKMARK"
    ]


async def _version(client: Client, gvk: GroupVersionKind, namespace: str) -> str:
    """Return the moment of a list."""
    pages = [page async for page in client.list_pages(gvk, namespace=namespace)]
    return str(json.loads(pages[-1])["metadata"]["resourceVersion"])


def _watched(namespace: str, name: str) -> Manifest:
    manifest = config_map(namespace, name)
    manifest["metadata"]["labels"] = {"watched": "yes"}
    return manifest


class TestFromAMoment:
    """A watch that follows a list."""

    async def test_goes_on_where_the_last_one_ended(self, client: Client, namespace: str) -> None:
        """From a list to a watch to the next watch, no event is lost or told twice."""
        scope: dict[str, Any] = {
            "namespace": namespace,
            "selector": labels_equal({"watched": "yes"}),
        }
        version = await _version(client, CONFIG_MAP, namespace)
        await client.create(_watched(namespace, "one"), field_owner=OWNER)
        await client.create(config_map(namespace, "unwatched"), field_owner=OWNER)

        first = await read_events(client, CONFIG_MAP, 1, resource_version=version, **scope)
        resumed = first[-1]["object"]["metadata"]["resourceVersion"]
        await client.create(_watched(namespace, "two"), field_owner=OWNER)
        await client.delete(CONFIG_MAP, ObjectKey(namespace, "one"))
        second = await read_events(
            client, CONFIG_MAP, 2, resource_version=resumed, metadata_only=True, **scope
        )

        assert _told(first + second) == [("ADDED", "one"), ("ADDED", "two"), ("DELETED", "one")]
        assert first[0]["object"]["kind"] == "ConfigMap"
        assert second[0]["object"]["kind"] == "PartialObjectMetadata"
        assert "data" not in second[0]["object"]

    async def test_an_object_that_leaves_the_selection_is_deleted(
        self, client: Client, namespace: str
    ) -> None:
        """As seen by this watch: its labels do not match any more."""
        version = await _version(client, CONFIG_MAP, namespace)
        created = await client.create(_watched(namespace, "one"), field_owner=OWNER)
        await client.patch_merge(
            CONFIG_MAP, key_of(created), {"metadata": {"labels": None}}, field_owner=OWNER
        )

        events = await read_events(
            client,
            CONFIG_MAP,
            2,
            namespace=namespace,
            selector=labels_equal({"watched": "yes"}),
            resource_version=version,
        )

        assert _told(events) == [("ADDED", "one"), ("DELETED", "one")]

    async def test_ends_when_the_server_was_told_to(self, client: Client, namespace: str) -> None:
        """Cleanly, with a bookmark at most."""
        version = await _version(client, CONFIG_MAP, namespace)

        events = await read_events(
            client,
            CONFIG_MAP,
            1,
            namespace=namespace,
            resource_version=version,
            timeout=timedelta(seconds=1),
        )

        assert _told(events) == []

    async def test_silence_is_noticed(self, client: Client, namespace: str) -> None:
        """Before the server ends the stream: a dead connection looks like this."""
        version = await _version(client, CONFIG_MAP, namespace)

        with pytest.raises(TransportError, match="no answer in time"):
            await read_events(
                client,
                CONFIG_MAP,
                1,
                namespace=namespace,
                resource_version=version,
                read_timeout=timedelta(milliseconds=300),
            )

    async def test_that_lies_ahead_it_waits(self, client: Client, namespace: str) -> None:
        """No error, and no events either: whoever does this hears nothing for ever."""
        await client.create(config_map(namespace), field_owner=OWNER)

        events = await read_events(
            client,
            CONFIG_MAP,
            1,
            namespace=namespace,
            resource_version=FUTURE,
            timeout=SECONDS,
        )

        assert events == []

    async def test_that_is_forgotten_is_gone(
        self, client: Client, things: GroupVersionKind
    ) -> None:
        """410, here as an event of type ERROR in a stream that began well."""
        async with client.watch(
            things, resource_version="1", timeout=MINUTE, read_timeout=MINUTE
        ) as chunks:
            event = json.loads(await anext(chunks))

        assert event["type"] == "ERROR"
        assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")

    @pytest.mark.parametrize("version", ["-5", "9" * 30, "abc"])
    async def test_that_is_none_is_refused(self, client: Client, version: str) -> None:
        """Before the stream begins, if not with the code one would expect."""
        with pytest.raises(ServerError, match="watch ConfigMap: resourceVersion: Invalid value"):
            await read_events(client, CONFIG_MAP, 1, resource_version=version)


class TestFromNow:
    """A watch that brings what there is first."""

    @pytest.mark.parametrize("version", ["", "0"])
    async def test_without_a_moment_everything_is_added(
        self, client: Client, namespace: str, version: str
    ) -> None:
        """In any order, and nothing tells where it ends."""
        await client.create(_watched(namespace, "one"), field_owner=OWNER)

        events = await read_events(
            client,
            CONFIG_MAP,
            1,
            namespace=namespace,
            selector=labels_equal({"watched": "yes"}),
            resource_version=version,
        )

        assert _told(events) == [("ADDED", "one")]

    @pytest.mark.parametrize("metadata_only", [False, True])
    async def test_a_list_as_a_stream_ends_with_a_bookmark(
        self, client: Client, namespace: str, metadata_only: bool
    ) -> None:
        """Which says so, at the moment of the list; changes follow it."""
        kind = "PartialObjectMetadata" if metadata_only else "ConfigMap"
        for name in ("one", "two"):
            await client.create(_watched(namespace, name), field_owner=OWNER)

        events = await read_events(
            client,
            CONFIG_MAP,
            9,
            namespace=namespace,
            selector=labels_equal({"watched": "yes"}),
            metadata_only=metadata_only,
            resource_version="",
            initial_events=True,
            timeout=SECONDS,
        )

        marked = next(event for event in events if event["type"] == "BOOKMARK")["object"]
        assert sorted(_told(events)) == [("ADDED", "one"), ("ADDED", "two")]
        assert marked["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(marked["metadata"]["resourceVersion"]) > 0
        assert {event["object"]["kind"] for event in events} == {kind}

    async def test_a_list_as_a_stream_from_the_future(self, client: Client) -> None:
        """Given up after some seconds, in the stream."""
        (event,) = await read_events(
            client, CONFIG_MAP, 1, resource_version=FUTURE, initial_events=True
        )

        assert (event["type"], event["object"]["reason"]) == ("ERROR", "Timeout")
        assert "Too large resource version" in event["object"]["message"]


class TestFields:
    """A watch of objects that have a field of a value."""

    async def test_every_kind_knows_the_name(self, client: Client, namespace: str) -> None:
        """One object is watched by it."""
        for name in ("one", "two"):
            await client.create(config_map(namespace, name), field_owner=OWNER)

        events = await read_events(
            client,
            CONFIG_MAP,
            9,
            namespace=namespace,
            fields=fields_equal({"metadata.name": "two"}),
            resource_version="",
            timeout=SECONDS,
        )

        assert _told(events) == [("ADDED", "two")]

    async def test_some_kinds_know_more(
        self, client: Client, namespace: str, things: GroupVersionKind
    ) -> None:
        """Pods their node, custom resources what their definition says."""
        await client.create(pod(namespace), field_owner=OWNER)
        for name, x in (("one", "a,b=c"), ("two", "d")):
            await client.create(thing(things, namespace, name, spec={"x": x}), field_owner=OWNER)

        pods = await client.list(
            POD, namespace=namespace, fields=fields_equal({"spec.nodeName": "none"})
        )
        events = await read_events(
            client,
            things,
            9,
            namespace=namespace,
            fields=fields_equal({"spec.x": "a,b=c"}),
            resource_version="",
            timeout=SECONDS,
        )

        assert pods == []
        assert _told(events) == [("ADDED", "one")]

    async def test_others_are_refused(self, client: Client) -> None:
        """With those that the kind knows."""
        with pytest.raises(BadRequest, match=r'only "metadata\.name", "metadata\.namespace"'):
            await read_events(
                client, CONFIG_MAP, 1, resource_version="", fields=fields_equal({"data.k": "v"})
            )
