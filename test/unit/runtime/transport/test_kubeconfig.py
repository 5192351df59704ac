"""Kubeconfigs: what is read from them, how several are merged, and what is wrong with bad ones."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.transport import ClusterConfig, load_config
from smbpctl.runtime.transport.exec_plugin import ExecPlugin


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _document(
    cluster: dict[str, Any] | None = None,
    user: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://a.example", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", **(context or {})}}],
        "current-context": "x",
    }


def _write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document))
    return path


async def _load(path: Path, context: str | None = None, **environ: str) -> ClusterConfig:
    return await load_config(path, context, environ=environ)


async def test_cluster_user_and_context_are_read(tmp_path: Path) -> None:
    """Every field that the transport knows."""
    path = _write(
        tmp_path / "config",
        _document(
            cluster={
                "certificate-authority-data": _base64(b"CA"),
                "tls-server-name": "api",
                "proxy-url": "http://proxy:3128",
                "insecure-skip-tls-verify": True,
            },
            user={
                "client-certificate-data": _base64(b"CERT"),
                "client-key-data": _base64(b"KEY"),
                "token": "secret",
                "username": "me",
                "password": "pw",
            },
            context={"namespace": "ns"},
        ),
    )

    config = await _load(path)

    assert config == ClusterConfig(
        server="https://a.example",
        source=f"kubeconfig {path}, context x",
        namespace="ns",
        user_hint="u",
        ca_data=b"CA",
        client_certificate=b"CERT",
        client_key=b"KEY",
        token="secret",
        username="me",
        password="pw",
        verify=False,
        server_name="api",
        proxy_url="http://proxy:3128",
        compression=True,
    )


async def test_files_count_from_the_kubeconfig(tmp_path: Path) -> None:
    """Relative paths are relative to the file they stand in, absolute ones stay."""
    path = _write(
        tmp_path / "deep" / "config",
        _document(
            cluster={"certificate-authority": "ca.crt"},
            user={
                "client-certificate": "../tls.crt",
                "client-key": "/etc/tls.key",
                "tokenFile": "token",
            },
        ),
    )

    config = await _load(path)

    assert config.ca_file == tmp_path / "deep" / "ca.crt"
    assert config.client_certificate_file == tmp_path / "deep" / ".." / "tls.crt"
    assert config.client_key_file == Path("/etc/tls.key")
    assert config.token_file == tmp_path / "deep" / "token"


async def test_data_wins_over_the_file(tmp_path: Path) -> None:
    """As in client-go."""
    path = _write(
        tmp_path / "config",
        _document(
            cluster={
                "certificate-authority": "ca.crt",
                "certificate-authority-data": _base64(b"CA"),
            }
        ),
    )

    config = await _load(path)

    assert (config.ca_data, config.ca_file) == (b"CA", None)


class TestContexts:
    """Which cluster and which user."""

    async def test_another_than_the_current_can_be_named(self, tmp_path: Path) -> None:
        """By its name."""
        document = _document()
        document["clusters"].append({"name": "d", "cluster": {"server": "https://d.example"}})
        document["contexts"].append({"name": "y", "context": {"cluster": "d", "user": "u"}})

        config = await _load(_write(tmp_path / "config", document), "y")

        assert config.server == "https://d.example"

    @pytest.mark.parametrize("users", [None, [], "absent"])
    async def test_without_user_is_anonymous(self, tmp_path: Path, users: object) -> None:
        """A context without user is legal, also for https, also where there are no users at all."""
        document = _document()
        del document["contexts"][0]["context"]["user"]
        if users == "absent":
            del document["users"]
        else:
            document["users"] = users

        config = await _load(_write(tmp_path / "config", document))

        assert (config.token, config.client_certificate, config.user_hint) == (None, None, "")

    @pytest.mark.parametrize("context", ["", "none"])
    async def test_none_chosen(self, tmp_path: Path, context: str) -> None:
        """Without current-context one must be named."""
        document = _document()
        document["current-context"] = ""
        path = _write(tmp_path / "config", document)

        with pytest.raises(ConfigurationError, match=f"kubeconfig {path}: .*context"):
            await _load(path, context or None)

    @pytest.mark.parametrize("section", ["contexts", "clusters", "users"])
    async def test_a_name_that_leads_nowhere(self, tmp_path: Path, section: str) -> None:
        """A user that is named and missing would silently be anonymous: an error too."""
        document = _document()
        document[section] = []
        path = _write(tmp_path / "config", document)

        with pytest.raises(ConfigurationError, match=f"{path}: {section} has no entry named"):
            await _load(path)


class TestSeveralFiles:
    """$KUBECONFIG is a list."""

    async def test_the_first_to_say_something_wins(self, tmp_path: Path) -> None:
        """Also for current-context, where kubernetes_asyncio alone would take the last."""
        first, second = _document(), _document()
        second["current-context"] = "y"
        second["clusters"][0]["cluster"]["server"] = "https://second.example"
        paths = [_write(tmp_path / "1", first), _write(tmp_path / "2", second)]

        config = await load_config(environ={"KUBECONFIG": os.pathsep.join(map(str, paths))})

        assert config.server == "https://a.example"
        assert config.source.endswith("context x")

    async def test_parts_complete_each_other(self, tmp_path: Path) -> None:
        """Paths count from the file that names them, not from the first."""
        contexts = _document()
        clusters = _document(cluster={"certificate-authority": "ca.crt"})
        del contexts["clusters"], clusters["contexts"], clusters["current-context"]
        paths = [
            tmp_path / "missing",
            _write(tmp_path / "1" / "config", contexts),
            _write(tmp_path / "2" / "config", clusters),
        ]

        config = await load_config(environ={"KUBECONFIG": os.pathsep.join(map(str, paths))})

        assert config.ca_file == tmp_path / "2" / "ca.crt"

    async def test_none_exists(self, tmp_path: Path) -> None:
        """The message lists them."""
        listed = f"{tmp_path}/1{os.pathsep}{tmp_path}/2"

        with pytest.raises(ConfigurationError, match=f"{tmp_path}/1, {tmp_path}/2 does not exist"):
            await load_config(environ={"KUBECONFIG": listed})


class TestMalformed:
    """Each message names the file and the field."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is malformed"),
            ("just text", "is malformed"),
            ("a: [1", "is not YAML"),
            ("\ttab: x", "is not YAML"),
            ("clusters: text", r"is malformed: .*\$.clusters"),
            ("users: [{user: {}}]", r"is malformed: .*name.*\$.users\[0\]"),
            ("contexts: [{name: 1}]", r"is malformed: .*\$.contexts\[0\].name"),
        ],
    )
    async def test_documents(self, tmp_path: Path, text: str, message: str) -> None:
        """Files that are no kubeconfig."""
        path = tmp_path / "config"
        path.write_text(text)

        with pytest.raises(ConfigurationError, match=f"kubeconfig {path} {message}"):
            await _load(path)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"cluster": {"server": None}}, "cluster 'c': .*server"),
            ({"cluster": {"server": "a.example"}}, "'a.example' is not an HTTP URL"),
            ({"cluster": {"insecure-skip-tls-verify": "yes"}}, "insecure-skip-tls-verify"),
            ({"cluster": {"certificate-authority-data": "?"}}, "certificate-authority-data"),
            ({"user": {"client-key-data": "?"}}, "client-key-data is not base64"),
            ({"user": {"token": 5}}, "user 'u': .*token"),
            ({"user": {"exec": {"apiVersion": "v1"}}}, "user 'u': .*command"),
            ({"user": {"auth-provider": {"name": "oidc"}}}, "auth-provider 'oidc'.*kubelogin"),
            ({"context": {"cluster": None}}, "context 'x': .*cluster"),
        ],
    )
    async def test_fields(self, tmp_path: Path, change: dict[str, Any], message: str) -> None:
        """Values that cannot be used."""
        path = _write(tmp_path / "config", _document(**change))

        with pytest.raises(ConfigurationError, match=f"(?s)kubeconfig {path}.*{message}"):
            await _load(path)

    async def test_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        """Binary content."""
        path = tmp_path / "config"
        path.write_bytes(b"\xff\xfe\x00")

        with pytest.raises(ConfigurationError, match=f"kubeconfig {path} is unreadable"):
            await _load(path)

    async def test_a_path_that_would_be_taken_for_two(self, tmp_path: Path) -> None:
        """The library underneath splits paths; better an error than the wrong files."""
        path = _write(tmp_path / f"a{os.pathsep}b", _document())

        with pytest.raises(ConfigurationError, match="the path contains"):
            await _load(path)


