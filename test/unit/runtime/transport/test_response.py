"""Headers as the seam has them; what reads bodies is tested with the transport itself."""

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from smbpctl.runtime.transport.response import Headers

HEADERS = Headers(
    CIMultiDictProxy(
        CIMultiDict([("Content-Type", "a"), ("Warning", '299 - "b"'), ("warning", '299 - "c"')])
    )
)


@pytest.mark.parametrize("name", ["content-type", "Content-Type"])
def test_names_have_no_case(name: str) -> None:
    """HTTP has none, and proxies change it."""
    assert HEADERS[name] == "a"
    assert name in HEADERS


def test_repeated_ones_are_joined() -> None:
    """A server warns with one header for each warning."""
    assert HEADERS.get("warning") == '299 - "b", 299 - "c"'


def test_one_that_is_not_there() -> None:
    """It is missing, or what the caller says."""
    assert HEADERS.get("date", "") == ""
    with pytest.raises(KeyError):
        HEADERS["date"]


def test_each_name_is_there_once() -> None:
    """In small letters."""
    assert dict(HEADERS) == {"content-type": "a", "warning": '299 - "b", 299 - "c"'}
    assert len(HEADERS) == 2
