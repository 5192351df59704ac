"""hack/deploy.py and config/ on a real control plane whose nodes are played by the node agent."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from smbpctl.cli.render import render
from smbpctl.reconcilers.access import policy_rules
from smbpctl.resources.permissions import NAME, NAMESPACE
from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.simulation.agents import Failure, FailureRule
from smbpctl.runtime.simulation.controlplane import Binaries, ControlPlane
from test.controlplane.bigpeer.stage import Nodes, Operator
from test.support.conversation import sample, wait_for

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "install.md"
SAMPLES = sorted((ROOT / "config" / "samples").glob("*.yaml"))
CRD = "bigpeers.smbpctl.dev"
IMAGE = "registry.test/smbpctl/manager"
FINALIZER = "smbpctl.dev/transaction-log"
OBJECTS = (
    f"namespace/{NAMESPACE}",
    f"customresourcedefinition/{CRD}",
    f"serviceaccount/{NAME}",
    f"clusterrole/{NAME}",
    f"clusterrolebinding/{NAME}",
    f"role/{NAME}",
    f"rolebinding/{NAME}",
    f"deployment/{NAME}",
)
PRIVILEGED = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "privileged", "namespace": NAMESPACE},
    "spec": {
        "containers": [{"name": "one", "image": "x", "securityContext": {"privileged": True}}]
    },
}


@pytest.fixture(scope="module")
def control_plane(
    binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """A control plane whose CRD comes and goes with these tests."""
    with ControlPlane(binaries, tmp_path_factory.mktemp("deploy-controlplane")) as made:
        yield made


@pytest.fixture(scope="module")
def nodes(control_plane: ControlPlane) -> Iterator[Nodes]:
    """Nodes on which pods become ready, unless they are told to fail."""
    with Nodes(control_plane) as made:
        yield made


@dataclass
class Site:
    """A cluster, and hack/deploy.py as people run it: a bare interpreter and kubectl."""

    control_plane: ControlPlane
    nodes: Nodes
    home: Path

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script against the control plane."""
        command = [sys.executable, "-IS", str(ROOT / "hack" / "deploy.py"), *arguments]
        environment = {
            "PATH": str(self.control_plane.binaries.kubectl.parent),
            "KUBECONFIG": str(self.control_plane.kubeconfig),
            "HOME": str(self.home),
        }
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def up(self, *arguments: str, image: str = f"{IMAGE}:1") -> str:
        """Deploy, which must succeed; return what was said."""
        ran = self.deploy("up", "--image", image, "--timeout", "60", *arguments)
        assert ran.returncode == 0, ran.stderr
        assert "Warning" not in ran.stderr
        return ran.stdout

    def get(self, *what: str, namespace: str = NAMESPACE) -> Manifest:
        """Return an object or a list, empty when it does not exist."""
        command = ("get", *what, "-n", namespace, "--ignore-not-found", "-o", "json")
        text = self.control_plane.kubectl(*command).stdout
        return json.loads(text) if text.strip() else {}

    def present(self) -> list[str]:
        """Return which of the deployed objects exist."""
        return [each for each in OBJECTS if self.get(each)]

    def pods(self) -> list[Manifest]:
        """Return the operator's pods."""
        items: list[Manifest] = self.get("pods", "-l", "app.kubernetes.io/name=smbpctl")["items"]
        return items

    def container(self) -> Manifest:
        """Return the container of the Deployment's template."""
        template: Manifest = self.get(f"deployment/{NAME}")["spec"]["template"]
        made: Manifest = template["spec"]["containers"][0]
        return made

    def apply(self, *manifests: Manifest) -> str:
        """Apply as an administrator; return what the server warns of."""
        text = yaml.safe_dump_all(manifests)
        return self.control_plane.kubectl("apply", "--server-side", "-f", "-", stdin=text).stderr

    def versions(self) -> dict[str, str]:
        """Return the resourceVersion of each deployed object."""
        return {each: self.get(each)["metadata"]["resourceVersion"] for each in OBJECTS}

    def settled(self) -> None:
        """Wait until the Deployment controller has written the last of its status."""

        def complete() -> bool:
            conditions = self.get(f"deployment/{NAME}")["status"]["conditions"]
            return any(each["reason"] == "NewReplicaSetAvailable" for each in conditions)

        wait_for("the Deployment's status", complete)