class TestExec:
    """The exec section becomes a plugin; nothing runs while it is read."""

    async def test_is_read_completely(self, tmp_path: Path) -> None:
        """Arguments, environment, hint, and the cluster where it is asked for."""
        exec_section = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "login",
            "args": ["--quiet"],
            "env": [{"name": "REGION", "value": "eu"}],
            "installHint": "install login",
            "provideClusterInfo": True,
            "interactiveMode": "IfAvailable",
        }
        extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}
        (tmp_path / "ca.crt").write_bytes(b"CA")
        path = _write(
            tmp_path / "config",
            _document(
                cluster={"certificate-authority": "ca.crt", "extensions": [extension]},
                user={"exec": exec_section},
            ),
        )

        plugin = (await _load(path, PATH="/bin")).credential_plugin

        assert plugin == ExecPlugin(
            command=("login", "--quiet"),
            api_version="client.authentication.k8s.io/v1",
            source=f"kubeconfig {path}, context x",
            environment={"PATH": "/bin", "REGION": "eu"},
            cluster={
                "server": "https://a.example",
                "certificate-authority-data": _base64(b"CA"),
                "config": {"audience": "a"},
            },
            install_hint="install login",
        )

    @pytest.mark.parametrize(
        ("command", "expected"),
        [("login", "login"), ("./login", "{}/login"), ("bin/login", "{}/bin/login"), ("/l", "/l")],
    )
    async def test_a_path_counts_from_the_kubeconfig(
        self, tmp_path: Path, command: str, expected: str
    ) -> None:
        """A bare word is looked up in PATH."""
        section = {"apiVersion": "v1", "command": command}
        path = _write(tmp_path / "config", _document(user={"exec": section}))

        plugin = (await _load(path)).credential_plugin

        assert isinstance(plugin, ExecPlugin)
        assert plugin.command == (expected.format(tmp_path),)


