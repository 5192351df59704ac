"""Tests of the operand contract's data: what other modules rely on without looking."""

import dataclasses
import re

import pytest

from smbpctl.operand import contract
from smbpctl.operand.contract import CAPABILITIES, COMPONENTS, Component


def test_every_component_has_a_contract() -> None:
    """Whoever walks the components finds image, container and port for each."""
    assert set(COMPONENTS) == set(Component)
    assert {component.value for component in Component} == {
        "store",
        "api",
        "subscription",
        "auth-server",
    }


def test_ports_are_those_the_vendor_documents() -> None:
    """Store and HTTP API listen on 8080, subscription and auth servers on 7070."""
    ports = {component.value: operand.port for component, operand in COMPONENTS.items()}

    assert ports == {"store": 8080, "api": 8080, "subscription": 7070, "auth-server": 7070}


def test_names_are_fit_for_containers() -> None:
    """Container and component names are DNS labels, for they become container and object names."""
    names = [operand.container for operand in COMPONENTS.values()] + [c.value for c in Component]

    assert all(re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name) for name in names)


def test_mount_folders_do_not_nest() -> None:
    """No folder lies in another: a mount would hide what is mounted below it."""
    folders = [value for name, value in vars(contract).items() if name.startswith("DIR_")]

    assert len(folders) == 6
    for folder in folders:
        assert not any(other.startswith(f"{folder}/") for other in folders), folder


def test_the_auth_prefix_is_the_longer_one() -> None:
    """The auth prefix lies below the subscription prefix, so the longest match must win."""
    assert contract.PREFIX_AUTH.startswith(f"{contract.PREFIX_SUBSCRIPTION}/")


def test_the_tables_cannot_be_changed() -> None:
    """The contract is shared by everything: nobody may change it for everybody else."""
    with pytest.raises(TypeError):
        COMPONENTS[Component.STORE] = COMPONENTS[Component.API]  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        CAPABILITIES.replaces_in_place = True  # type: ignore[misc]
