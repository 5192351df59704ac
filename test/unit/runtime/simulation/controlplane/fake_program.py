"""Stands in for every program of a control plane; what it does is told by its name.

Servers answer each HTTPS request on --secure-port with 200. HOME/events gets a line for each
start and end. Files next to the program change its behaviour: die-<name> holds last words,
unready holds a path below which the API server answers 500.
"""

import http.server
import os
import signal
import ssl
import sys
import threading
from pathlib import Path

NAME = Path(sys.argv[0]).name
FOLDER = Path(sys.argv[0]).parent
FLAGS = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)


def record(event: str) -> None:
    """Append one line; short appends to one file do not mix."""
    with (Path(os.environ["HOME"]) / "events").open("a") as events:
        events.write(f"{event} {NAME}\n")


def end(*_: object) -> None:
    """End as a server does when told to."""
    record("end")
    sys.exit(0)


class Answer(http.server.BaseHTTPRequestHandler):
    """Answers every GET."""

    def do_GET(self) -> None:
        """Say ready, or what is not."""
        setting = FOLDER / "unready"
        unready = NAME == "kube-apiserver" and setting.exists()
        unready = unready and self.path.startswith(setting.read_text())
        body = b"[+]ping ok\n[-]etcd failed: reason withheld\n" if unready else b"ok"
        self.send_response(500 if unready else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Binds beside the reserved port, as the real programs do."""

    allow_reuse_port = True


def wait_for_storage() -> None:
    """Be as ready as an API server is: not before etcd has started."""
    events = Path(os.environ["HOME"]) / "events"
    while "start etcd" not in events.read_text():
        threading.Event().wait(0.01)


def serve() -> None:
    """Serve HTTPS until told to end."""
    if NAME == "kube-apiserver":
        wait_for_storage()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FLAGS["--tls-cert-file"], FLAGS["--tls-private-key-file"])
    server = Server((FLAGS["--bind-address"], int(FLAGS["--secure-port"])), Answer)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


def kubectl() -> None:
    """Show what kubectl was given, or fail."""
    if "fail" in sys.argv:
        sys.exit("error: no such thing")
    if sys.argv[2:4] == ["create", "token"]:
        sys.stdout.write(f"token-of {' '.join(sys.argv[4:])}\n")
        return
    sys.stdout.write(f"{sys.argv[1:]} {sys.stdin.read()} {sorted(os.environ)}")


def main() -> None:
    """Do what the name says."""
    if NAME == "kubectl":
        kubectl()
        return
    signal.signal(signal.SIGTERM, end)
    record("start")
    words = FOLDER / f"die-{NAME}"
    if words.exists():
        sys.stdout.write(words.read_text())
        sys.exit(3)
    if NAME != "etcd":
        serve()
    while True:
        signal.pause()


main()
