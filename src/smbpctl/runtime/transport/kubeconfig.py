"""Turns kubeconfig files into a `ClusterConfig`; only here is kubernetes_asyncio imported."""

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import quote

import msgspec
import yaml
from kubernetes_asyncio.config import ConfigException
from kubernetes_asyncio.config.kube_config import ConfigNode, KubeConfigMerger

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.transport.configuration import ClusterConfig
from smbpctl.runtime.transport.exec_plugin import ExecPlugin
from smbpctl.runtime.transport.proxy import environment_proxy, is_loopback

T = TypeVar("T")

EXEC_EXTENSION = "client.authentication.k8s.io/exec"
"""The cluster extension whose content a plugin gets with `provideClusterInfo`."""


class _Entries(Protocol):
    """The part of the library's node that is called; the library has no types for it."""

    def get_with_name(self, name: str, safe: bool = False) -> ConfigNode | None: ...


class _Named(msgspec.Struct):
    name: str


class _File(msgspec.Struct, rename="kebab"):
    clusters: list[_Named] | None = None
    contexts: list[_Named] | None = None
    users: list[_Named] | None = None
    current_context: str | None = None


class _Context(msgspec.Struct):
    cluster: str
    user: str | None = None
    namespace: str | None = None


class _Extension(msgspec.Struct):
    name: str
    extension: Any = None


class _Cluster(msgspec.Struct, rename="kebab"):
    server: str
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None
    disable_compression: bool = False
    extensions: list[_Extension] | None = None


class _Variable(msgspec.Struct):
    name: str
    value: str


class _Exec(msgspec.Struct, rename="camel"):
    command: str
    api_version: str
    args: list[str] | None = None
    env: list[_Variable] | None = None
    install_hint: str = ""
    provide_cluster_info: bool = False


class _User(msgspec.Struct, rename="kebab"):
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    token: str | None = None
    token_file: str | None = msgspec.field(default=None, name="tokenFile")
    username: str | None = None
    password: str | None = None
    impersonate: str | None = msgspec.field(default=None, name="as")
    as_uid: str | None = None
    as_groups: list[str] | None = None
    as_user_extra: dict[str, list[str]] | None = None
    exec: _Exec | None = None
    auth_provider: dict[str, Any] | None = None


def read_kubeconfig(
    paths: Sequence[Path], context: str | None, environ: Mapping[str, str]
) -> ClusterConfig:
    """Merge the files as kubectl does and return one context of them.

    The first file that sets a value wins, files that do not exist are skipped as long as one
    does, and relative paths count from the file that names them. A context without user is
    anonymous. Every ConfigurationError names the file and the field.
    """
    present = [path for path in paths if path.is_file()]
    if not present:
        raise ConfigurationError(f"kubeconfig {', '.join(map(str, paths))} does not exist")
    files = [_validated(path) for path in present]
    current = next((file.current_context for file in files if file.current_context), None)
    source = f"kubeconfig {os.pathsep.join(map(str, present))}"
    name = context or current
    if not name:
        raise ConfigurationError(f"{source}: current-context is not set and no context was named")
    return _config(_merge(present), name, source, environ)


def _validated(path: Path) -> _File:
    try:
        document: object = yaml.safe_load(path.read_text(encoding="utf-8"))
        return msgspec.convert(document, _File)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"kubeconfig {path} is unreadable: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"kubeconfig {path} is not YAML: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"kubeconfig {path} is malformed: {error}") from error


def _merge(paths: Sequence[Path]) -> ConfigNode:
    try:
        merged = KubeConfigMerger(os.pathsep.join(map(str, paths))).config
    except (ConfigException, OSError, TypeError, KeyError) as error:
        raise ConfigurationError(f"kubeconfig {paths[0]} cannot be merged: {error}") from error
    if merged is None:
        # The library splits its argument, so a path with the separator in it is two unknown files.
        raise ConfigurationError(f"kubeconfig {paths[0]}: the path contains {os.pathsep!r}")
    return merged


