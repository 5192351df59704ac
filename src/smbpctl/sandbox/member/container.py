"""What a pod gives to the operand's container, read and checked: variables, mounts, files."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from smbpctl.operand import contract
from smbpctl.operand.contract import Component
from smbpctl.operand.members import Topology
from smbpctl.runtime.errors import ConfigurationError

ENV_VERSION: Final = "FAKE_VERSION"
"""The version that the image stands for; the image sets it, not the pod."""

# What a Secret of the type kubernetes.io/tls holds; `ca.crt` is there with some issuers only.
_KEY_PAIR: Final = ("tls.crt", "tls.key")
_KEY_PAIRS: Final = (contract.DIR_TLS_CA, contract.DIR_TLS_IN_BAND, contract.DIR_TLS_JWT)
_LOG: Final = (
    contract.LOG_BOOTSTRAP_SERVERS,
    contract.LOG_TOPIC,
    contract.LOG_SECURITY_PROTOCOL,
)
_LOGIN: Final = (contract.LOG_SASL_MECHANISM, contract.LOG_USERNAME, contract.LOG_PASSWORD)
_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


@final
@dataclass(frozen=True, slots=True)
class Container:
    """The surroundings of a member's process; all paths of the contract lie below `root`."""

    component: Component
    pod: str
    namespace: str
    peer: str
    partition: int | None
    version: str
    root: Path

    @property
    def port(self) -> int:
        """Return the port that the component listens on."""
        return contract.COMPONENTS[self.component].port

    @property
    def topology_file(self) -> Path:
        """Return the document that the member reads anew for each answer."""
        return below(self.root, contract.DIR_TOPOLOGY) / contract.TOPOLOGY_FILE

    @property
    def data_folder(self) -> Path:
        """Return the mount of the store's volume."""
        return below(self.root, contract.DIR_DATA)

    def listed_in(self, topology: Topology) -> bool:
        """Tell whether a configuration has this member: its host, or its slot.

        Only the store's members are listed; a front-end finds itself in any topology.
        """
        if self.component is not Component.STORE:
            return True
        ordinal = _ordinal(self.pod)
        configurations = (topology.current, topology.next)
        members = (each for one in configurations if one is not None for each in one.members)
        return any(
            each.host.partition(".")[0] == self.pod
            or (each.partition, each.ordinal) == (self.partition, ordinal)
            for each in members
        )


def read_container(environment: Mapping[str, str], root: Path) -> Container:
    """Return what the pod gives; raise ConfigurationError that names everything missing."""
    problems = [
        *_unset(environment),
        *_component_problems(environment, root),
        *_mount_problems(root),
    ]
    if problems:
        raise ConfigurationError("; ".join(problems))
    component = Component(environment[contract.ENV_COMPONENT])
    store = component is Component.STORE
    return Container(
        component=component,
        pod=environment[contract.ENV_POD_NAME],
        namespace=environment[contract.ENV_POD_NAMESPACE],
        peer=environment[contract.ENV_PEER],
        partition=int(environment[contract.ENV_PARTITION]) if store else None,
        version=environment.get(ENV_VERSION, ""),
        root=root,
    )


def below(root: Path, path: str) -> Path:
    """Return an absolute path of the container as it is seen from outside."""
    return root / path.removeprefix("/")


def _ordinal(pod: str) -> int | None:
    found = re.search(r"-(\d+)$", pod)
    return None if found is None else int(found[1])


def _unset(environment: Mapping[str, str]) -> Iterator[str]:
    for name in (
        *(contract.ENV_POD_NAME, contract.ENV_POD_NAMESPACE),
        *(contract.ENV_PEER, contract.ENV_COMPONENT),
    ):
        if not environment.get(name):
            yield f"{name} is not set"


def _component_problems(environment: Mapping[str, str], root: Path) -> Iterator[str]:
    name = environment.get(contract.ENV_COMPONENT)
    if name and name not in list(Component):
        yield f"{contract.ENV_COMPONENT} is {name!r}, not one of {', '.join(Component)}"
    if name != Component.STORE:
        return
    partition = environment.get(contract.ENV_PARTITION)
    if not partition:
        yield f"{contract.ENV_PARTITION} is not set"
    elif not re.fullmatch(r"[0-9]{1,9}", partition):
        yield f"{contract.ENV_PARTITION} is {partition!r}, not a number"
    yield from _folder_problems(below(root, contract.DIR_DATA))


def _mount_problems(root: Path) -> Iterator[str]:
    yield from _folder_problems(below(root, contract.DIR_TOPOLOGY))
    for path in _KEY_PAIRS:
        yield from _folder_problems(below(root, path), _KEY_PAIR)
    log = below(root, contract.DIR_TRANSACTION_LOG)
    problems = list(_folder_problems(log, _LOG))
    yield from problems or _log_problems(log)


def _log_problems(folder: Path) -> Iterator[str]:
    file = folder / contract.LOG_SECURITY_PROTOCOL
    protocol = file.read_bytes().decode("ascii", "replace").strip()
    if protocol not in _PROTOCOLS:
        yield f"{file} is {protocol!r}, not one of {', '.join(_PROTOCOLS)}"
    if protocol.startswith("SASL_"):
        yield from _folder_problems(folder, _LOGIN)
    pair = (contract.LOG_CERTIFICATE, contract.LOG_KEY)
    if any((folder / name).exists() for name in pair):
        yield from _folder_problems(folder, pair)


def _folder_problems(folder: Path, files: tuple[str, ...] = ()) -> Iterator[str]:
    if not folder.is_dir():
        yield f"{folder} is not mounted"
        return
    for name in files:
        problem = _file_problem(folder / name)
        if problem:
            yield f"{folder / name} {problem}"


def _file_problem(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return "" if opened.read(1) else "is empty"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
