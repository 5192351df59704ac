"""The manifests in config/ fit each other and the code that they run."""

import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack import deploy
from smbpctl import __version__
from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.api.v1alpha1.schema import crd
from smbpctl.cli.run import add_to
from smbpctl.operand.contract import Component
from smbpctl.resources.inputs import Inputs
from smbpctl.resources.network_policies import network_policy
from smbpctl.resources.permissions import NAME, NAMESPACE, operator_permissions
from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.serving import DRAIN, parse_address
from smbpctl.settings import Settings
from test.support.bigpeers import external_peer

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
PARTS = ("crd", "rbac", "manager", "default")
ON_REQUEST = {"developer.yaml"}
"""Files that an administrator applies by name, where they are wanted."""


def load(path: str) -> Manifest:
    """Return the one document of a file below config/."""
    manifest: Manifest = yaml.safe_load((CONFIG / path).read_text())
    return manifest


@pytest.fixture(scope="module")
def deployment() -> Manifest:
    """The operator's Deployment."""
    return load("manager/manager.yaml")


@pytest.fixture(scope="module")
def pod(deployment: Manifest) -> Manifest:
    """Its pod's spec."""
    spec: Manifest = deployment["spec"]["template"]["spec"]
    return spec


@pytest.fixture(scope="module")
def container(pod: Manifest) -> Manifest:
    """Its only container."""
    (only,) = pod["containers"]
    made: Manifest = only
    return made


def keys(value: Any) -> Iterator[str]:
    """Yield every key of every mapping inside."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def test_the_tag_is_the_projects_version(container: Manifest) -> None:
    """The image is named once; its tag is the version in pyproject.toml and of the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (image,) = load("manager/kustomization.yaml")["images"]

    assert image == {"name": deploy.IMAGE, "newTag": project["version"]}
    assert project["version"] == __version__
    assert container["image"] == deploy.IMAGE


def test_names_are_those_of_the_account(deployment: Manifest, pod: Manifest) -> None:
    """The pod runs under the account that the generated rights are bound to."""
    assert deployment["metadata"]["name"] == pod["serviceAccountName"] == NAME == deploy.NAME
    assert deployment["metadata"]["namespace"] == NAMESPACE == deploy.NAMESPACE
    assert crd()["metadata"]["name"] == deploy.CRD


def test_the_token_is_mounted_by_the_pods_own_word(pod: Manifest) -> None:
    """The account gives no token to whoever forgets to refuse it; the operator asks for it."""
    account = operator_permissions([])[1]

    assert account["automountServiceAccountToken"] is False
    assert pod["automountServiceAccountToken"] is True


def test_variables_are_settings(container: Manifest) -> None:
    """Every variable is one that the operator reads: a wrong name would be ignored silently."""
    known = {f"SMBPCTL_{name.upper()}" for name in Settings.model_fields}

    assert {variable["name"] for variable in container["env"]} <= known


def test_the_command_exists(container: Manifest) -> None:
    """The image's entry point is `smbpctl`, the arguments are a subcommand without flags."""
    seen: list[str] = []

    class Registry:
        def add_parser(self, name: str, *, help: str) -> Any:
            seen.append(name)
            raise StopIteration

    with pytest.raises(StopIteration):
        add_to(Registry())

    assert container["args"] == seen


def test_probes_ask_where_the_operator_serves(container: Manifest) -> None:
    """The only port is that of the default probe address; each probe uses it by its name."""
    default: str = Settings.model_fields["probe_address"].default
    (port,) = container["ports"]

    assert port == {
        "name": "metrics",
        "containerPort": parse_address(default)[1],
        "protocol": "TCP",
    }
    for probe, path in (
        ("startupProbe", "/healthz"),
        ("livenessProbe", "/healthz"),
        ("readinessProbe", "/readyz"),
    ):
        assert container[probe]["httpGet"] == {"path": path, "port": "metrics"}


