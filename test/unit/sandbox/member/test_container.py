"""Tests of what a container must be given: complete it starts, else what lacks is named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from smbpctl.operand import contract
from smbpctl.operand.contract import COMPONENTS, Component
from smbpctl.operand.members import Configuration, MemberAddress, Topology
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.sandbox.member.container import Container, read_container
from test.support.containers import Kubelet


def kubelet(root: Path, component: Component = Component.STORE) -> Kubelet:
    """Return a kubelet that has made all mounts."""
    made = Kubelet(root, component)
    made.mount()
    return made


def refusal(made: Kubelet, **changed: str | None) -> str:
    """Return why a container with changed variables is refused."""
    environment = {**made.environment(), **changed}
    given = {name: value for name, value in environment.items() if value is not None}
    with pytest.raises(ConfigurationError) as caught:
        read_container(given, made.root)
    return str(caught.value)


@pytest.mark.parametrize("component", Component)
def test_our_pods_give_all_that_is_needed(tmp_path: Path, component: Component) -> None:
    """What the pod template says is enough for every component."""
    made = kubelet(tmp_path, component)

    container = read_container(made.environment(), tmp_path)

    assert (container.component, container.pod) == (component, made.pod)
    assert (container.namespace, container.peer) == ("shop", "demo")
    assert container.partition == (0 if component is Component.STORE else None)
    assert container.port == COMPONENTS[component].port
    assert container.version == "1.64.0"
    assert container.topology_file.exists()


def test_the_version_is_the_images_own(tmp_path: Path) -> None:
    """The pod does not say it, so that its absence is no fault of the pod's."""
    made = kubelet(tmp_path)
    environment = made.environment()
    del environment["FAKE_VERSION"]

    assert read_container(environment, tmp_path).version == ""


@pytest.mark.parametrize(
    "name",
    [
        *(contract.ENV_POD_NAME, contract.ENV_POD_NAMESPACE, contract.ENV_PEER),
        *(contract.ENV_COMPONENT, contract.ENV_PARTITION),
    ],
)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_variable_is_named(tmp_path: Path, name: str, value: str | None) -> None:
    """Also one that is empty: a label that does not exist is given as such."""
    assert refusal(kubelet(tmp_path), **{name: value}) == f"{name} is not set"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (contract.ENV_COMPONENT, "auth", "DITTO_COMPONENT is 'auth', not one of store, api, "),
        (contract.ENV_PARTITION, "first", "DITTO_PARTITION is 'first', not a number"),
        (contract.ENV_PARTITION, "-1", "DITTO_PARTITION is '-1', not a number"),
    ],
)
def test_a_wrong_variable_is_quoted(tmp_path: Path, name: str, value: str, expected: str) -> None:
    """The line says what was found and what was expected."""
    assert refusal(kubelet(tmp_path), **{name: value}).startswith(expected)


@pytest.mark.parametrize(
    "path",
    [
        *(contract.DIR_TOPOLOGY, contract.DIR_DATA, contract.DIR_TRANSACTION_LOG),
        *(contract.DIR_TLS_CA, contract.DIR_TLS_IN_BAND, contract.DIR_TLS_JWT),
    ],
)
def test_a_missing_mount_is_named(tmp_path: Path, path: str) -> None:
    """A pod without it is refused, not run until somebody misses the data."""
    made = kubelet(tmp_path)
    made.folder(path).rename(tmp_path / "elsewhere")

    assert refusal(made) == f"{made.folder(path)} is not mounted"


