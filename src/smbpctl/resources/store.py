"""The store: one StatefulSet per partition, whose pods we replace ourselves."""

from typing import Final

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.operand.contract import Component
from smbpctl.resources import naming
from smbpctl.resources.inputs import Inputs
from smbpctl.resources.pods import pod_template
from smbpctl.runtime.meta import Manifest

FIRST_CONFIG_ID: Final = 1
"""The id of the configuration a BigPeer is born with."""


def store_statefulset(
    peer: BigPeer, inputs: Inputs, partition: int, *, claim_size: str
) -> Manifest:
    """Return the StatefulSet of a partition.

    `Parallel` because the policy is immutable and `OrderedReady` cannot leave a broken rollout;
    `OnDelete` because we decide which pod goes next; claims are always retained because the
    native policy deletes every claim at scale to zero. `claim_size` is the size the StatefulSet
    was made with: its claim templates are immutable, growth happens on the claims.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": naming.metadata(
            peer, naming.partition_name(peer, partition), Component.STORE, partition
        ),
        "spec": {
            "serviceName": naming.partition_name(peer, partition),
            "replicas": peer.spec.store.replicas,
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Retain",
                "whenScaled": "Retain",
            },
            "selector": {"matchLabels": naming.selector(peer, Component.STORE, partition)},
            "template": pod_template(peer, Component.STORE, inputs, partition=partition),
            "volumeClaimTemplates": [_claim_template(peer, partition, claim_size)],
        },
    }


def _claim_template(peer: BigPeer, partition: int, claim_size: str) -> Manifest:
    spec: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": claim_size}},
    }
    if peer.spec.store.storage.storage_class_name is not None:
        spec["storageClassName"] = peer.spec.store.storage.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": naming.DATA_VOLUME,
            "labels": {
                **naming.labels(peer, Component.STORE, partition),
                naming.LABEL_PEER_UID: peer.uid,
                naming.LABEL_CONFIG_ID: str(FIRST_CONFIG_ID),
            },
        },
        "spec": spec,
    }
