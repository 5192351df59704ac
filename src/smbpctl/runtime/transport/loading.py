"""Finds the cluster configuration the way kubectl and controller-runtime do."""

import os
from collections.abc import Mapping
from pathlib import Path

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.transport.configuration import ClusterConfig

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts a pod's token, CA and namespace."""


async def load_config(
    kubeconfig: Path | None = None,
    context: str | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> ClusterConfig:
    """Find the cluster configuration the way kubectl and controller-runtime do.

    In this order: `kubeconfig`, the list in $KUBECONFIG, the service account of this pod (not
    when a `context` is named), `~/.kube/config`. Raises ConfigurationError naming file and field.
    No credential plugin runs and no connection is opened here.
    """
    return _find(kubeconfig, context, environ, service_account)


def _find(
    kubeconfig: Path | None,
    context: str | None,
    environ: Mapping[str, str],
    service_account: Path,
) -> ClusterConfig:
    if kubeconfig is not None:
        return _from_kubeconfig([kubeconfig.expanduser()], context, environ)
    if listed := environ.get("KUBECONFIG", ""):
        paths = [Path(entry).expanduser() for entry in listed.split(os.pathsep) if entry]
        return _from_kubeconfig(paths, context, environ)
    if context is None and "KUBERNETES_SERVICE_HOST" in environ:
        return in_cluster(environ, service_account)
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    default = home / ".kube" / "config"
    if default.exists():
        return _from_kubeconfig([default], context, environ)
    raise ConfigurationError(
        "no cluster configuration: name a kubeconfig, set KUBECONFIG, "
        f"write {default} or run inside a pod with a service account"
    )


def _from_kubeconfig(
    paths: list[Path], context: str | None, environ: Mapping[str, str]
) -> ClusterConfig:
    # Late: this import pulls in kubernetes_asyncio, half a second and 60 MB that a pod never needs.
    from smbpctl.runtime.transport.kubeconfig import read_kubeconfig

    return read_kubeconfig(paths, context, environ)


def in_cluster(
    environ: Mapping[str, str], service_account: Path = SERVICE_ACCOUNT
) -> ClusterConfig:
    """Return the configuration of this pod's service account.

    The API server is reached directly: proxies named in the environment are for the outside.
    """
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    port = environ.get("KUBERNETES_SERVICE_PORT", "443")
    token_file, ca_file = service_account / "token", service_account / "ca.crt"
    for path in (token_file, ca_file):
        if not path.is_file():
            raise ConfigurationError(
                f"in-cluster configuration: {path} is missing: "
                "is automountServiceAccountToken switched off?"
            )
    namespace_file = service_account / "namespace"
    namespace = namespace_file.read_text().strip() if namespace_file.is_file() else ""
    return ClusterConfig(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        source="in-cluster configuration",
        namespace=namespace or "default",
        user_hint="service account",
        ca_file=ca_file,
        token_file=token_file,
        in_cluster=True,
    )
