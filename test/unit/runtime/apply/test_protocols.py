"""Tests that the real client, cache and metrics are what an applier asks for."""

import inspect
from inspect import Parameter
from typing import get_args, get_type_hints

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
        asked, given = (_parameters(getattr(each, name)) for each in (protocol, real))

        assert inspect.iscoroutinefunction(getattr(protocol, name)) == inspect.iscoroutinefunction(
            getattr(real, name)
        )
        assert {each: asked[each].kind for each in asked} == {
            each: given[each].kind for each in asked
        }
        extra = [given[each] for each in given.keys() - asked.keys()]
        assert all(each.default is not Parameter.empty for each in extra)


def _parameters(function: object) -> dict[str, Parameter]:
    """Return the parameters by name; options of an unpacked TypedDict one by one."""
    assert callable(function)
    found: dict[str, Parameter] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not Parameter.VAR_KEYWORD:
            found[name] = parameter
            continue
        (options,) = get_args(parameter.annotation)
        # None stands for "may be left out": a TypedDict gives no default.
        found |= {
            each: Parameter(each, Parameter.KEYWORD_ONLY, default=None, annotation=hint)
            for each, hint in get_type_hints(options).items()
        }
    return found
