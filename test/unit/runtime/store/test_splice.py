"""managedFields leaves the bytes wherever it stands, with exactly one comma."""

import pytest

from smbpctl.runtime.store.splice import without_managed_fields

VALUE = b'[{"manager":"m"}]'


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            b'{"metadata":{"labels":{},"managedFields":%b,"name":"a"},"spec":1}',
            b'{"metadata":{"labels":{},"name":"a"},"spec":1}',
        ),
        (
            b'{"metadata":{"managedFields":%b,"name":"a"}}',
            b'{"metadata":{"name":"a"}}',
        ),
        (
            b'{"metadata":{"name":"a","managedFields":%b}}',
            b'{"metadata":{"name":"a"}}',
        ),
        (
            b'{"metadata":{"managedFields":%b}}',
            b'{"metadata":{}}',
        ),
        (
            b'{"metadata": {"name": "a", "managedFields": %b }, "spec": 1}',
            b'{"metadata": {"name": "a" }, "spec": 1}',
        ),
        (
            b'{"metadata":{"managed\\u0046ields":%b,"name":"a"}}',
            b'{"metadata":{"name":"a"}}',
        ),
        (
            b'{"a":{"managedFields":[{"manager":"m"}]},"metadata":{"managedFields":%b,"name":"a"}}',
            b'{"a":{"managedFields":[{"manager":"m"}]},"metadata":{"name":"a"}}',
        ),
        (
            b'{"a":{"managedFields":[{"manager":"x"}]},"metadata":{"managed\\u0046ields":%b}}',
            b'{"a":{"managedFields":[{"manager":"x"}]},"metadata":{}}',
        ),
        (
            b'{"metadata":{"annotations":{"managedFields":"]"},"managedFields":%b}}',
            b'{"metadata":{"annotations":{"managedFields":"]"}}}',
        ),
        (
            b'{"a":{"metadata":{"managedFields":7}},"metadata":{"name":"\\"}","managedFields":%b}}',
            b'{"a":{"metadata":{"managedFields":7}},"metadata":{"name":"\\"}"}}',
        ),
    ],
    ids=[
        "middle",
        "first",
        "last",
        "only",
        "white space",
        "escaped key",
        "embedded twin",
        "escaped key beside a namesake",
        "annotation of that name",
        "embedded object",
    ],
)
def test_only_the_member_of_metadata_goes(raw: bytes, expected: bytes) -> None:
    """All other bytes stay as they are, namesakes elsewhere included."""
    assert without_managed_fields(raw % VALUE, VALUE) == expected
