"""What is said of writes: how they are named, and which failures leave their outcome open."""

import asyncio

import pytest

from smbpctl.runtime.client import Verb, Write, outcome_unknown
from smbpctl.runtime.errors import LeadershipLost, TransportError, status_error
from smbpctl.runtime.meta import GroupVersionKind, ObjectKey

POD = GroupVersionKind("", "v1", "Pod")


class TestWrite:
    @pytest.mark.parametrize(
        ("verb", "subresource", "text"),
        [
            (Verb.DELETE, "", "delete Pod shop/a"),
            (Verb.APPLY, "status", "apply Pod/status shop/a"),
            (Verb.EVICT, "eviction", "evict Pod/eviction shop/a"),
        ],
    )
    def test_it_says_what_is_done_to_what(self, verb: Verb, subresource: str, text: str) -> None:
        """Log lines and errors name verb, kind, subresource and object."""
        assert str(Write(verb, POD, ObjectKey("shop", "a"), subresource)) == text


class TestOutcomeUnknown:
    @pytest.mark.parametrize("code", [500, 502, 504])
    def test_a_server_that_failed_in_the_middle_leaves_it_open(self, code: int) -> None:
        """The write may have been stored before the failure."""
        assert outcome_unknown(status_error({}, code=code))

    @pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 410, 422, 429, 503])
    def test_a_refusal_is_known(self, code: int) -> None:
        """The server says that it did nothing; 503 is answered before any handler runs."""
        assert not outcome_unknown(status_error({}, code=code))

    @pytest.mark.parametrize("sent", [True, False])
    def test_without_answer_it_depends_on_what_was_sent(self, sent: bool) -> None:
        """A connection that was never made has written nothing."""
        assert outcome_unknown(TransportError("lost", sent=sent)) is sent

    def test_a_caller_who_left_does_not_know(self) -> None:
        """Cancelled while waiting for the answer: the request may be under way."""
        assert outcome_unknown(asyncio.CancelledError())

    def test_what_was_never_sent_is_known(self) -> None:
        """A fence or a bad argument stops a write before its first byte."""
        assert not outcome_unknown(LeadershipLost("the lease has passed on"))
        assert not outcome_unknown(ValueError("no name"))
