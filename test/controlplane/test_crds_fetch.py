"""How hack/crds/fetch.py fetches: whole or not at all, once, only what has the known checksum."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hack.crds import fetch
from test.controlplane.bigpeer.dependencies import FETCH, crds

# Megabytes of YAML are read, and a release may be fetched.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where this test's CRDs would go: a user's cache folder of its own."""
    return tmp_path / "cache"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The one folder on the path; it holds nothing but what a test puts there."""
    folder = tmp_path / "programs"
    folder.mkdir()
    return folder


def run(
    *sets: str, cache: Path, programs: Path, java_home: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the script as a person would."""
    environment = {
        "HOME": str(cache.parent),
        "JAVA_HOME": java_home,
        "PATH": str(programs),
        "SMBPCTL_CACHE": str(cache),
    }
    command = [sys.executable, str(FETCH), *sets]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def script(path: Path, *lines: str) -> Path:
    """Write a program that runs these lines of shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def java(home: Path, version: str) -> Path:
    """Make a Java of some version; whatever else it is asked to run it notes in `ran`."""
    told = f"""echo 'openjdk version "{version}" 2025-01-01' >&2"""
    return script(home / "bin" / "java", told, f'[ "$1" = -version ] || echo ran >> {home}/ran')


def module(folder: Path, checksum: str) -> str:
    """Make cert-manager's module as Go unpacks it; return what Go says of it."""
    crds_of_it = folder / "deploy" / "crds"
    crds_of_it.mkdir(parents=True)
    for name in ("a.yaml", "README.md"):
        (crds_of_it / name).write_text(f"the content of {name}")
        (crds_of_it / name).chmod(0o444)
    return json.dumps({"Dir": str(folder), "Sum": checksum})


def left_in(cache: Path) -> list[str]:
    """Return every file and folder of the cache, below the folder of these releases."""
    (root,) = cache.glob("smbpctl/crds/*")
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def test_what_is_there_is_not_fetched_again(cache: Path, programs: Path) -> None:
    """The second time no program is needed, and the folder is printed at once."""
    folder = cache / "smbpctl" / "crds" / fetch.cache_key()
    for release in fetch.RELEASES:
        (folder / release.folder).mkdir(parents=True)

    answer = run(cache=cache, programs=programs)

    assert answer.returncode == 0
    assert answer.stdout == f"{folder}\n"
    assert answer.stderr == ""


def test_every_missing_program_is_named_in_one_line(cache: Path, programs: Path) -> None:
    """Whoever reads it installs all of them at once, not one after another."""
    answer = run(cache=cache, programs=programs)

    assert answer.returncode == fetch.NOT_INSTALLED == 3
    (line,) = answer.stderr.splitlines()
    assert "install Go, Maven" in line
    assert not cache.exists()


def test_only_the_programs_of_the_named_set_are_asked_for(cache: Path, programs: Path) -> None:
    """Without Java and Maven, cert-manager's CRDs can be had."""
    answer = run("cert-manager", cache=cache, programs=programs)

    assert answer.returncode == 3
    assert "Go" in answer.stderr
    assert "Maven" not in answer.stderr
    assert "Java" not in answer.stderr


def test_an_unknown_set_is_refused(cache: Path, programs: Path) -> None:
    """The answer tells which there are."""
    answer = run("gateway", cache=cache, programs=programs)

    assert answer.returncode == 2
    assert "unknown: gateway; there are cert-manager, strimzi" in answer.stderr


def test_a_module_becomes_a_folder_at_once(cache: Path, programs: Path, tmp_path: Path) -> None:
    """Only CRDs are copied, as files that can be deleted; no scratch stays behind."""
    told = module(tmp_path / "module", fetch.CERT_MANAGER_SUM)
    script(programs / "go", f"echo '{told}'")

    answer = run("cert-manager", cache=cache, programs=programs)

    folder = f"cert-manager-{fetch.CERT_MANAGER_VERSION}"
    assert answer.returncode == 0, answer.stderr
    assert left_in(cache) == [folder, f"{folder}/a.yaml"]
    copied = Path(answer.stdout.strip()) / folder / "a.yaml"
    assert copied.read_text() == "the content of a.yaml"
    assert copied.stat().st_mode & 0o200


