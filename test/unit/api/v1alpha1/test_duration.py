"""Durations: reading, writing, refusal."""

from datetime import timedelta

import pytest

from smbpctl.api.v1alpha1.duration import format_duration, parse_duration


class TestParseDuration:
    @pytest.mark.parametrize(
        ("text", "duration"),
        [
            ("0s", timedelta()),
            ("168h", timedelta(days=7)),
            ("90m", timedelta(minutes=90)),
            ("1h30m", timedelta(minutes=90)),
            ("2160h0m0s", timedelta(days=90)),
            ("5ms", timedelta(milliseconds=5)),
            ("1m5ms", timedelta(minutes=1, milliseconds=5)),
            ("1m1m", timedelta(minutes=2)),
        ],
    )
    def test_value(self, text: str, duration: timedelta) -> None:
        """The parts add up; `m` is minutes, `ms` milliseconds."""
        assert parse_duration(text) == duration

    @pytest.mark.parametrize(
        "text", ["", "1", "h", "1d", "-1h", "1.5h", "1h ", "1h\n", "P7D", "100000h", "1s1s1s1s1s"]
    )
    def test_refusal(self, text: str) -> None:
        """Another form is a ValueError naming the text."""
        with pytest.raises(ValueError, match="no duration") as raised:
            parse_duration(text)

        assert repr(text) in str(raised.value)


class TestFormatDuration:
    @pytest.mark.parametrize(
        ("duration", "text"),
        [
            (timedelta(), "0s"),
            (timedelta(days=7), "168h"),
            (timedelta(minutes=90), "1h30m"),
            (timedelta(seconds=1, milliseconds=5), "1s5ms"),
        ],
    )
    def test_shortest_form(self, duration: timedelta, text: str) -> None:
        """Units that are zero are left out."""
        assert format_duration(duration) == text

    @pytest.mark.parametrize("duration", [timedelta(seconds=-1), timedelta(microseconds=1)])
    def test_refusal(self, duration: timedelta) -> None:
        """What the form cannot carry is a ValueError, never rounded."""
        with pytest.raises(ValueError, match="cannot be written"):
            format_duration(duration)