@pytest.fixture(scope="module", autouse=True)
def _quiet_nodes() -> Iterator[None]:
    """The nodes' debug lines would bury what a failing test has to say."""
    warnings = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=warnings)
    yield
    structlog.reset_defaults()


@pytest.fixture
def site(control_plane: ControlPlane, nodes: Nodes, tmp_path: Path) -> Iterator[Site]:
    """The site, and no failures left behind."""
    yield Site(control_plane, nodes, tmp_path)
    nodes.failures.clear()


def test_a_second_deploy_changes_nothing(site: Site) -> None:
    """Deployed, everything exists and is ready; the same again writes nothing at all."""
    first = site.up()
    site.settled()
    before = site.versions()

    second = site.up()

    assert "the operator is ready" in first
    assert "the operator is ready" in second
    assert site.versions() == before


def test_admission_takes_the_pod(site: Site) -> None:
    """The Deployment's pod passes the `restricted` profile; a privileged one does not."""
    site.up()

    refused = site.control_plane.kubectl(
        "create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(PRIVILEGED), check=False
    )

    (pod,) = site.pods()
    assert pod["spec"]["serviceAccountName"] == NAME
    assert "runAsUser" not in json.dumps(pod)
    events = site.get("events")["items"]
    assert "FailedCreate" not in {event["reason"] for event in events}
    assert 'violates PodSecurity "restricted:latest"' in refused.stderr


def test_an_upgrade_in_place(site: Site) -> None:
    """Another image replaces the pod; settings last until the next deploy; BigPeers stay."""
    site.up("--set", "SMBPCTL_IMAGE_PREFIX=registry.test/a b")
    site.apply(sample("default"))
    uid = site.get("bigpeer/demo", namespace="default")["metadata"]["uid"]
    (old,) = site.pods()
    first = site.container()

    site.up(image=f"{IMAGE}:2")

    second = site.container()
    (new,) = site.pods()
    prefix = {"name": "SMBPCTL_IMAGE_PREFIX", "value": "registry.test/a b"}
    assert prefix in first["env"]
    assert prefix not in second["env"]
    assert (first["image"], second["image"]) == (f"{IMAGE}:1", f"{IMAGE}:2")
    assert new["spec"]["containers"][0]["image"] == f"{IMAGE}:2"
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert site.get("bigpeer/demo", namespace="default")["metadata"]["uid"] == uid
    site.control_plane.kubectl("delete", "bigpeer/demo", "-n", "default")


def test_plain_kubectl_and_the_script_take_turns(site: Site) -> None:
    """Whoever applied config/default by hand can go on with the script: no conflict."""
    site.control_plane.kubectl("apply", "--server-side", "-k", str(ROOT / "config" / "default"))
    by_hand = site.container()["image"]

    site.up(image=f"{IMAGE}:3")

    assert by_hand.startswith("smbpctl/manager:")
    assert site.container()["image"] == f"{IMAGE}:3"


def test_what_others_changed_is_named_and_kept(site: Site) -> None:
    """A field that somebody else took over is not overwritten, unless that is asked for."""
    site.up()
    site.control_plane.kubectl("set", "image", f"deployment/{NAME}", "-n", NAMESPACE, "manager=x:9")

    refused = site.deploy("up", "--image", f"{IMAGE}:2")
    kept = site.container()["image"]
    site.up("--force-conflicts", image=f"{IMAGE}:2")

    assert refused.returncode == 1
    assert 'conflict with "kubectl-set"' in refused.stderr
    assert kept == "x:9"
    assert site.container()["image"] == f"{IMAGE}:2"


