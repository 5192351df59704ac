"""Which proxy the environment names for a server."""

import pytest

from smbpctl.runtime.transport.proxy import environment_proxy, is_loopback

PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("https://127.0.0.1:6443", True),
        ("https://127.8.9.1", True),
        ("https://[::1]:6443", True),
        ("https://localhost:6443", True),
        ("https://10.0.0.1", False),
        ("https://localhost.example", False),
    ],
)
def test_loopback(server: str, expected: bool) -> None:
    """Every address of this machine counts, names that only look like it do not."""
    assert is_loopback(server) is expected


@pytest.mark.parametrize(
    ("server", "environ", "expected"),
    [
        ("https://a.example", {}, None),
        ("https://a.example", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://a.example", {"https_proxy": PROXY}, PROXY),
        ("https://a.example", {"HTTPS_PROXY": "proxy:3128"}, PROXY),
        ("https://a.example", {"HTTP_PROXY": PROXY}, None),
        ("http://a.example", {"HTTP_PROXY": PROXY}, PROXY),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": PROXY}, None),
    ],
)
def test_the_variable_fits_the_scheme(
    server: str, environ: dict[str, str], expected: str | None
) -> None:
    """Upper and lower case both count; this machine is reached directly."""
    assert environment_proxy(server, environ) == expected


@pytest.mark.parametrize(
    ("no_proxy", "server", "covered"),
    [
        ("*", "https://a.example", True),
        ("a.example", "https://a.example", True),
        ("a.example", "https://b.a.example", True),
        ("a.example", "https://ba.example", False),
        (".a.example", "https://b.a.example", True),
        (".a.example", "https://a.example", False),
        ("A.Example", "https://a.example", True),
        ("10.0.0.0/8", "https://10.1.2.3:6443", True),
        ("10.0.0.0/8", "https://11.1.2.3:6443", False),
        ("10.1.2.3", "https://10.1.2.3", True),
        ("fd00::/8", "https://[fd00::1]:6443", True),
        ("a.example:6443", "https://a.example:6443", True),
        ("a.example:6443", "https://a.example", False),
        ("a.example:443", "https://a.example", True),
        ("b.example, a.example", "https://a.example", True),
        (",,", "https://a.example", False),
    ],
)
def test_no_proxy(no_proxy: str, server: str, covered: bool) -> None:
    """Names, suffixes, addresses, ranges and ports, as kubectl reads them."""
    environ = {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}

    assert environment_proxy(server, environ) == (None if covered else PROXY)
