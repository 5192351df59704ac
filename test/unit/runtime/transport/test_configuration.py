"""`ClusterConfig`: what cannot work is refused early."""

import pytest

from smbpctl.runtime.errors import ConfigurationError
from smbpctl.runtime.transport import ClusterConfig


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"server": "10.0.0.1:6443"}, "here: server '10.0.0.1:6443' is not an HTTP URL"),
        ({"server": ""}, "is not an HTTP URL"),
        ({"server": "https://a", "proxy_url": "socks5://p"}, "here: proxy-url: socks5"),
    ],
)
def test_what_cannot_work_is_refused_early(config: dict[str, str], message: str) -> None:
    """Before a connection is tried."""
    with pytest.raises(ConfigurationError, match=message):
        ClusterConfig(source="here", **config)


def test_the_base_url_has_no_trailing_slash() -> None:
    """Paths are put behind it, below a prefix where there is one."""
    assert ClusterConfig(server="https://rancher/k8s/c-1/").base_url == "https://rancher/k8s/c-1"
