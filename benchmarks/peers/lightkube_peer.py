"""lightkube: a list of a generic resource into a dict, then its watch.

It has no controller: nothing here queues or reconciles.
"""

from lightkube import AsyncClient
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User
from lightkube.generic_resource import create_namespaced_resource

from benchmarks.access import Access
from benchmarks.parcel import GROUP, KIND, PLURAL, VERSION
from benchmarks.subjects.meter import Meter
from benchmarks.subjects.outcome import Outcome, Task, outcome

_PAGE = 500


async def listed_and_watched(task: Task, meter: Meter) -> Outcome:
    """List all objects; with events, replace them until the last one changed."""
    parcels = create_namespaced_resource(GROUP, VERSION, KIND, PLURAL)
    client = AsyncClient(config=_configuration(task.reach()), trust_env=False)
    if not task.events:
        with meter:
            objects = {
                (each.metadata.namespace, each.metadata.name): each
                async for each in client.list(parcels, namespace="*", chunk_size=_PAGE)
            }
        return outcome((name, each.metadata.resourceVersion) for (_, name), each in objects.items())
    listing = client.list(parcels, namespace="*", chunk_size=_PAGE)
    objects = {(each.metadata.namespace, each.metadata.name): each async for each in listing}
    with meter:
        print("ready", flush=True)
        stream = client.watch(parcels, namespace="*", resource_version=listing.resourceVersion)
        async for _, each in stream:
            objects[each.metadata.namespace, each.metadata.name] = each
            if each.metadata.name == task.last:
                break
    return Outcome(task.events)


def _configuration(access: Access) -> SingleConfig:
    authority, certificate, key = (
        None if path is None else str(path)
        for path in (access.authority, access.certificate, access.key)
    )
    return SingleConfig(
        context_name="benchmark",
        context=Context(cluster="benchmark", user="benchmark"),
        cluster=Cluster(server=access.server, certificate_auth=authority),
        user=User(client_cert=certificate, client_key=key),
    )
