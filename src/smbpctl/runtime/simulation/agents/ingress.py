"""An ingress controller's outward side: a class of its own, and an address for every Ingress."""

from collections.abc import Mapping
from typing import Any, Final, cast, final

from smbpctl.runtime.backoff import ExponentialBackoff, ItemBackoff
from smbpctl.runtime.clock import Clock, Random
from smbpctl.runtime.cluster import Cluster
from smbpctl.runtime.controller import Controller
from smbpctl.runtime.handler import for_object
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, is_deleting
from smbpctl.runtime.metrics import Metrics
from smbpctl.runtime.reconcile import DONE, Request, Result
from smbpctl.runtime.source import KindSource
from smbpctl.runtime.workqueue import WorkQueue

INGRESS: Final = GroupVersionKind("networking.k8s.io", "v1", "Ingress")
INGRESS_CLASS: Final = GroupVersionKind("networking.k8s.io", "v1", "IngressClass")

FIELD_OWNER: Final = "ingress-agent"
CONTROLLER: Final = "smbpctl.dev/ingress-agent"
"""The `spec.controller` of the class that the agent serves."""


@final
class IngressAgent:
    """Gives every Ingress of its class one address, acting through the API alone.

    Nothing listens there: it is what the status of an Ingress says, not a data plane. It shares
    the `cluster` with whoever runs that cluster's cache.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        class_name: str,
        address: str,
        clock: Clock,
        random: Random,
        metrics: Metrics,
    ) -> None:
        self._cluster = cluster
        self._class_name = class_name
        self._address = address
        queue = WorkQueue[Request[ObjectKey]](
            "ingress-agent",
            clock=clock,
            backoff=ItemBackoff(ExponentialBackoff(), random),
            metrics=metrics.queue("ingress-agent"),
        )
        informer = cluster.cache.register(INGRESS)
        self._controller = Controller(
            "ingress-agent",
            self,
            sources=[KindSource(informer, for_object(), kind=str(INGRESS))],
            queue=queue,
            clock=clock,
            random=random,
            metrics=metrics.controller("ingress-agent"),
        )

    async def run(self) -> None:
        """Make the class, then serve it until cancelled."""
        ingress_class: Manifest = {
            "apiVersion": INGRESS_CLASS.api_version,
            "kind": INGRESS_CLASS.kind,
            "metadata": {"name": self._class_name},
            "spec": {"controller": CONTROLLER},
        }
        await self._cluster.client.apply(ingress_class, field_owner=FIELD_OWNER, force=True)
        await self._controller.run()

    async def reconcile(self, request: Request[ObjectKey]) -> Result:
        """Write the address into the status of an Ingress of the class."""
        ingress = await self._cluster.cache.get(INGRESS, request.key)
        if ingress is None or is_deleting(ingress):
            return DONE
        spec = cast("Mapping[str, Any]", ingress.get("spec") or {})
        if spec.get("ingressClassName") != self._class_name:
            return DONE
        wanted = {"loadBalancer": {"ingress": [{"ip": self._address}]}}
        if ingress.get("status") == wanted:
            return DONE
        await self._cluster.client.patch_merge(
            INGRESS, request.key, {"status": wanted}, field_owner=FIELD_OWNER, subresource="status"
        )
        return DONE
