"""What the reconcilers are told about the operator itself: plain values, fixed at start."""

from dataclasses import dataclass
from typing import Final, final

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.api.v1alpha1.defaults import effective
from smbpctl.resources import naming
from smbpctl.resources.inputs import Inputs
from smbpctl.runtime.apply import Applier
from smbpctl.runtime.manager import Manager

FIELD_OWNERS: Final = frozenset(
    {"smbpctl/cluster", "smbpctl/networking", "smbpctl/tls", "smbpctl/transaction-log"}
)
"""The names under which the four reconcilers own fields; one each."""


def new_applier(manager: Manager, field_owner: str) -> Applier:
    """Return the applier of one reconciler."""
    return Applier(
        manager.client,
        manager.cache,
        field_owner=field_owner,
        domain=naming.DOMAIN,
        metrics=manager.metrics,
    )


@final
@dataclass(frozen=True, slots=True)
class Operator:
    """Settings that shape the objects of every BigPeer."""

    image_prefix: str
    namespace: str = ""
    file_system_group: int | None = None

    def inputs(
        self,
        peer: BigPeer,
        *,
        tls_digest: str = "",
        log_digest: str = "",
        platform_assigns_groups: bool = False,
    ) -> Inputs:
        """Return the plain values that the resource functions take for a BigPeer.

        `platform_assigns_groups` is set where the platform refuses a group of our choice.
        """
        return Inputs(
            image_prefix=effective(peer, image_prefix=self.image_prefix).image_prefix,
            operator_namespace=self.namespace,
            tls_digest=tls_digest,
            log_digest=log_digest,
            file_system_group=None if platform_assigns_groups else self.file_system_group,
        )
