"""Mirrors every ConfigMap labelled `mirror=true` into a Secret of the same name.

A Secret that is changed or deleted by hand is put right; taking the label away, or deleting the
ConfigMap, removes it. Run it against the current kubeconfig context, or in a pod.
"""

import asyncio
import base64

from smbpctl import runtime

CONFIG_MAP = runtime.GroupVersionKind("", "v1", "ConfigMap")
SECRET = runtime.GroupVersionKind("", "v1", "Secret")
MIRRORED = runtime.labels_equal({"mirror": "true"})
FIELD_OWNER = "example/mirror"


def secret_of(source: runtime.Manifest) -> runtime.Manifest:
    """Return the Secret that mirrors a ConfigMap."""
    name, namespace = source["metadata"]["name"], source["metadata"]["namespace"]
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in source.get("data", {}).items()}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}


class Mirror:
    """The reconciler: reads one ConfigMap and applies what should be there beside it."""

    def __init__(self, cache: runtime.Cache, applier: runtime.Applier) -> None:
        self._cache = cache
        self._applier = applier

    async def reconcile(self, request: runtime.Request) -> runtime.Result:
        """Bring the mirror of one ConfigMap up to date."""
        source = await self._cache.get(CONFIG_MAP, request.key)
        if source is None:
            return runtime.DONE  # the garbage collector takes its Secret
        mirrored = MIRRORED.matches(source["metadata"].get("labels"))
        wanted = [secret_of(source)] if mirrored else []
        await self._applier.apply_set(source, wanted, prune=[SECRET])
        return runtime.DONE


async def main() -> None:
    """Run until SIGTERM."""
    options = runtime.ManagerOptions(field_owners=frozenset({FIELD_OWNER}))
    async with runtime.Manager.from_config(await runtime.load_config(), options=options) as manager:
        client, cache = manager.client, manager.cache
        applier = runtime.Applier(client, cache, field_owner=FIELD_OWNER, domain="example.com")
        controller = runtime.builder.controller("mirror").owns(SECRET)
        labelled = runtime.predicate.label_selector(MIRRORED)
        controller.for_(CONFIG_MAP, labelled, form=runtime.Form.FULL)
        controller.build(manager, Mirror(cache, applier))
        await manager.run()


if __name__ == "__main__":
    asyncio.run(main())
