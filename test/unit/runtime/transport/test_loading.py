"""Where the cluster configuration is looked for, and the one of a pod."""

import subprocess
import sys
from pathlib import Path

import pytest

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.transport import load_config

POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def _kubeconfig(path: Path, server: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"""
clusters: [{{name: c, cluster: {{server: "{server}"}}}}]
contexts: [{{name: x, context: {{cluster: c}}}}]
current-context: x
"""
    )
    return path


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """The directory the kubelet mounts into a pod."""
    directory = tmp_path / "serviceaccount"
    directory.mkdir()
    (directory / "token").write_text("token\n")
    (directory / "ca.crt").write_text("PEM")
    (directory / "namespace").write_text("mine\n")
    return directory


async def test_the_argument_comes_first(tmp_path: Path, account: Path) -> None:
    """A kubeconfig that was named wins over everything else."""
    named = _kubeconfig(tmp_path / "named", "https://named")
    other = _kubeconfig(tmp_path / "other", "https://other")

    config = await load_config(
        named, environ={**POD, "KUBECONFIG": str(other)}, service_account=account
    )

    assert config.server == "https://named"


async def test_then_the_variable(tmp_path: Path, account: Path) -> None:
    """$KUBECONFIG wins over the pod's own account."""
    other = _kubeconfig(tmp_path / "other", "https://other")

    config = await load_config(environ={**POD, "KUBECONFIG": str(other)}, service_account=account)

    assert config.server == "https://other"


async def test_then_the_pod(tmp_path: Path, account: Path) -> None:
    """The service account wins over a kubeconfig in the home directory."""
    _kubeconfig(tmp_path / ".kube" / "config", "https://home")

    config = await load_config(environ={**POD, "HOME": str(tmp_path)}, service_account=account)

    assert config.server == "https://10.96.0.1:443"


async def test_then_the_home_directory(tmp_path: Path, account: Path) -> None:
    """Also inside a pod when a context is named: only kubeconfigs have contexts."""
    _kubeconfig(tmp_path / ".kube" / "config", "https://home")
    home = {"HOME": str(tmp_path)}

    outside = await load_config(environ=home, service_account=account)
    inside = await load_config(context="x", environ={**POD, **home}, service_account=account)

    assert outside.server == inside.server == "https://home"
    # Inside or not: a kubeconfig may lead to another cluster.
    assert (outside.in_cluster, inside.in_cluster) == (False, False)


async def test_nothing_found(tmp_path: Path) -> None:
    """The message names every way out."""
    with pytest.raises(ConfigurationError, match=r"KUBECONFIG.*\.kube/config.*pod"):
        await load_config(environ={"HOME": str(tmp_path)}, service_account=tmp_path)


class TestInCluster:
    """The configuration of a pod, read without kubernetes_asyncio."""

    async def test_has_everything_from_the_mount(self, account: Path) -> None:
        """Token and CA as files, since both rotate; proxies of the environment do not apply."""
        environ = {**POD, "HTTPS_PROXY": "http://proxy:3128"}

        config = await load_config(environ=environ, service_account=account)

        assert (config.token_file, config.ca_file) == (account / "token", account / "ca.crt")
        assert (config.namespace, config.proxy_url, config.compression) == ("mine", None, False)
        assert config.in_cluster

    async def test_brackets_an_ipv6_address(self, account: Path) -> None:
        """The variable holds the bare address."""
        environ = {**POD, "KUBERNETES_SERVICE_HOST": "fd00::1"}

        config = await load_config(environ=environ, service_account=account)

        assert config.base_url == "https://[fd00::1]:443"

    @pytest.mark.parametrize("missing", ["token", "ca.crt"])
    async def test_names_the_file_that_is_missing(self, account: Path, missing: str) -> None:
        """A pod without mounted account."""
        (account / missing).unlink()

        with pytest.raises(ConfigurationError, match=f"{missing} is missing"):
            await load_config(environ=POD, service_account=account)

    async def test_does_without_a_namespace_file(self, account: Path) -> None:
        """Then it is the default namespace."""
        (account / "namespace").unlink()

        config = await load_config(environ=POD, service_account=account)

        assert config.namespace == "default"

    def test_never_imports_kubernetes_asyncio(self, account: Path) -> None:
        """It would cost a deployed manager half a second and 60 MB. In a fresh interpreter."""
        program = (
            "import asyncio, pathlib, sys\n"
            "import smbpctl.runtime.client\n"
            "from smbpctl.runtime.transport import HttpTransport, load_config\n"
            f"account = pathlib.Path({str(account)!r})\n"
            f"found = load_config(environ={POD!r}, service_account=account)\n"
            "HttpTransport(asyncio.run(found))\n"
            "print('kubernetes_asyncio' in sys.modules)\n"
        )

        run = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )

        assert run.stdout == "False\n"