def _entry(
    merged: ConfigNode, section: str, name: str, source: str, shape: type[T]
) -> tuple[T, Path]:
    """Return the entry of that name and the directory of the file it stands in."""
    node = cast("_Entries", merged[section]).get_with_name(name, safe=True)
    field = section.removesuffix("s")
    if node is None:
        raise ConfigurationError(f"{source}: {section} has no entry named {name!r}")
    file = Path(node.path or "")
    try:
        content = cast("Mapping[str, object]", node.value).get(field)
        return msgspec.convert(content, shape), file.parent
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"kubeconfig {file}: {field} {name!r}: {error}") from error


def _config(
    merged: ConfigNode, name: str, source: str, environ: Mapping[str, str]
) -> ClusterConfig:
    context, _ = _entry(merged, "contexts", name, source, _Context)
    cluster, cluster_home = _entry(merged, "clusters", context.cluster, source, _Cluster)
    user, user_home = _User(), cluster_home
    if context.user:
        user, user_home = _entry(merged, "users", context.user, source, _User)
    where = f"{source}, context {name}"
    if user.auth_provider is not None:
        raise ConfigurationError(
            f"{where}: auth-provider {user.auth_provider.get('name')!r} is not supported: use an "
            "exec plugin instead (kubelogin for OIDC, gke-gcloud-auth-plugin for Google)"
        )
    ca = _data(cluster.certificate_authority_data, f"{where}: certificate-authority-data")
    certificate = _data(user.client_certificate_data, f"{where}: client-certificate-data")
    key = _data(user.client_key_data, f"{where}: client-key-data")
    return ClusterConfig(
        server=cluster.server,
        source=where,
        namespace=context.namespace or "default",
        user_hint=context.user or "",
        ca_data=ca,
        ca_file=None if ca else _path(cluster_home, cluster.certificate_authority),
        client_certificate=certificate,
        client_certificate_file=None if certificate else _path(user_home, user.client_certificate),
        client_key=key,
        client_key_file=None if key else _path(user_home, user.client_key),
        token=user.token,
        token_file=_path(user_home, user.token_file),
        username=user.username,
        password=user.password,
        credential_plugin=_plugin(user.exec, cluster, user_home, where, environ),
        verify=not cluster.insecure_skip_tls_verify,
        server_name=cluster.tls_server_name,
        proxy_url=cluster.proxy_url or environment_proxy(cluster.server, environ),
        headers=_impersonation(user),
        compression=not cluster.disable_compression and not is_loopback(cluster.server),
    )


def _data(encoded: str | None, where: str) -> bytes | None:
    if not encoded:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ConfigurationError(f"{where} is not base64: {error}") from error


def _path(home: Path, value: str | None) -> Path | None:
    return home.absolute() / value if value else None


def _plugin(
    section: _Exec | None, cluster: _Cluster, home: Path, where: str, environ: Mapping[str, str]
) -> ExecPlugin | None:
    if section is None:
        return None
    command = section.command
    if os.sep in command:
        # A bare word is looked up in PATH; anything else counts from the kubeconfig.
        command = str(home.absolute() / command)
    return ExecPlugin(
        command=(command, *(section.args or ())),
        api_version=section.api_version,
        source=where,
        environment={**environ, **{entry.name: entry.value for entry in section.env or ()}},
        cluster=_cluster_info(cluster, home) if section.provide_cluster_info else None,
        install_hint=section.install_hint,
    )


def _cluster_info(cluster: _Cluster, home: Path) -> dict[str, Any]:
    ca = cluster.certificate_authority_data
    file = _path(home, cluster.certificate_authority)
    if not ca and file is not None and file.is_file():
        ca = base64.b64encode(file.read_bytes()).decode()
    extensions = {entry.name: entry.extension for entry in cluster.extensions or ()}
    info = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "certificate-authority-data": ca,
        "proxy-url": cluster.proxy_url,
        "config": extensions.get(EXEC_EXTENSION),
    }
    return {key: value for key, value in info.items() if value}


def _impersonation(user: _User) -> tuple[tuple[str, str], ...]:
    if not user.impersonate:
        return ()
    headers = [("Impersonate-User", user.impersonate)]
    if user.as_uid:
        headers.append(("Impersonate-Uid", user.as_uid))
    headers += [("Impersonate-Group", group) for group in user.as_groups or ()]
    for key, values in sorted((user.as_user_extra or {}).items()):
        headers += [(f"Impersonate-Extra-{quote(key, safe='')}", value) for value in values]
    return tuple(headers)
