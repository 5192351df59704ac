"""Programs run quietly, end with us, and their failures say what would help."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hack.images.programs import run
from hack.images.refusals import FAILED, UNAVAILABLE, Refused


def python(script: str) -> list[str]:
    """A command that runs a script."""
    return [sys.executable, "-c", script]


def test_output_is_returned() -> None:
    """Standard output comes back; what is said on standard error is not mixed in."""
    output = run(python("import sys; print('yes'); print('no', file=sys.stderr)"), purpose="ask")

    assert output == "yes\n"


def test_a_missing_program_names_its_package() -> None:
    """The machine lacks something: status 3, and what to install."""
    with pytest.raises(Refused) as caught:
        run(["no-such-program"], purpose="make a root", package="some-package")

    assert caught.value.status == UNAVAILABLE
    message = "cannot make a root: no-such-program is missing: install some-package"
    assert str(caught.value) == message


def test_a_failure_shows_the_end_of_what_was_said() -> None:
    """Status 1, the program's own status, and its last lines only."""
    script = "import sys; [print('line', n, file=sys.stderr) for n in range(50)]; sys.exit(7)"

    with pytest.raises(Refused) as caught:
        run(python(script), purpose="count")

    assert caught.value.status == FAILED
    assert "cannot count" in str(caught.value)
    assert "status 7" in str(caught.value)
    assert "line 49" in str(caught.value)
    assert "line 40" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("E: Could not connect to 127.0.0.1:1 (127.0.0.1). - connect (111)", UNAVAILABLE),
        ("Err: Temporary failure resolving 'mirror.test'", UNAVAILABLE),
        ("NewConnectionError: Failed to establish a new connection", UNAVAILABLE),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", FAILED),
        ("E: The repository is not signed.", FAILED),
    ],
)
def test_only_the_network_is_the_machines_fault(said: str, status: int) -> None:
    """A wrong hash or signature must never look like a machine without a network."""
    with pytest.raises(Refused) as caught:
        run(python(f"import sys; print({said!r}, file=sys.stderr); sys.exit(1)"), purpose="get")

    assert caught.value.status == status


def test_an_interrupt_ends_the_program_and_its_children(tmp_path: Path) -> None:
    """When we are told to end, what we started does not live on."""
    os.mkfifo(tmp_path / "pipe")
    child = "import signal; p = open('pipe', 'w'); print('up', file=p, flush=True); signal.pause()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    ours = (
        "import signal, sys; from pathlib import Path; from hack.images.programs import run\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        f"run([sys.executable, '-c', {parent!r}], purpose='x', folder=Path(sys.argv[1]))\n"
    )

    process = subprocess.Popen([sys.executable, "-c", ours, tmp_path])
    with process, (tmp_path / "pipe").open() as pipe:
        assert pipe.readline() == "up\n"
        process.terminate()
        status = process.wait()
        rest = pipe.read()  # ends when nobody holds the other end any more

    assert (status, rest) == (7, "")
