"""Credentials of several kinds at a real API server, and what is refused to them."""

from dataclasses import replace
from pathlib import Path

import pytest

from smbpctl.runtime.errors import Forbidden, TransportError, Unauthorized
from smbpctl.runtime.meta import ObjectKey
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.runtime.transport import load_config
from test.controlplane.client.world import (
    CONFIG_MAP,
    MINUTE,
    OWNER,
    config_map,
    config_of,
    connected,
)


class TestWhoWeAre:
    """Refusals, and credentials of several kinds."""

    async def test_a_token_nobody_issued(self, control_plane: ControlPlane) -> None:
        """Unauthorized."""
        config = await config_of(control_plane.kubeconfig)
        stranger = replace(
            config,
            client_certificate=None,
            client_certificate_file=None,
            client_key=None,
            client_key_file=None,
            token="nonsense",
        )

        async with connected(stranger) as client:
            with pytest.raises(Unauthorized):
                await client.get(CONFIG_MAP, ObjectKey("default", "a"))

    async def test_a_user_without_permission(
        self, control_plane: ControlPlane, namespace: str
    ) -> None:
        """Forbidden, naming user, verb and resource, for reads, writes and watches."""
        config = await config_of(control_plane.kubeconfig_for("mallory", ()))
        key = ObjectKey(namespace, "a")

        async with connected(config) as client:
            with pytest.raises(Forbidden, match='"mallory" cannot get resource "configmaps"'):
                await client.get(CONFIG_MAP, key)
            with pytest.raises(Forbidden, match="cannot patch resource"):
                await client.apply(config_map(namespace), field_owner=OWNER)
            with pytest.raises(Forbidden, match="cannot watch resource"):
                async with client.watch(
                    CONFIG_MAP, resource_version="", timeout=MINUTE, read_timeout=MINUTE
                ):
                    pytest.fail("the watch must be refused")

    async def test_impersonation(self, control_plane: ControlPlane) -> None:
        """We act as somebody with fewer rights."""
        config = await config_of(control_plane.kubeconfig)
        lesser = replace(config, headers=(("Impersonate-User", "jane"),))

        async with connected(lesser) as client:
            with pytest.raises(Forbidden, match='"jane" cannot get'):
                await client.get(CONFIG_MAP, ObjectKey("default", "a"))

    async def test_the_token_of_a_service_account(
        self, control_plane: ControlPlane, namespace: str, tmp_path: Path
    ) -> None:
        """As a pod has it: token, CA and namespace as files, host and port as variables."""
        token = control_plane.kubectl("create", "token", "default", "-n", namespace).stdout
        (tmp_path / "token").write_text(f"{token.strip()}\n")
        (tmp_path / "ca.crt").write_bytes(control_plane.ca_path.read_bytes())
        (tmp_path / "namespace").write_text(namespace)
        host, _, port = control_plane.url.removeprefix("https://").partition(":")
        environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}

        config = await load_config(environ=environ, service_account=tmp_path)

        account = f"system:serviceaccount:{namespace}:default"
        async with connected(config) as client:
            with pytest.raises(Forbidden, match=f'"{account}" cannot get'):
                await client.get(CONFIG_MAP, ObjectKey(config.namespace, "a"))

    async def test_an_authority_of_somebody_else(self, control_plane: ControlPlane) -> None:
        """Nothing is sent to a server that cannot prove itself."""
        config = replace(await config_of(control_plane.kubeconfig), ca_data=None, ca_file=None)

        async with connected(config) as client:
            with pytest.raises(TransportError, match="not trusted") as caught:
                await client.get(CONFIG_MAP, ObjectKey("default", "a"))

        assert not caught.value.sent
