"""The plain values beside the BigPeer that shape its objects; the same values, the same objects."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Inputs:
    """What the reconciler read or was told, reduced to what the objects depend on.

    `tls_digest` and `log_digest` are hashes of the Secret contents that members read at start;
    another digest is another revision. `operator_namespace` is where the operator's own pods run,
    empty when it runs outside the cluster. `file_system_group` owns the data volumes; None leaves
    it to the platform (OpenShift assigns one per namespace and refuses any other).
    """

    image_prefix: str
    operator_namespace: str = ""
    tls_digest: str = ""
    log_digest: str = ""
    file_system_group: int | None = None