def test_an_image_that_cannot_be_pulled_is_named(site: Site) -> None:
    """The pod and its reason are shown; the right image mends it."""
    site.up()
    site.nodes.failures.add(FailureRule(Failure.IMAGE_PULL, image="*:broken"))

    ran = site.deploy("up", "--image", f"{IMAGE}:broken", "--timeout", "5")
    site.up()

    assert ran.returncode == 1
    assert "the operator is not ready" in ran.stderr
    assert re.search(rf"pod {NAME}-\S+: (ErrImagePull|ImagePullBackOff)", ran.stderr)


def test_pods_that_admission_refuses_are_told(site: Site) -> None:
    """A Deployment without any pod says why: here a quota."""
    site.up()
    quota: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "spec": {"hard": {"pods": 0}},
    }
    quota["metadata"] = {"name": "none", "namespace": NAMESPACE}
    site.apply(quota)
    counted = ("quota none", lambda: site.get("resourcequota/none").get("status", {}).get("hard"))
    wait_for(*counted)

    ran = site.deploy("up", "--image", f"{IMAGE}:2", "--timeout", "5")
    site.control_plane.kubectl("delete", "resourcequota/none", "-n", NAMESPACE)

    assert ran.returncode == 1
    assert f"deployment {NAME}: FailedCreate:" in ran.stderr
    assert "exceeded quota: none" in ran.stderr


def test_the_account_may_do_what_the_rules_say(site: Site) -> None:
    """By the server's own account: the declared rules, and what every account may ask itself."""
    site.up()
    token = site.control_plane.service_account_kubeconfig(NAMESPACE, NAME)
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "default"},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"

    answer = site.control_plane.kubectl(
        "create", "--raw", path, "-f", "-", stdin=json.dumps(review), kubeconfig=token
    )
    questions = ("get secrets", "patch bigpeers", "create pods", "delete bigpeers")
    allowed = [_may(site, token, question) for question in questions]

    rules = json.loads(answer.stdout)["status"]["resourceRules"]
    about_itself = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
    theirs = [rule for rule in rules if about_itself.isdisjoint(rule["resources"])]
    assert _in_order(theirs) == _in_order(policy_rules())
    assert allowed == [True, True, False, False]


def _in_order(rules: list[Manifest]) -> list[str]:
    return sorted(json.dumps(rule, sort_keys=True) for rule in rules)


def _may(site: Site, token: Path, question: str) -> bool:
    command = ("auth", "can-i", *question.split(), "--namespace=default")
    return site.control_plane.kubectl(*command, kubeconfig=token, check=False).returncode == 0


def test_the_guides_rights_for_one_namespace(site: Site, tmp_path: Path) -> None:
    """The guide's own files: the operator becomes ready and serves there, without other rights."""
    kustomization, rights = _guide("ClusterRoleBinding\n")
    folder = tmp_path.resolve()
    base = os.path.relpath(ROOT / "config" / "default", folder)
    (folder / "kustomization.yaml").write_text(
        kustomization.replace("smbpctl/config/default", base)
    )
    (folder / "rights.yaml").write_text(rights)
    site.up()
    site.control_plane.kubectl("delete", f"clusterrolebinding/{NAME}")
    site.control_plane.kubectl("create", "namespace", "team-a")
    site.control_plane.kubectl("apply", "--server-side", "-k", str(folder))
    token = site.control_plane.service_account_kubeconfig(NAMESPACE, NAME)
    watched = site.container()["env"]
    site.apply(sample("team-a"), sample("default"))

    with Operator(token, tmp_path / "log", ("--namespace", "team-a")):
        peer = wait_for("a verdict", lambda: _verdict(site, "team-a"))

    assert {"name": "SMBPCTL_NAMESPACE", "value": "team-a"} in watched
    assert peer["status"] == "True"
    assert "status" not in site.get("bigpeer/demo", namespace="default")
    assert not _may(site, token, "get secrets")
    site.control_plane.kubectl("delete", "bigpeer/demo", "-n", "default")
    site.control_plane.kubectl("delete", "-k", str(folder))
    site.control_plane.kubectl("delete", "namespace", "team-a", "--wait=false")


