"""Pod templates: what every component's pod has in common, under the restricted profile."""

from typing import Final

from smbpctl.api.v1alpha1 import BigPeer, ResourcesSpec
from smbpctl.operand import contract
from smbpctl.operand.contract import Component
from smbpctl.resources import naming
from smbpctl.resources.inputs import Inputs
from smbpctl.runtime.meta import Manifest, metadata_of

# A recovering store replays its log before it serves: it gets ten minutes before liveness counts.
# Asked every second, because a probe that comes just too early costs a whole period of readiness.
_STARTUP: Final[Manifest] = {"periodSeconds": 1, "failureThreshold": 600, "timeoutSeconds": 5}
_LIVENESS: Final[Manifest] = {"periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5}
_READINESS: Final[Manifest] = {"periodSeconds": 5, "failureThreshold": 2, "timeoutSeconds": 5}

# Until every node has taken an ending pod out of its Services, requests still arrive there.
_LEAVING_SECONDS: Final = 5

TERMINATION_GRACE_SECONDS: Final = 60


def pod_template(
    peer: BigPeer, component: Component, inputs: Inputs, *, partition: int | None = None
) -> Manifest:
    """Return the pod template of a component, labelled with the hash of its own content.

    The hash is the component's revision: it changes when, and only when, pods must be replaced.
    """
    spec = _pod_spec(peer, component, partition, inputs)
    identity = {
        **naming.labels(peer, component, partition),
        naming.LABEL_VERSION: peer.spec.version,
    }
    annotations = {
        f"{naming.DOMAIN}/tls-digest": inputs.tls_digest,
        f"{naming.DOMAIN}/log-digest": inputs.log_digest,
    }
    revision = naming.digest([spec, identity, annotations])
    return {
        "metadata": {
            "labels": {**identity, naming.LABEL_REVISION: revision},
            "annotations": annotations,
        },
        "spec": spec,
    }


def revision_of(template: Manifest) -> str:
    """Return the revision that a pod template, or a pod's manifest, is labelled with."""
    labels: dict[str, str] | None = metadata_of(template).get("labels")
    return (labels or {}).get(naming.LABEL_REVISION, "")


def _pod_spec(
    peer: BigPeer, component: Component, partition: int | None, inputs: Inputs
) -> Manifest:
    volumes = _volumes(peer)
    spec: Manifest = {
        "serviceAccountName": naming.name_of(peer, component),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": TERMINATION_GRACE_SECONDS,
        "securityContext": _pod_security(component, inputs),
        "topologySpreadConstraints": _spread(peer, component, partition),
        "containers": [_container(peer, component, inputs)],
        "volumes": volumes,
    }
    if peer.spec.image.pull_secrets:
        spec["imagePullSecrets"] = [{"name": ref.name} for ref in peer.spec.image.pull_secrets]
    return spec


def _pod_security(component: Component, inputs: Inputs) -> Manifest:
    security: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if component is Component.STORE and inputs.file_system_group is not None:
        security["fsGroup"] = inputs.file_system_group
        security["fsGroupChangePolicy"] = "OnRootMismatch"
    return security


def _spread(peer: BigPeer, component: Component, partition: int | None) -> list[Manifest]:
    """Prefer other zones, then other hosts; never refuse to schedule for it.

    Members are spread partition by partition: counted all together, two of one partition may
    share a host that holds fewer of the others, and go down with it.
    """
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": naming.selector(peer, component, partition)},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def _container(peer: BigPeer, component: Component, inputs: Inputs) -> Manifest:
    operand = contract.COMPONENTS[component]
    container: Manifest = {
        "name": operand.container,
        "image": f"{inputs.image_prefix}/{operand.image}:{peer.spec.version}",
        "imagePullPolicy": peer.spec.image.pull_policy.value,
        "ports": [{"name": "http", "containerPort": operand.port, "protocol": "TCP"}],
        "env": _environment(peer, component),
        "volumeMounts": _mounts(component),
        "startupProbe": _probe(contract.PATH_LIVE, _STARTUP),
        "livenessProbe": _probe(contract.PATH_LIVE, _LIVENESS),
        "readinessProbe": _probe(contract.PATH_READY, _READINESS),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if component is not Component.STORE:
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": _LEAVING_SECONDS}}}
    resources = _resources(_requirements(peer, component))
    if resources:
        container["resources"] = resources
    return container


def _requirements(peer: BigPeer, component: Component) -> ResourcesSpec:
    by_component = {
        Component.STORE: peer.spec.store.resources,
        Component.API: peer.spec.api.resources,
        Component.SUBSCRIPTION: peer.spec.subscriptions.resources,
        Component.AUTH: peer.spec.auth.resources,
    }
    return by_component[component]


def _resources(requirements: ResourcesSpec) -> Manifest:
    wanted = {"requests": dict(requirements.requests), "limits": dict(requirements.limits)}
    return {kind: amounts for kind, amounts in wanted.items() if amounts}


def _probe(path: str, timing: Manifest) -> Manifest:
    return {"httpGet": {"path": path, "port": "http", "scheme": "HTTP"}, **timing}


def _environment(peer: BigPeer, component: Component) -> list[Manifest]:
    def field(name: str, path: str) -> Manifest:
        return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}

    environment: list[Manifest] = [
        field(contract.ENV_POD_NAME, "metadata.name"),
        field(contract.ENV_POD_NAMESPACE, "metadata.namespace"),
        {"name": contract.ENV_PEER, "value": peer.name},
        {"name": contract.ENV_COMPONENT, "value": component.value},
    ]
    if component is Component.STORE:
        path = f"metadata.labels['{naming.LABEL_PARTITION}']"
        environment.append(field(contract.ENV_PARTITION, path))
    return environment


def _mounts(component: Component) -> list[Manifest]:
    mounts: list[Manifest] = [
        {"name": "topology", "mountPath": contract.DIR_TOPOLOGY, "readOnly": True},
        {"name": "ca", "mountPath": contract.DIR_TLS_CA, "readOnly": True},
        {"name": "in-band", "mountPath": contract.DIR_TLS_IN_BAND, "readOnly": True},
        {"name": "jwt", "mountPath": contract.DIR_TLS_JWT, "readOnly": True},
        {"name": "log", "mountPath": contract.DIR_TRANSACTION_LOG, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    if component is Component.STORE:
        mounts.append({"name": naming.DATA_VOLUME, "mountPath": contract.DIR_DATA})
    return mounts


def _volumes(peer: BigPeer) -> list[Manifest]:
    # Directories, never subPath: a subPath mount is not refreshed when its source changes.
    return [
        {"name": "topology", "configMap": {"name": naming.topology_name(peer)}},
        {"name": "ca", "secret": {"secretName": naming.ca_secret(peer)}},
        {"name": "in-band", "secret": {"secretName": naming.in_band_secret(peer)}},
        {"name": "jwt", "secret": {"secretName": naming.jwt_secret(peer)}},
        {"name": "log", "secret": {"secretName": naming.connection_secret(peer)}},
        {"name": "tmp", "emptyDir": {}},
    ]