def test_only_the_store_has_data(tmp_path: Path) -> None:
    """A front-end is given no volume and needs none."""
    made = kubelet(tmp_path, Component.API)

    assert not made.folder(contract.DIR_DATA).exists()
    assert read_container(made.environment(), tmp_path).component is Component.API


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *[
            (folder, name)
            for folder in (contract.DIR_TLS_CA, contract.DIR_TLS_IN_BAND, contract.DIR_TLS_JWT)
            for name in ("tls.crt", "tls.key")
        ],
        (contract.DIR_TRANSACTION_LOG, contract.LOG_BOOTSTRAP_SERVERS),
        (contract.DIR_TRANSACTION_LOG, contract.LOG_TOPIC),
        (contract.DIR_TRANSACTION_LOG, contract.LOG_SECURITY_PROTOCOL),
    ],
)
@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (Path.unlink, "is missing"),
        (lambda file: file.write_text(""), "is empty"),
        (lambda file: (file.unlink(), file.mkdir()), "cannot be read: Is a directory"),
    ],
)
def test_a_file_that_lacks_is_named(
    tmp_path: Path, path: str, name: str, harm: Callable[[Path], object], expected: str
) -> None:
    """The Secrets are there and hold what members read at start."""
    made = kubelet(tmp_path)
    file = made.folder(path) / name
    harm(file)

    assert refusal(made) == f"{file} {expected}"


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({"security-protocol": "SSL"}, []),
        ({"security-protocol": "SSL", "tls.crt": "c", "tls.key": "k"}, []),
        ({"security-protocol": "SSL", "tls.crt": "c"}, ["tls.key"]),
        ({"security-protocol": "SSL", "tls.key": "k"}, ["tls.crt"]),
        (
            {"security-protocol": "SASL_SSL", "username": "u"},
            ["sasl-mechanism", "password"],
        ),
        (
            {"security-protocol": "SASL_PLAINTEXT", "username": "u", "password": "p"},
            ["sasl-mechanism"],
        ),
        (
            {
                "security-protocol": "SASL_PLAINTEXT\n",
                "username": "u",
                "password": "p",
                "sasl-mechanism": "SCRAM-SHA-512",
            },
            [],
        ),
    ],
)
def test_a_login_is_complete(tmp_path: Path, files: dict[str, str], missing: list[str]) -> None:
    """What the log's protocol asks for must be there, whole."""
    made = kubelet(tmp_path)
    folder = made.folder(contract.DIR_TRANSACTION_LOG)
    for name, text in files.items():
        (folder / name).write_text(text)

    if missing:
        assert refusal(made) == "; ".join(f"{folder / name} is missing" for name in missing)
    else:
        assert read_container(made.environment(), tmp_path).peer == "demo"


def test_an_unknown_protocol_is_quoted(tmp_path: Path) -> None:
    """It is not taken for one without a login."""
    made = kubelet(tmp_path)
    file = made.folder(contract.DIR_TRANSACTION_LOG) / contract.LOG_SECURITY_PROTOCOL
    file.write_text("TLS")

    assert refusal(made).startswith(f"{file} is 'TLS', not one of PLAINTEXT, SSL, ")


def test_everything_wrong_is_named_at_once(tmp_path: Path) -> None:
    """Who mends a pod should not have to start it once per mistake."""
    problems = refusal(Kubelet(tmp_path), POD_NAME=None, DITTO_PARTITION=None).split("; ")

    assert len(problems) == 8
    assert problems[:2] == ["POD_NAME is not set", "DITTO_PARTITION is not set"]
    assert sum(each.endswith("is not mounted") for each in problems) == 6


def container(pod: str, component: Component = Component.STORE, partition: int = 1) -> Container:
    """Return a container by who it is."""
    return Container(component, pod, "ns", "demo", partition, "", Path("/"))


def configuration(config_id: int, *members: MemberAddress) -> Configuration:
    """Return a configuration of at most two partitions."""
    return Configuration(config_id, 2, 3, 1, members)


FIRST = MemberAddress(0, 0, "demo-store-0-0.demo-store-0.ns.svc", 8080)
SECOND = MemberAddress(1, 0, "demo-store-1-0.demo-store-1.ns.svc", 8080)
THIRD = MemberAddress(1, 2, "elsewhere.example.com", 8080)
TOPOLOGY = Topology(configuration(1, FIRST, SECOND))
TRANSITION = Topology(TOPOLOGY.current, configuration(2, FIRST, SECOND, THIRD))


@pytest.mark.parametrize(
    ("topology", "who", "listed"),
    [
        (TOPOLOGY, container("demo-store-1-0"), True),
        (TOPOLOGY, container("demo-store-1-2"), False),
        (TRANSITION, container("demo-store-1-2"), True),
        (TOPOLOGY, container("demo-store-0-1", partition=0), False),
        (TOPOLOGY, container("demo-store-1-0", partition=7), True),
        (TOPOLOGY, container("demo-store-1-00x"), False),
        (TOPOLOGY, container("single"), False),
        (TOPOLOGY, container("demo-api-x", Component.API), True),
    ],
)
def test_a_member_finds_itself(topology: Topology, who: Container, listed: bool) -> None:
    """By its host or by its slot, in what is in force or to come; front-ends are not listed."""
    assert who.listed_in(topology) is listed
