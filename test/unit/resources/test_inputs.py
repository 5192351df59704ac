"""Inputs: plain values, without which the objects are still well defined."""

import dataclasses

from smbpctl.resources.inputs import Inputs


def test_every_value_but_the_image_prefix_has_a_neutral_default() -> None:
    """`render` knows neither Secrets nor platform: what it leaves out must mean "nothing known"."""
    inputs = Inputs(image_prefix="registry.test")

    values = dataclasses.asdict(inputs)

    assert values.pop("image_prefix") == "registry.test"
    assert not any(values.values())
