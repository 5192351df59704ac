"""SIGTERM and SIGINT: within this process where they are harmless, else in one of its own."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.manager.signals import SIGNALS, stop_on_signals

PROGRAM = """
import asyncio, sys
from smbpctl.runtime.manager.signals import stop_on_signals

async def main():
    stopping = asyncio.Event()
    with stop_on_signals(lambda reason: (print(reason, flush=True), stopping.set())):
        print("ready", flush=True)
        await stopping.wait()
        {after}
    print("ended", flush=True)

asyncio.run(main())
"""
WAITS_FOR_EVER = "await asyncio.Event().wait()"
HANGS = "while True: pass"


def run_program(after: str, *signals: signal.Signals) -> tuple[int, str, str]:
    """Run the program, send it one signal per line that it prints, return how it ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(after=after)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            for number in signals:
                lines.append(process.stdout.readline())
                process.send_signal(number)
            out, error = process.communicate(timeout=20)
        finally:
            process.kill()
    return process.returncode, "".join(lines) + out, error


class TestProcess:
    """What an operator of the process sees."""

    @pytest.mark.parametrize("number", SIGNALS)
    def test_the_first_signal_stops_in_order(self, number: signal.Signals) -> None:
        """The block goes on to its end, and the process ends well."""
        code, out, error = run_program("pass", number)

        assert (code, error) == (0, "")
        assert out == f"ready\ngot {number.name}\nended\n"

    @pytest.mark.parametrize("after", [WAITS_FOR_EVER, HANGS])
    def test_the_second_signal_exits_at_once(self, after: str) -> None:
        """Also when the event loop is kept from running by code that never awaits."""
        code, out, error = run_program(after, signal.SIGTERM, signal.SIGINT)

        assert code == 1
        assert out == "ready\ngot SIGTERM\n"
        assert error == "got SIGINT again: exiting at once\n"


class TestHandlers:
    """Signal handlers are global: they are borrowed, not taken."""

    async def test_handlers_are_given_back(self) -> None:
        """Whatever was set before is set again, also after an error in the block."""
        before = [signal.getsignal(number) for number in SIGNALS]
        within = list(before)

        def block() -> None:
            with stop_on_signals(lambda _reason: None):
                within[:] = [signal.getsignal(number) for number in SIGNALS]
                raise OSError("block")

        with pytest.raises(OSError, match="block"):
            block()

        assert [signal.getsignal(number) for number in SIGNALS] == before
        assert all(handler not in before for handler in within)

    async def test_a_signal_wakes_a_loop_that_waits(self) -> None:
        """The stop does not wait for the next timer or packet."""
        reasons: list[str] = []
        stopping = asyncio.Event()

        def stop(reason: str) -> None:
            reasons.append(reason)
            stopping.set()

        with stop_on_signals(stop):
            LoopClock().call_later(
                timedelta(milliseconds=1), lambda: os.kill(os.getpid(), signal.SIGTERM)
            )
            async with asyncio.timeout(10):
                await stopping.wait()

        assert reasons == ["got SIGTERM"]

    async def test_one_manager_of_a_process_handles_signals(self) -> None:
        """The second would silently take them from the first."""
        with (
            stop_on_signals(lambda _reason: None),
            pytest.raises(RuntimeError, match="another manager handles the signals"),
            stop_on_signals(lambda _reason: None),
        ):
            pytest.fail("must not get here")

    def test_other_threads_cannot_handle_signals(self) -> None:
        """The error says what to do instead."""
        errors: list[str] = []

        async def main() -> None:
            try:
                with stop_on_signals(lambda _reason: None):
                    pass
            except RuntimeError as error:
                errors.append(str(error))

        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        thread.join()

        assert errors == [
            "signals can only be handled in the main thread: use run(handle_signals=False)"
        ]
