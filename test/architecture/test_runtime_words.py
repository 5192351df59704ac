"""The runtime is for everybody: it knows nothing of the operator it was written for."""

import re

from test.architecture.source_tree import SRC, modules

WORDS = re.compile(r"smbp(?!ctl)|big[ _-]?peer|ditto", re.IGNORECASE)


class TestWords:
    """What may be said in `runtime/`."""

    def test_the_runtime_does_not_speak_of_the_operator(self) -> None:
        """Neither in code nor in prose; the name of the distribution is no secret."""
        said = [
            f"{module.name}:{number}: {line.strip()}"
            for module in modules(SRC / "runtime")
            for number, line in enumerate(module.text.splitlines(), 1)
            if WORDS.search(line)
        ]

        assert said == []

    def test_the_words_are_recognised(self) -> None:
        """In every spelling, and not where they are part of our own name."""
        assert all(map(WORDS.search, ["SMBP", "smbp_x", "BigPeer", "big_peer", "a Ditto Server"]))
        assert not any(map(WORDS.search, ["smbpctl.runtime", "smbpctl_informer_synced"]))
