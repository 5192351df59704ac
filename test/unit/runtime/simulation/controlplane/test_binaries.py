"""Tests of finding the programs and comparing their versions."""

from pathlib import Path

import pytest

from smbpctl.runtime.simulation.controlplane.binaries import (
    CONTROL_PLANE,
    CONTROLLERS,
    Binaries,
    BinariesError,
)


def program(path: Path, script: str = "") -> None:
    """Write an executable shell script."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def programs(folder: Path, version: str) -> Path:
    """Write all programs, each answering with `version`."""
    for name in CONTROL_PLANE:
        program(folder / name, f"echo Kubernetes v{version}")
    return folder


def test_all_programs_are_found_in_one_folder(tmp_path: Path) -> None:
    """A folder with all five gives all five paths."""
    folder = programs(tmp_path / "bin", "1.36.3")

    binaries = Binaries.in_directory(folder)

    assert binaries == Binaries(
        etcd=folder / "etcd",
        kube_apiserver=folder / "kube-apiserver",
        kube_controller_manager=folder / "kube-controller-manager",
        kube_scheduler=folder / "kube-scheduler",
        kubectl=folder / "kubectl",
    )


def test_assets_win_and_the_folder_gives_the_rest(tmp_path: Path) -> None:
    """What the assets hold is taken from there, everything else from the folder."""
    folder = programs(tmp_path / "bin", "1.36.3")
    program(tmp_path / "assets" / "etcd")

    binaries = Binaries.in_directory(folder, assets=tmp_path / "assets")

    assert binaries.etcd == tmp_path / "assets" / "etcd"
    assert binaries.kubectl == folder / "kubectl"


def test_every_missing_program_is_named(tmp_path: Path) -> None:
    """One error names all that is absent or not executable, and where it was looked for."""
    folder = programs(tmp_path / "bin", "1.36.3")
    (folder / "kubectl").unlink()
    (folder / "etcd").chmod(0o644)

    with pytest.raises(BinariesError) as caught:
        Binaries.in_directory(folder)

    assert str(caught.value) == f"not found in {folder}: etcd, kubectl"


def test_controllers_may_be_absent_where_none_are_wanted(tmp_path: Path) -> None:
    """Assets with an API server only are enough for a control plane without controllers."""
    folder = programs(tmp_path / "bin", "1.36.3")
    for name in CONTROLLERS:
        (folder / name).unlink()

    binaries = Binaries.in_directory(folder, controllers=False)

    binaries.check_versions(controllers=False)
    with pytest.raises(BinariesError, match="kube-controller-manager, kube-scheduler"):
        Binaries.in_directory(folder)


def test_the_version_is_the_api_servers(tmp_path: Path) -> None:
    """The version is read from the program, pre-release suffixes included."""
    folder = programs(tmp_path / "bin", "1.37.0-rc.1")

    assert Binaries.in_directory(folder).kubernetes_version() == "1.37.0-rc.1"


def test_patch_versions_may_differ_and_minors_may_not(tmp_path: Path) -> None:
    """Programs of one minor version pass; the error names both versions otherwise."""
    folder = programs(tmp_path / "bin", "1.36.3")
    program(folder / "kube-scheduler", "echo Kubernetes v1.36.0")
    Binaries.in_directory(folder).check_versions()
    program(folder / "kube-scheduler", "echo Kubernetes v1.35.4")

    with pytest.raises(BinariesError) as caught:
        Binaries.in_directory(folder).check_versions()

    assert "kube-scheduler is version 1.35.4" in str(caught.value)
    assert "kube-apiserver is 1.36.3" in str(caught.value)


@pytest.mark.parametrize("script", ["exit 1", "echo none of your business"])
def test_a_program_that_does_not_tell_its_version_is_named(tmp_path: Path, script: str) -> None:
    """A broken program gives an error about that program."""
    folder = programs(tmp_path / "bin", "1.36.3")
    program(folder / "kube-apiserver", script)

    with pytest.raises(BinariesError, match="kube-apiserver does not tell its version"):
        Binaries.in_directory(folder).kubernetes_version()
