"""The API server that is measured against: a control plane of its own, or one by kubeconfig."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from benchmarks.access import Access
from benchmarks.errors import Refused
from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.simulation.controlplane import (
    Binaries,
    BinariesError,
    ControlPlane,
    ControlPlaneError,
    NotReady,
    ProcessDied,
)
from smbpctl.runtime.transport import ClusterConfig, load_config

_BUILD = Path(__file__).parent.parent / "hack" / "controlplane" / "build.py"
_FAILURES = (BinariesError, ControlPlaneError, NotReady, ProcessDied)


@final
@dataclass(frozen=True, slots=True)
class Server:
    """An API server for the length of a benchmark; a `disposable` one need not be tidied up."""

    access: Access
    disposable: bool


@contextmanager
def api_server(kubeconfig: Path | None) -> Generator[Server]:
    """Run a control plane for the length of the block, or use the cluster of `kubeconfig`.

    The programs are built when they are not there yet, which takes minutes and says so. Raises
    `Refused` when there is no server to be had, or none that is reached by client certificate.
    """
    with tempfile.TemporaryDirectory(prefix="smbpctl-benchmarks-") as name:
        folder = Path(name)
        if kubeconfig is not None:
            yield Server(_access(kubeconfig, folder), disposable=False)
            return
        # Without controllers: they would compete for the processor and have nothing to do.
        control_plane = ControlPlane(_binaries(), folder / "controlplane", controllers=False)
        try:
            control_plane.start()
        except _FAILURES as error:
            raise Refused(f"the control plane does not start: {error}") from error
        try:
            yield Server(_access(control_plane.kubeconfig, folder), disposable=True)
        finally:
            control_plane.stop()


def _binaries() -> Binaries:
    build = subprocess.run(
        [sys.executable, str(_BUILD)], stdout=subprocess.PIPE, text=True, check=False
    )
    if build.returncode:
        raise Refused("there is no control plane to measure against", build.returncode)
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    folder = Path(build.stdout.splitlines()[-1])
    try:
        return Binaries.in_directory(folder, Path(assets) if assets else None, controllers=False)
    except BinariesError as error:
        raise Refused(str(error)) from error


def _access(kubeconfig: Path, folder: Path) -> Access:
    try:
        config = asyncio.run(load_config(kubeconfig))
    except ConfigurationError as error:
        raise Refused(str(error)) from error
    authority = _content(config.ca_data, config.ca_file)
    certificate = _content(config.client_certificate, config.client_certificate_file)
    key = _content(config.client_key, config.client_key_file)
    if authority is None or certificate is None or key is None or _is_special(config):
        raise Refused(
            f"{config.source}: benchmarks need a server with an authority of its own, reached "
            "directly and by client certificate"
        )
    return Access.written(
        config.base_url, folder, authority=authority, certificate=certificate, key=key
    )


def _content(data: bytes | None, path: Path | None) -> bytes | None:
    return data if path is None else path.read_bytes()


def _is_special(config: ClusterConfig) -> bool:
    return bool(config.headers or config.proxy_url or config.server_name or not config.verify)