async def test_impersonation_becomes_headers(tmp_path: Path) -> None:
    """Ignoring it would act with more rights than the kubeconfig grants."""
    user = {
        "as": "jane",
        "as-uid": "7",
        "as-groups": ["a", "b"],
        "as-user-extra": {"example.org/scope": ["s"]},
    }

    config = await _load(_write(tmp_path / "config", _document(user=user)))

    assert config.headers == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-example.org%2Fscope", "s"),
    )


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        ({}, True),
        ({"disable-compression": True}, False),
        ({"server": "https://127.0.0.1:6443"}, False),
    ],
)
async def test_compression_is_for_far_servers(
    tmp_path: Path, cluster: dict[str, Any], expected: bool
) -> None:
    """Not for one on this machine, and not where it is switched off."""
    config = await _load(_write(tmp_path / "config", _document(cluster=cluster)))

    assert config.compression is expected


async def test_the_proxy_of_the_environment_is_the_last_resort(tmp_path: Path) -> None:
    """`proxy-url` wins over it."""
    plain = _write(tmp_path / "plain", _document())
    own = _write(tmp_path / "own", _document(cluster={"proxy-url": "http://own:1"}))

    proxies = [(await _load(path, HTTPS_PROXY="http://env:1")).proxy_url for path in (plain, own)]

    assert proxies == ["http://env:1", "http://own:1"]


async def test_json_is_yaml(tmp_path: Path) -> None:
    """Tools write kubeconfigs as JSON, too."""
    path = tmp_path / "config"
    path.write_text(json.dumps(_document()))

    config = await _load(path)

    assert config.server == "https://a.example"
