"""`smbpctl demo`: the operator at work on a control plane of its own, until all is available."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import smbpctl
from smbpctl.app import configure_logging
from smbpctl.cli.command import Subcommands
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.settings import LogLevel, read_settings

_SOURCE = Path(smbpctl.__file__).parents[2]
_BUILD = _SOURCE / "hack" / "controlplane" / "build.py"
_SAMPLE = _SOURCE / "config" / "samples" / "bigpeer.yaml"


def add_to(commands: Subcommands) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("demo", help="run the operator on a control plane of its own")
    parser.add_argument("--binaries", type=Path, help="folder of etcd, kube-apiserver and others")
    parser.add_argument("-f", "--filename", type=Path, default=_SAMPLE, help="BigPeer manifest")
    parser.add_argument("--stay", action="store_true", help="keep the cluster until Ctrl-C")
    parser.set_defaults(execute=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Run the demonstration; 0 when the BigPeer became available."""
    try:
        # Here, because no other command needs a terminal's colours and a cluster of its own.
        from smbpctl.sandbox.demo import DemoOptions
        from smbpctl.sandbox.showing import show
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("rich"):
            raise
        raise ConfigurationError("it needs a package more: install smbpctl[demo]") from error
    binaries: Path = arguments.binaries or _built()
    configure_logging(read_settings({"log_level": LogLevel.ERROR}))
    with tempfile.TemporaryDirectory(prefix="smbpctl-demo-") as directory:
        options = DemoOptions(
            binaries=binaries,
            manifest=arguments.filename,
            directory=Path(directory),
            stay=arguments.stay,
        )
        return 0 if show(options) else 1


def _built() -> Path:
    """Return the folder of the programs, building what is missing (minutes, the first time)."""
    if not _BUILD.exists():
        raise ConfigurationError(
            "the control plane is built from a source checkout; elsewhere name --binaries"
        )
    build = subprocess.run(
        [sys.executable, str(_BUILD)], stdout=subprocess.PIPE, text=True, check=False
    )
    if build.returncode:
        raise ConfigurationError(f"{_BUILD.name} ended with status {build.returncode}")
    return Path(build.stdout.splitlines()[-1])
