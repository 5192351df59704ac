"""The Containerfile says what the list of contents says, in words every engine understands."""

import json
import re
import shlex

import pytest

from hack.images import contents
from hack.images.containerfile import containerfile

TEXT = containerfile()
MANAGER = contents.manager(contents.project())


def instructions() -> list[tuple[str, str]]:
    """Every instruction with its arguments, continued lines joined."""
    joined = re.sub(r"\\\n", " ", TEXT)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def final() -> list[tuple[str, str]]:
    """The instructions of the last stage."""
    found = instructions()
    last = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return found[last:]


def of(name: str, where: list[tuple[str, str]]) -> list[str]:
    """The arguments of all instructions of one name."""
    return [arguments for each, arguments in where if each == name]


def settings(name: str) -> dict[str, str]:
    """What an instruction of the last stage sets."""
    return dict(pair.split("=", 1) for line in of(name, final()) for pair in shlex.split(line))


def test_instructions_are_those_of_every_engine() -> None:
    """No here-documents and no mounts: older engines and kaniko do not have them."""
    names = {name for name, _ in instructions()}

    assert names <= {"FROM", "ENV", "RUN", "WORKDIR", "COPY", "LABEL", "USER", "ENTRYPOINT", "CMD"}
    assert "<<" not in TEXT
    assert "--mount" not in TEXT


def test_only_debian_is_pulled() -> None:
    """One plain image name, no registry; the last stage starts from nothing."""
    assert of("FROM", instructions()) == [f"debian:{contents.SUITE}-slim AS builder", "scratch"]
    assert "://" not in TEXT


def test_every_package_is_in_it() -> None:
    """The packages of the list, and no other, are unpacked."""
    (line,) = [line for line in of("RUN", instructions()) if "apt-get download" in line]

    words = line.partition("apt-get download")[2].partition("&&")[0].split()
    assert words == list(contents.PACKAGES)


def test_every_pattern_is_dropped() -> None:
    """What the archives leave out is left out here."""
    found = re.findall(r"-path ('[^']*'|\S+)", TEXT)

    dropped = {shlex.split(each)[0] for each in found}
    wanted = {*contents.ROOT_DROPPED, *contents.DEPENDENCIES_DROPPED}
    assert {f".{each}" if each.startswith("/") else each for each in wanted} <= dropped


@pytest.mark.parametrize("file", [*contents.ROOT_FILES, *contents.PROJECT_FILES], ids=str)
def test_every_file_is_written(file: contents.TextFile) -> None:
    """With all of its lines, through the shell's quoting."""
    (command,) = [
        part
        for line in of("RUN", instructions())
        for part in line.split(" && ")
        if part.strip().startswith("printf") and part.strip().endswith(file.path)
    ]

    words = shlex.split(command.strip())
    assert words[:2] == ["printf", r"%s\n"]
    assert words[2:-2] == list(file.lines)


def test_dependencies_are_locked() -> None:
    """By hash, from the lock that the archives use."""
    (line,) = [line for line in of("RUN", instructions()) if "--require-hashes" in line]

    assert f"--requirement {contents.LOCK}" in line
    assert contents.LOCK in " ".join(of("COPY", instructions()))


def test_the_image_runs_like_the_archives() -> None:
    """User, environment, labels, entry point and command."""
    assert of("USER", final()) == [contents.USER]
    assert settings("ENV") == MANAGER.environment
    assert settings("LABEL") == MANAGER.labels
    assert json.loads(of("ENTRYPOINT", final())[0]) == list(MANAGER.entry_point)
    assert json.loads(of("CMD", final())[0]) == list(MANAGER.command)


def test_three_layers_reach_the_image() -> None:
    """Nothing runs in the last stage: there is no shell to run it."""
    assert [name for name, _ in final() if name in {"RUN", "COPY"}] == ["COPY"] * 3
