"""The same list through kubernetes_asyncio's CustomObjectsApi, into a dict."""

from typing import Any, cast

from kubernetes_asyncio import client

from benchmarks.parcel import GROUP, PLURAL, VERSION
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task, outcome

_PAGE = 500


async def identity(task: Task, meter: Meter) -> Outcome:
    """List all objects, transferred uncompressed as the other subjects have it."""
    return await _listed(task, meter, {"Accept-Encoding": "identity"})


async def compressed(task: Task, meter: Meter) -> Outcome:
    """List all objects as the library does it by itself: it asks for gzip."""
    return await _listed(task, meter, {})


async def _listed(task: Task, meter: Meter, headers: dict[str, str]) -> Outcome:
    objects: dict[tuple[str, str], dict[str, Any]] = {}
    access = task.reach()
    configuration = client.Configuration(host=access.server)
    configuration.ssl_ca_cert = str(access.authority)
    configuration.cert_file = str(access.certificate)
    configuration.key_file = str(access.key)
    connection = client.ApiClient(configuration)
    async with connection:
        for name, value in headers.items():
            connection.set_default_header(name, value)
        api = client.CustomObjectsApi(connection)
        await _page(api, limit=1)  # opens the connection
        with meter:
            await _list(api, objects)
    return outcome(
        (name, each["metadata"]["resourceVersion"]) for (_, name), each in objects.items()
    )


async def _list(
    api: client.CustomObjectsApi, objects: dict[tuple[str, str], dict[str, Any]]
) -> None:
    token = ""
    while True:
        page = await _page(api, limit=_PAGE, _continue=token)
        for each in page["items"]:
            objects[each["metadata"]["namespace"], each["metadata"]["name"]] = each
        token = page["metadata"].get("continue", "")
        if not token:
            return


async def _page(api: client.CustomObjectsApi, **query: Any) -> dict[str, Any]:
    answer = await api.list_cluster_custom_object(GROUP, VERSION, PLURAL, **query)
    return cast("dict[str, Any]", answer)
