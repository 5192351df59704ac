"""Runs the replay server: `python -m benchmarks.replay OBJECTS`; obeys lines on standard input.

Prints its URL first. `play EVENTS RATE` has changes sent, `expire` ends the watch so that the
client lists again, `requests` prints the counts by verb as JSON. It ends with its standard input.
"""

import argparse
import json
import sys
import threading

from benchmarks.replay.server import Play, ReplayServer


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay")
    parser.add_argument("objects", type=int)
    server = ReplayServer(parser.parse_args().objects)
    threading.Thread(target=server.serve, daemon=True).start()
    print(server.url, flush=True)
    for line in sys.stdin:
        match line.split():
            case ["play", events, rate]:
                server.play(Play(int(events), float(rate)))
            case ["expire"]:
                server.expire()
            case ["requests"]:
                print(json.dumps(server.counts()), flush=True)
            case _:
                raise SystemExit(f"unknown command {line!r}")


if __name__ == "__main__":
    main()