def test_a_module_of_another_checksum_is_refused(
    cache: Path, programs: Path, tmp_path: Path
) -> None:
    """Nothing of it reaches the cache."""
    told = module(tmp_path / "module", "h1:another")
    script(programs / "go", f"echo '{told}'")

    answer = run("cert-manager", cache=cache, programs=programs)

    assert answer.returncode == 1
    assert "has the checksum h1:another" in answer.stderr
    assert left_in(cache) == []


def test_what_go_says_of_a_failure_is_passed_on(cache: Path, programs: Path) -> None:
    """A proxy that cannot be reached is told from a program that is not there."""
    script(programs / "go", """echo '{"Error": "no route to host"}'""", "exit 1")

    answer = run("cert-manager", cache=cache, programs=programs)

    assert answer.returncode == 1
    assert "no route to host" in answer.stderr


def test_a_jar_of_another_checksum_is_never_run(
    cache: Path, programs: Path, tmp_path: Path
) -> None:
    """The generator is somebody else's program: it runs as it is known, or not at all."""
    java(tmp_path / "jdk", "25.0.1")
    options = 'for each in "$@"; do case $each in -DoutputDirectory=*) out=${each#*=};; esac; done'
    make = '/bin/mkdir -p "$out" && echo jar > "$out/api-1.2.0.jar"'
    script(programs / "mvn", options, make)

    answer = run("strimzi", cache=cache, programs=programs, java_home=str(tmp_path / "jdk"))

    assert answer.returncode == 1
    assert "api-1.2.0.jar has the checksum" in answer.stderr
    assert not (tmp_path / "jdk" / "ran").exists()
    assert left_in(cache) == []


def test_java_is_looked_for_where_it_usually_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that is new enough wins: JAVA_HOME, the path, then the usual folders in order."""
    old, on_path = java(tmp_path / "home", "17.0.15"), java(tmp_path / "path", "1.8.0_402")
    newer, newest = java(tmp_path / "jvm" / "a-21", "21"), java(tmp_path / "jvm" / "b-25", "25.0.1")
    usual = (str(tmp_path / "nothing" / "*"), str(tmp_path / "jvm" / "*"))
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setenv("JAVA_HOME", str(old.parent.parent))

    found = fetch.find_java(usual)
    monkeypatch.setenv("JAVA_HOME", str(newest.parent.parent))
    preferred = fetch.find_java(usual)
    monkeypatch.delenv("JAVA_HOME")
    none = fetch.find_java(())

    assert found == str(newer)
    assert preferred == str(newest)
    assert none == ""


def test_the_real_releases_differ_in_the_versions_they_serve() -> None:
    """That is what they are fetched for: v1 alone, both with v1beta2 stored, v1beta2 alone."""
    found = {release: _versions(crds("strimzi", release)) for release in ("1.2.0", "0.51.0")}
    found["0.45.0"] = _versions(crds("strimzi", "0.45.0"))

    kinds = {"Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser"}
    assert found == {
        "1.2.0": {kind: {"v1": True} for kind in kinds},
        "0.51.0": {kind: {"v1": False, "v1beta2": True} for kind in kinds},
        "0.45.0": {kind: {"v1beta2": True} for kind in kinds},
    }


def _versions(folder: Path) -> dict[str, dict[str, bool]]:
    """Return, by kind, the versions that are served, and whether each is the stored one."""
    # Megabytes: the parser in C, or it takes minutes on a busy machine.
    manifests = [yaml.load(path.read_text(), yaml.CSafeLoader) for path in folder.iterdir()]
    return {
        manifest["spec"]["names"]["kind"]: {
            each["name"]: each["storage"] for each in manifest["spec"]["versions"] if each["served"]
        }
        for manifest in manifests
    }


def test_the_key_follows_what_is_written_down() -> None:
    """Another release or checksum is another folder, so an old one is never taken for it."""
    answer = subprocess.run(
        [sys.executable, str(FETCH), "--print-key"], capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == fetch.cache_key()
    assert os.path.basename(fetch.cache_folder()) == fetch.cache_key()
