"""How a Kubernetes Status becomes an exception that says what the caller can do."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbpctl.runtime import errors
from smbpctl.runtime.errors import (
    AlreadyExists,
    ApiStatusError,
    Conflict,
    Gone,
    NameConflict,
    StatusCause,
    TerminalError,
    TransportError,
    status_error,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(["code", "reason", "message", "details"])
DETAILS = st.fixed_dictionaries({}, optional={"causes": JSON, "retryAfterSeconds": JSON})


class TestStatusError:
    @pytest.mark.parametrize(
        ("code", "name"),
        [
            (400, "BadRequest"),
            (401, "Unauthorized"),
            (403, "Forbidden"),
            (404, "NotFound"),
            (405, "MethodNotAllowed"),
            (409, "Conflict"),
            (410, "Gone"),
            (413, "RequestTooLarge"),
            (415, "UnsupportedMediaType"),
            (422, "Invalid"),
            (429, "TooManyRequests"),
            (500, "ServerError"),
            (502, "ServerError"),
            (503, "ServerError"),
            (504, "ServerTimeout"),
            (599, "ServerError"),
            (418, "ApiStatusError"),
        ],
    )
    def test_the_code_chooses_the_type(self, code: int, name: str) -> None:
        """Callers catch types; an unknown code is still an ApiStatusError."""
        error = status_error({"message": "no"}, code=code)

        assert type(error) is getattr(errors, name)
        assert error.code == code

    def test_everything_the_server_said_is_kept(self) -> None:
        """The context leads the message, so that the log says what was attempted."""
        status: dict[str, Any] = {
            "message": "name is too long",
            "reason": "Invalid",
            "code": 422,
            "details": {
                "causes": [{"reason": "FieldValueInvalid", "message": "64", "field": "spec.name"}],
                "retryAfterSeconds": 7,
            },
        }

        error = status_error(status, context="apply StatefulSet shop/web")

        assert str(error) == "apply StatefulSet shop/web: name is too long"
        assert error.reason == "Invalid"
        assert error.causes == (StatusCause("FieldValueInvalid", "64", "spec.name"),)
        assert error.retry_after == timedelta(seconds=7)

    def test_the_http_status_counts_more_than_the_body(self) -> None:
        """Inside a watch there is no HTTP status: then the body's code counts."""
        status = {"code": 410, "reason": "Expired"}

        assert status_error(status, code=500).code == 500
        assert status_error(status).code == 410

    def test_two_conflicts_are_told_apart_by_reason(self) -> None:
        """A taken name needs another answer than a stale write."""
        assert type(status_error({"reason": "AlreadyExists"}, code=409)) is AlreadyExists
        assert type(status_error({"reason": "Conflict"}, code=409)) is Conflict

    def test_expired_is_gone_whatever_the_code(self) -> None:
        """A watch tells it inside HTTP 200."""
        assert type(status_error({"reason": "Expired"}, code=200)) is Gone

    def test_the_header_counts_more_than_the_details(self) -> None:
        """Retry-After is what a proxy or flow control said last."""
        status = {"details": {"retryAfterSeconds": 7}}

        error = status_error(status, code=429, retry_after=timedelta(seconds=1))

        assert error.retry_after == timedelta(seconds=1)

    @pytest.mark.parametrize("seconds", [0, -1, None, "7"])
    def test_a_delay_that_is_none_is_left_out(self, seconds: object) -> None:
        """Retrying at once because of a zero would be a hot loop."""
        error = status_error({"details": {"retryAfterSeconds": seconds}}, code=429)

        assert error.retry_after is None

    @pytest.mark.parametrize(
        ("status", "message"),
        [({"reason": "Gone"}, "Gone"), ({}, "HTTP 503"), ({"message": None}, "HTTP 503")],
    )
    def test_there_is_always_a_message(self, status: dict[str, Any], message: str) -> None:
        """An error without words would leave an empty line in the log."""
        assert str(status_error(status, code=503)) == message

    def test_a_quoted_object_is_left_out(self) -> None:
        """The server quotes it whole where a patch has an unknown field: a Secret in the log."""
        quoted = json.dumps(json.dumps({"data": {"password": "c2VjcmV0", "b": 'a "quote"'}}))
        text = f'patch: Invalid value: {quoted}: strict decoding error: unknown field "x"'
        cause = {"reason": "FieldValueInvalid", "message": text, "field": "patch"}

        error = status_error({"message": text, "details": {"causes": [cause]}}, code=422)

        short = 'patch: Invalid value: strict decoding error: unknown field "x"'
        assert str(error) == short
        assert error.causes[0].message == short

    def test_a_quoted_value_stays(self) -> None:
        """Who wrote it must see what was wrong with it."""
        text = 'spec.replicas: Invalid value: "-3": must be greater than or equal to 0'

        assert str(status_error({"message": text}, code=422)) == text

    @given(st.dictionaries(FIELDS, JSON | DETAILS))
    def test_malformed_bodies_still_give_an_error(self, status: dict[str, Any]) -> None:
        """A proxy may answer anything; what can be read is kept, the rest is ignored."""
        error = status_error(status)

        assert isinstance(error, ApiStatusError)
        assert str(error)
        assert isinstance(error.code, int)


class TestOthers:
    def test_a_transport_error_tells_whether_the_outcome_is_unknown(self) -> None:
        """A request that was never sent can be sent again without a look."""
        assert TransportError("reset", sent=True).sent
        assert not TransportError("refused", sent=False).sent

    def test_a_terminal_error_carries_a_reason_for_a_condition(self) -> None:
        """A taken name is one of them."""
        error = NameConflict("Service shop/web belongs to another owner")

        assert isinstance(error, TerminalError)
        assert error.reason == "NameConflict"
        assert str(error) == error.message == "Service shop/web belongs to another owner"
