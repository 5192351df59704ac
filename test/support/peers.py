"""BigPeers as models, one for each corner of the API that shapes the objects."""

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.resources.inputs import Inputs
from smbpctl.runtime.meta import Manifest
from test.support.bigpeers import an_exposure, edited, external_peer, strimzi_peer

UID = "11111111-2222-3333-4444-555555555555"
PLACED = {
    "metadata": {"name": "demo", "namespace": "shop", "uid": UID, "generation": 3},
}
INPUTS = Inputs(image_prefix="registry.test/server")
INPUTS_IN_CLUSTER = Inputs(
    image_prefix="registry.test/server",
    operator_namespace="smbpctl-system",
    tls_digest="tls",
    log_digest="log",
    file_system_group=65532,
)

SECRETS = {
    "type": "Secrets",
    "secrets": {
        "ca": {"name": "our-ca"},
        "inBand": {"name": "our-in-band"},
        "jwt": {"name": "jwt"},
    },
}
RESOURCES = {
    "requests": {"cpu": "500m", "memory": "1Gi"},
    "limits": {"memory": "2Gi"},
}


def a_manifest(edits: Manifest | None = None, *, base: Manifest | None = None) -> Manifest:
    """Return a BigPeer as the server gives it: minimal, certificates from cert-manager."""
    return edited({**(base or external_peer()), **PLACED}, edits or {})


def a_peer(edits: Manifest | None = None, *, base: Manifest | None = None) -> BigPeer:
    """Return the minimal BigPeer, with values replaced by path."""
    return BigPeer.parse(a_manifest(edits, base=base))


def a_strimzi_peer(edits: Manifest | None = None) -> BigPeer:
    """Return the minimal BigPeer whose log is a Kafka cluster of its own."""
    return a_peer(edits, base=strimzi_peer())


def a_production_peer() -> BigPeer:
    """Return a BigPeer that says something in every field that shapes objects."""
    web = an_exposure(
        "web",
        tls={"secretRef": {"name": "web-cert"}},
        annotations={"example.com/sticky": "true"},
        labels={"team": "edge"},
    )
    api = an_exposure("api", component="Api", tls={"mode": "None"}, hosts=["a.test", "b.test"])
    return a_peer(
        {
            "spec.image": {"prefix": "mirror.test/ditto", "pullSecrets": [{"name": "pull"}]},
            "spec.image.pullPolicy": "Always",
            "spec.store.partitions": 2,
            "spec.store.minimumReplicas": 1,
            "spec.store.storage": {"size": "100Gi", "storageClassName": "fast"},
            "spec.store.resources": RESOURCES,
            "spec.api": {"replicas": 3, "resources": RESOURCES},
            "spec.tls": SECRETS,
            "spec.exposure": [web, api],
            "spec.networkPolicy.clients": [
                {"namespaceSelector": {"matchLabels": {"edge": "true"}}},
                {"podSelector": {"matchLabels": {"app": "shop"}}},
            ],
        }
    )
