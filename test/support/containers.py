"""What a kubelet makes of a pod of the operand: variables and mounts, in a folder of the test's."""

from dataclasses import dataclass, field
from pathlib import Path

from smbpctl.api.v1alpha1 import BigPeer, effective
from smbpctl.operand import contract
from smbpctl.operand.contract import Component
from smbpctl.resources import naming
from smbpctl.resources.pods import pod_template
from smbpctl.resources.topology import topology
from smbpctl.runtime.meta import Manifest
from test.support.peers import INPUTS, a_peer

KEY_PAIR = {"tls.crt": "certificate", "tls.key": "key"}
LOG = {
    contract.LOG_BOOTSTRAP_SERVERS: "kafka.example.com:9092",
    contract.LOG_TOPIC: "log",
    contract.LOG_SECURITY_PROTOCOL: "PLAINTEXT",
}


@dataclass
class Kubelet:
    """Starts one container of a BigPeer's, as far as a container is what it is given.

    The first partition's member 1 where it is the store's, any pod otherwise. What the container
    gets comes from the pod template, so that a template that lacks something is found out.
    """

    root: Path
    component: Component = Component.STORE
    peer: BigPeer = field(default_factory=a_peer)

    @property
    def pod(self) -> str:
        """Return the pod's name."""
        if self.component is Component.STORE:
            return naming.member_name(self.peer, 0, 1)
        return f"{naming.name_of(self.peer, self.component)}-7d5c-x2x9z"

    def environment(self) -> dict[str, str]:
        """Return the variables, fields of the pod resolved, and the image's own."""
        labels = self._template()["metadata"]["labels"]
        fields = {"metadata.name": self.pod, "metadata.namespace": self.peer.namespace}
        fields |= {f"metadata.labels['{name}']": value for name, value in labels.items()}
        (container,) = self._template()["spec"]["containers"]
        resolved = {
            each["name"]: each["value"]
            if "value" in each
            else fields[each["valueFrom"]["fieldRef"]["fieldPath"]]
            for each in container["env"]
        }
        return {**resolved, "FAKE_VERSION": "1.64.0"}

    def mount(self) -> None:
        """Make every mount below the root, with what its source would hold."""
        (container,) = self._template()["spec"]["containers"]
        sources = {volume["name"]: volume for volume in self._template()["spec"]["volumes"]}
        for mount in container["volumeMounts"]:
            folder = self.folder(mount["mountPath"])
            folder.mkdir(parents=True)
            for name, text in self._content(sources.get(mount["name"], {})).items():
                (folder / name).write_text(text)

    def folder(self, path: str) -> Path:
        """Return where a path of the container is."""
        return self.root / path.lstrip("/")

    def _template(self) -> Manifest:
        partition = 0 if self.component is Component.STORE else None
        return pod_template(self.peer, self.component, INPUTS, partition=partition)

    def _content(self, volume: Manifest) -> dict[str, str]:
        if "configMap" in volume:
            document = topology(self.peer, effective(self.peer))
            assert volume["configMap"]["name"] == document["metadata"]["name"]
            return dict(document["data"])
        if "secret" in volume:
            log = volume["secret"]["secretName"] == naming.connection_secret(self.peer)
            return LOG if log else KEY_PAIR
        return {}
