"""Senseless numbers are found at once."""

from datetime import timedelta
from typing import Any

import pytest

from smbpctl.runtime.controller import ControllerOptions


class TestControllerOptions:
    """How a controller works."""

    @pytest.mark.parametrize(
        "options",
        [
            {"workers": 0},
            {"reconcile_timeout": timedelta(0)},
            {"cache_sync_timeout": timedelta(seconds=-1)},
        ],
        ids=str,
    )
    def test_senseless_options_are_refused(self, options: dict[str, Any]) -> None:
        """Zero workers or no time at all is a mistake."""
        with pytest.raises(ValueError, match=r"must be positive|at least one worker"):
            ControllerOptions(**options)
