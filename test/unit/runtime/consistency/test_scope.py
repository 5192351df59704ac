"""Whom an answer is about, whatever kind of answer it is."""

import pytest

from smbpctl.runtime.consistency.scope import Identity, identity_of


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
