"""Errors about objects."""

from smbpctl.api.v1alpha1.errors import FieldError, InvalidSpec
from smbpctl.runtime.errors import TerminalError
from smbpctl.runtime.meta import ObjectKey


def test_field_error_reads_as_path_and_message() -> None:
    """A field error prints the path first."""
    assert str(FieldError("spec.a", "is wrong")) == "spec.a: is wrong"


def test_invalid_spec_is_terminal() -> None:
    """Retrying an invalid object cannot help: the controller forgets it until it is edited."""
    errors = [FieldError("spec.a", "is wrong"), FieldError("spec.b", "too")]

    error = InvalidSpec(ObjectKey("ns", "demo"), errors)

    assert isinstance(error, TerminalError)
    assert error.reason == "InvalidSpec"
    assert error.errors == tuple(errors)
    assert str(error) == "BigPeer ns/demo is invalid: spec.a: is wrong; spec.b: too"
