"""Everything bad that may come in has its test: the list of both, kept true."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from test.architecture.source_tree import FunctionNode

TEST = Path(__file__).parent.parent
UNIT = "unit/runtime"
EVERYTHING = "property/test_bad_input.py::test_no_object_is_lost_and_none_invented"

CASES: Mapping[str, tuple[str, ...]] = {
    "malformed watch lines": (
        EVERYTHING,
        f"{UNIT}/store/test_decode.py::test_bad_lines_raise",
        f"{UNIT}/informer/test_informer.py::test_a_bad_line_costs_a_list_and_no_object",
        f"{UNIT}/informer/test_lines.py::test_an_unfinished_line_is_bounded",
    ),
    "truncated streams": (
        EVERYTHING,
        f"{UNIT}/informer/test_informer.py::"
        "test_a_truncated_line_is_no_event_and_is_asked_for_again",
        f"{UNIT}/informer/test_informer.py::test_a_list_that_fails_is_repeated_and_never_believed",
        f"{UNIT}/transport/test_session.py::TestNoAnswer::test_broken_answers",
    ),
    "HTML from a proxy": (
        EVERYTHING,
        f"{UNIT}/transport/test_answer.py::test_what_no_api_server_said",
        f"{UNIT}/client/test_live.py::TestGet::test_errors_lead_with_what_was_attempted",
        f"{UNIT}/client/test_live.py::TestListPages::test_a_page_that_is_no_list",
        f"{UNIT}/client/test_live.py::TestWatch::test_what_is_no_watch_rises_on_entering",
        f"{UNIT}/client/test_direct.py::TestObserver::test_is_told_of_failures",
        f"{UNIT}/discovery/test_mapper.py::TestFailures::"
        "test_an_unreadable_answer_is_an_error_and_nothing_more",
    ),
    "objects of 1.5 MB": (
        EVERYTHING,
        f"{UNIT}/store/test_decode.py::test_an_object_of_a_megabyte_and_a_half_is_an_object",
        f"{UNIT}/transport/test_session.py::test_a_large_body_is_sent_without_warning",
        "controlplane/client/test_refusals.py::TestSize::"
        "test_a_custom_resource_of_the_limit_of_etcd",
        "controlplane/client/test_refusals.py::TestSize::test_larger_than_the_server_reads",
    ),
    "objects without names": (
        EVERYTHING,
        f"{UNIT}/store/test_decode.py::test_bad_objects_raise_a_clear_error",
        f"{UNIT}/informer/test_informer.py::test_a_bad_line_costs_a_list_and_no_object",
        f"{UNIT}/client/test_live.py::TestApply::test_without_name",
    ),
    "events for unknown kinds": (
        EVERYTHING,
        f"{UNIT}/store/test_decode.py::test_bad_objects_raise_a_clear_error",
        f"{UNIT}/informer/test_informer.py::test_a_bad_line_costs_a_list_and_no_object",
    ),
    "negative or huge resourceVersions": (
        EVERYTHING,
        f"{UNIT}/store/test_version.py::test_what_is_no_number_is_never_older",
        "controlplane/client/test_watch.py::TestFromAMoment::test_that_is_none_is_refused",
        "controlplane/client/test_watch.py::TestFromAMoment::test_that_lies_ahead_it_waits",
        "controlplane/client/test_collections.py::TestList::test_of_a_moment_that_is_none",
        "controlplane/client/test_collections.py::TestList::test_of_a_moment_that_lies_ahead",
    ),
    "a kubeconfig without users": (
        f"{UNIT}/transport/test_kubeconfig.py::TestContexts::test_without_user_is_anonymous",
        f"{UNIT}/transport/test_kubeconfig.py::TestContexts::test_a_name_that_leads_nowhere",
    ),
    "a token with a newline": (
        f"{UNIT}/transport/test_credentials.py::test_a_token_is_sent_as_bearer",
        f"{UNIT}/transport/test_credentials.py::test_a_token_no_header_can_carry_is_refused",
        "controlplane/client/test_identity.py::TestWhoWeAre::test_the_token_of_a_service_account",
    ),
    "an expired client certificate": (
        f"{UNIT}/transport/test_tls.py::TestUnusable::test_an_expired_client_certificate",
        f"{UNIT}/transport/test_session.py::TestTls::"
        "test_a_refusal_with_an_expired_certificate_names_the_cause",
    ),
    "a CA that rotates": (
        f"{UNIT}/transport/test_session.py::TestTls::test_an_authority_that_rotates_is_followed",
        f"{UNIT}/transport/test_tls.py::TestFiles::test_a_changed_authority_counts_after_a_minute",
    ),
}


@cache
def _tests(path: Path) -> frozenset[str]:
    """Return the tests of a file as pytest names them, without parameters."""
    return frozenset(_named(ast.parse(path.read_text()).body))


def _named(statements: list[ast.stmt]) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, FunctionNode):
            yield statement.name
        elif isinstance(statement, ast.ClassDef):
            yield from (f"{statement.name}::{name}" for name in _named(statement.body))


@pytest.mark.parametrize("case", CASES)
def test_every_case_has_its_tests(case: str) -> None:
    """A test that is renamed or removed is missed here."""
    missing = [
        test
        for test in CASES[case]
        for file, _, name in (test.partition("::"),)
        if not (TEST / file).is_file() or name not in _tests(TEST / file)
    ]

    assert CASES[case]
    assert missing == []
