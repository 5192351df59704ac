"""Whom an answer is about, whatever kind of answer it is."""

import pytest

from smbpctl.runtime.consistency.scope import Identity, bound_version, identity_of


@pytest.mark.parametrize(
    ("body", "identity"),
    [
        (b'{"kind":"Status","status":"Success","details":{"uid":"u1"}}', Identity("u1")),
        (b'{"kind":"Status","status":"Success"}', Identity()),
        (
            b'{"kind":"Scale","metadata":{"uid":"u2","resourceVersion":"7"},"spec":{"replicas":3}}',
            Identity("u2", "7"),
        ),
        (b'{"kind":"DeploymentList","metadata":{"resourceVersion":"9"}}', Identity("", "9")),
        (b"<html>", Identity()),
        (b"", Identity()),
        (b'{"metadata":[]}', Identity()),
    ],
)
def test_identity(body: bytes, identity: Identity) -> None:
    """A Status names the UID in its details; what says nothing gives nothing."""
    assert identity_of(body) == identity


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (b'{"metadata":{"resourceVersion":"7"}}', "7"),
        (b'{"kind":"DeleteOptions","preconditions":{"uid":"u","resourceVersion":"8"}}', "8"),
        (b'{"kind":"DeleteOptions","preconditions":{"uid":"u"}}', ""),
        (b'{"metadata":{"name":"a"}}', ""),
        (b'[{"op":"test"}]', ""),
        (b"", ""),
    ],
)
def test_bound_version(body: bytes, version: str) -> None:
    """Objects carry it in their metadata, deletions in their preconditions, patches nowhere."""
    assert bound_version(body) == version
