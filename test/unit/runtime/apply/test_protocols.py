"""Tests that the real client, cache and metrics are what an applier asks for."""

import inspect
from inspect import Parameter

import pytest

from smbpctl.runtime.apply.protocols import ApplyCache, ApplyClient, ApplyMetrics, LiveReader
from smbpctl.runtime.cache import Cache
from smbpctl.runtime.client import Client
from smbpctl.runtime.finalizer import FinalizerClient
from smbpctl.runtime.metrics import Metrics


@pytest.mark.parametrize(
    ("protocol", "real"),
    [
        (ApplyClient, Client),
        (FinalizerClient, Client),
        (ApplyCache, Cache),
        (LiveReader, Cache),
        (ApplyMetrics, Metrics),
    ],
)
def test_the_real_one_takes_what_the_protocol_gives(protocol: type, real: type) -> None:
    """Every parameter exists under its name and kind; what there is more has a default."""
    names = [name for name in dir(protocol) if not name.startswith("_")]
    assert names

    for name in names:
        asked, given = (
            dict(inspect.signature(getattr(each, name)).parameters) for each in (protocol, real)
        )

        assert inspect.iscoroutinefunction(getattr(protocol, name)) == inspect.iscoroutinefunction(
            getattr(real, name)
        )
        assert {each: asked[each].kind for each in asked} == {
            each: given[each].kind for each in asked
        }
        extra = [given[each] for each in given.keys() - asked.keys()]
        assert all(each.default is not Parameter.empty for each in extra)
