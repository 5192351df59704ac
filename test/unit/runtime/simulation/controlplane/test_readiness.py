"""Tests of waiting for a server."""

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.simulation.controlplane.certificates import CertificateAuthority
from smbpctl.runtime.simulation.controlplane.ports import LOOPBACK
from smbpctl.runtime.simulation.controlplane.readiness import (
    Deadline,
    Endpoint,
    NotReady,
    wait_until_ready,
)

LONG = timedelta(seconds=50)
Answers = list[tuple[int, str]]
Serve = Callable[[Answers], AbstractContextManager[Endpoint]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """A function that serves the given answers, the last one for ever, and gives the endpoint."""
    authority = CertificateAuthority("test", now=LoopClock().now())
    pair = authority.issue_server("server", hosts=[LOOPBACK], now=LoopClock().now())
    pem = tmp_path / "server.pem"
    pem.write_bytes(pair.certificate + pair.key)

    @contextmanager
    def serving(answers: Answers) -> Iterator[Endpoint]:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = answers[0] if len(answers) == 1 else answers.pop(0)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        server = http.server.HTTPServer((LOOPBACK, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        trust = ssl.create_default_context(cadata=authority.certificate.decode())
        try:
            yield Endpoint("server", server.server_port, "/readyz", trust)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return serving


def test_a_server_that_answers_200_misses_nothing(serve: Serve) -> None:
    """200 means ready."""
    with serve([(200, "ok")]) as endpoint:
        assert endpoint.missing() is None


def test_failed_checks_are_named_and_passed_ones_are_not(serve: Serve) -> None:
    """Of a verbose answer only the failed checks are told, in one line."""
    body = "[+]ping ok\n[-]etcd failed\n[-]rbac failed\nreadyz check failed\n"

    with serve([(500, body)]) as endpoint:
        assert endpoint.missing() == "server: HTTP 500 [-]etcd failed; [-]rbac failed"


def test_an_unstructured_answer_is_told_as_it_is(serve: Serve) -> None:
    """Without check lines the body itself is the reason."""
    with serve([(403, "forbidden")]) as endpoint:
        assert endpoint.missing() == "server: HTTP 403 forbidden"


def test_a_closed_port_is_a_reason_and_no_error(serve: Serve) -> None:
    """A server that does not listen yet is simply not ready."""
    with serve([(200, "ok")]) as endpoint:
        pass

    assert (reason := endpoint.missing()) is not None
    assert reason.startswith("server: ")
    assert "refused" in reason


def test_a_server_with_a_foreign_certificate_is_not_ready(serve: Serve) -> None:
    """Another server on the port is not taken for ours."""
    with serve([(200, "ok")]) as endpoint:
        stranger = Endpoint("server", endpoint.port, "/", ssl.create_default_context())

        assert "CERTIFICATE_VERIFY_FAILED" in (stranger.missing() or "")


def test_waiting_ends_with_the_first_good_answer(serve: Serve) -> None:
    """The endpoint is polled until it is ready, with a look at the processes before each time."""
    looks: list[None] = []
    with (
        serve([(500, ""), (500, ""), (200, "ok")]) as endpoint,
        Deadline(LONG) as deadline,
    ):
        wait_until_ready(endpoint, deadline=deadline, between=lambda: looks.append(None))

    assert len(looks) == 3


def test_a_passed_deadline_tells_the_last_reason(serve: Serve) -> None:
    """After the timeout the error says what was missing."""
    timeout = timedelta(milliseconds=1)
    with (
        serve([(500, "[-]etcd failed")]) as endpoint,
        Deadline(timeout) as deadline,
        pytest.raises(NotReady, match=r"^not ready after 0.001 s: server: HTTP 500 \[-\]etcd"),
    ):
        wait_until_ready(endpoint, deadline=deadline, between=lambda: None)


def test_an_error_between_requests_ends_the_waiting(serve: Serve) -> None:
    """Whatever the look at the processes raises is passed on at once."""

    def dead() -> None:
        raise RuntimeError("etcd died")

    with (
        serve([(500, "")]) as endpoint,
        Deadline(LONG) as deadline,
        pytest.raises(RuntimeError, match="etcd died"),
    ):
        wait_until_ready(endpoint, deadline=deadline, between=dead)


def test_leaving_a_deadline_ends_its_timer() -> None:
    """No thread outlives the waiting."""
    before = set(threading.enumerate())

    with Deadline(LONG):
        (timer,) = set(threading.enumerate()) - before

    timer.join(LONG.total_seconds() / 2)
    assert not timer.is_alive()