def _guide(word: str) -> tuple[str, str]:
    """Return the two files in the guide that are about a word."""
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    kustomization, rights = [block for block in blocks if word in block]
    return kustomization, rights


def _verdict(site: Site, namespace: str) -> Manifest | None:
    conditions = (
        site.get("bigpeer/demo", namespace=namespace).get("status", {}).get("conditions", [])
    )
    return next((each for each in conditions if each["type"] == "VersionSupported"), None)


def test_undeploy_refuses_while_there_are_big_peers(site: Site) -> None:
    """They would go with their CRD: each is named, and nothing is removed."""
    site.up()
    site.apply(sample("default", "one"), sample("default", "two"))

    refused = site.deploy("down")

    assert refused.returncode == 1
    assert "default/one\n" in refused.stderr
    assert "default/two\n" in refused.stderr
    assert "FORCE=1" in refused.stderr
    assert site.present() == list(OBJECTS)
    site.control_plane.kubectl("delete", "bigpeers", "--all", "-n", "default")


def test_forced_undeploy_waits_for_the_operator(site: Site, tmp_path: Path) -> None:
    """With nobody to take the finalizer off it says so and stops; with the operator all is gone."""
    site.up()
    held = sample("default")
    held["metadata"]["finalizers"] = [FINALIZER]
    site.apply(held, sample("default", "free"))
    token = site.control_plane.service_account_kubeconfig(NAMESPACE, NAME)
    site.control_plane.kubectl("delete", f"deployment/{NAME}", "-n", NAMESPACE)

    in_vain = site.deploy("down", "--force", "--timeout", "2")
    left = site.present()
    with Operator(token, tmp_path / "log"):
        done = site.deploy("down", "--force", "--timeout", "60")
    again = site.deploy("down")

    assert in_vain.returncode == 1
    assert f"default/demo (being deleted, held by {FINALIZER})" in in_vain.stderr
    assert "default/free" not in in_vain.stderr
    assert "The operator does not run" in in_vain.stderr
    assert set(OBJECTS) - set(left) == {f"deployment/{NAME}"}
    assert done.returncode == 0, done.stderr
    assert site.present() == []
    assert again.returncode == 0, again.stderr


def test_undeploy_without_big_peers(site: Site) -> None:
    """Without BigPeers no force is needed; the pod ends before the operator's rights do."""
    site.up()

    ran = site.deploy("down", "--timeout", "90")

    assert ran.returncode == 0, ran.stderr
    assert site.present() == []
    order = [line.split('"')[1] for line in ran.stdout.splitlines() if '"' in line]
    assert order[:2] == [NAME, CRD]


@pytest.fixture
def warning_namespace(site: Site) -> str:
    """A namespace in which the server warns of whatever does not pass `restricted`."""
    name = "warned"
    labels = {"pod-security.kubernetes.io/warn": "restricted"}
    metadata = {"name": name, "labels": labels}
    site.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    return name


def _workloads(path: Path, namespace: str) -> list[Manifest]:
    document = yaml.safe_load(path.read_text())
    document["metadata"]["namespace"] = namespace
    objects = render(document)
    return [each for each in objects if each["kind"] in {"StatefulSet", "Deployment"}]


def _warnings(site: Site, workload: Manifest) -> str:
    command = ("apply", "--server-side", "--dry-run=server", "-f", "-")
    return site.control_plane.kubectl(*command, stdin=json.dumps(workload)).stderr


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_pods_of_a_big_peer_pass_the_profile(
    site: Site, warning_namespace: str, path: Path
) -> None:
    """No workload that is rendered leads to a warning of Pod Security, a careless one does."""
    workloads = _workloads(path, warning_namespace)

    warnings = {each["metadata"]["name"]: _warnings(site, each) for each in workloads}
    careless = workloads[0]
    careless["spec"]["template"]["spec"]["hostNetwork"] = True

    assert len(workloads) >= 4
    assert set(warnings.values()) == {""}
    assert "would violate PodSecurity" in _warnings(site, careless)
