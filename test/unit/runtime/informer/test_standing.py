"""How an informer stands: trouble has a beginning, and is over when streaming."""

from datetime import UTC, datetime, timedelta

from smbpctl.runtime.informer.listwatch import (
    InformerState,
    List,
    ListReason,
    Pause,
    ReadVerb,
)
from smbpctl.runtime.informer.standing import Standing

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
THEN = List(ListReason.FAILED)
REFUSED = Pause(THEN, InformerState.FORBIDDEN, "watch: no", ReadVerb.WATCH)
BROKEN = Pause(THEN, InformerState.DEGRADED, "list: reset", ReadVerb.LIST)


def test_trouble_lasts_from_its_beginning_until_streaming() -> None:
    """Further attempts and other troubles in between do not begin it anew."""
    standing = Standing(InformerState.LISTING, since=NOW)

    refused = standing.after(REFUSED, NOW + SECOND)
    trying = refused.after(InformerState.LISTING, NOW + 2 * SECOND)
    broken = trying.after(BROKEN, NOW + 3 * SECOND)
    healed = broken.after(InformerState.STREAMING, NOW + 4 * SECOND)

    began = NOW + SECOND
    assert refused == Standing(InformerState.FORBIDDEN, "watch: no", ReadVerb.WATCH, began)
    assert trying == Standing(InformerState.LISTING, "watch: no", ReadVerb.WATCH, began)
    assert broken == Standing(InformerState.DEGRADED, "list: reset", ReadVerb.LIST, began)
    assert healed == Standing(InformerState.STREAMING, since=NOW + 4 * SECOND)


def test_without_trouble_it_dates_from_the_state() -> None:
    """A state that is entered again has not changed."""
    listing = Standing().after(InformerState.LISTING, NOW)
    streaming = listing.after(InformerState.STREAMING, NOW + SECOND)

    assert listing.since == NOW
    assert streaming.since == NOW + SECOND
    assert streaming.after(InformerState.STREAMING, NOW + 9 * SECOND) is streaming


def test_text_names_the_missing_verb_and_the_reason() -> None:
    """It is what readiness shows."""
    assert str(Standing()) == "init"
    assert str(Standing().after(REFUSED, NOW)) == "forbidden to watch (watch: no)"
    assert str(Standing().after(BROKEN, NOW)) == "degraded (list: reset)"