def test_the_pod_outlives_an_orderly_end(pod: Manifest) -> None:
    """SIGKILL comes after reconciles and answers had all the time that they may take."""
    grace: float = Settings.model_fields["graceful_shutdown_seconds"].default
    needed = timedelta(seconds=grace) + DRAIN

    assert timedelta(seconds=pod["terminationGracePeriodSeconds"]) > needed


def test_one_process_works_at_a_time(deployment: Manifest, container: Manifest) -> None:
    """The new pod may start beside the old one because only the holder of the Lease works."""
    rolling = {"maxSurge": 1, "maxUnavailable": 0}

    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
    assert {"name": "SMBPCTL_LEADER_ELECT", "value": "true"} in container["env"]


def test_the_posture_is_restricted(pod: Manifest, container: Manifest) -> None:
    """Non-root, no privileges, a read-only root, nothing to write to."""
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "volumes" not in pod


def test_the_platform_chooses_user_and_group(deployment: Manifest) -> None:
    """OpenShift assigns both from the namespace's range and refuses fixed ones."""
    assert {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"}.isdisjoint(keys(deployment))


def test_resources_are_bounded(container: Manifest) -> None:
    """Requests for both, a limit for memory, none for CPU."""
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert set(container["resources"]["limits"]) == {"memory"}


def test_the_selector_is_stable(deployment: Manifest) -> None:
    """The selector is immutable: exactly these two labels, and the pod carries them."""
    selector = deployment["spec"]["selector"]["matchLabels"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]

    assert selector == {
        "app.kubernetes.io/name": "smbpctl",
        "app.kubernetes.io/component": "manager",
    }
    assert selector.items() <= labels.items()


@pytest.mark.parametrize("component", list(Component))
def test_network_policies_let_the_operator_in(deployment: Manifest, component: Component) -> None:
    """The pod's labels are those by which a BigPeer's policies know the operator."""
    peer = BigPeer.parse({**external_peer(), "metadata": {"name": "demo", "namespace": "default"}})
    inputs = Inputs(image_prefix="images", operator_namespace=NAMESPACE)
    policy = network_policy(peer, inputs, component)
    assert policy is not None
    sources = [source for rule in policy["spec"]["ingress"] for source in rule.get("from", [])]

    (operator,) = [source for source in sources if "namespaceSelector" in source]

    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert operator["podSelector"]["matchLabels"].items() <= labels.items()
    namespace = {"kubernetes.io/metadata.name": NAMESPACE}
    assert operator["namespaceSelector"]["matchLabels"] == namespace


def test_the_namespace_enforces_the_restricted_profile() -> None:
    """Whatever is put into the operator's namespace must pass it, in its latest version."""
    labels = operator_permissions([])[0]["metadata"]["labels"]
    prefix = "pod-security.kubernetes.io/"

    assert {name.removeprefix(prefix): v for name, v in labels.items() if prefix in name} == {
        "enforce": "restricted",
        "enforce-version": "latest",
        "audit": "restricted",
        "audit-version": "latest",
        "warn": "restricted",
        "warn-version": "latest",
    }


@pytest.mark.parametrize("part", PARTS)
def test_a_kustomization_holds_all_of_its_folder(part: str) -> None:
    """No file lies beside a kustomization and is forgotten; every resource exists."""
    folder = CONFIG / part
    kustomization = load(f"{part}/kustomization.yaml")
    files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"} - ON_REQUEST

    resources = set(kustomization["resources"])

    assert {name for name in resources if "/" not in name} == files
    assert all((folder / name).exists() for name in resources)


@pytest.mark.parametrize("part", PARTS)
def test_no_transformer_touches_labels(part: str) -> None:
    """A labels transformer reaches selectors sooner or later, and those cannot be changed."""
    kustomization = load(f"{part}/kustomization.yaml")

    assert {"commonLabels", "labels", "namePrefix", "nameSuffix"}.isdisjoint(kustomization)


def test_default_is_everything() -> None:
    """The default is CRD, rights and manager, in that order."""
    assert load("default/kustomization.yaml")["resources"] == ["../crd", "../rbac", "../manager"]
