"""The package's lazy names."""

import importlib

import pytest

import smbpctl.runtime as runtime


class TestNames:
    """What `smbpctl.runtime` offers."""

    @pytest.mark.parametrize("name", runtime.__all__)
    def test_every_name_is_that_of_its_module(self, name: str) -> None:
        """A lazy name is the very object that the module defines, also the second time."""
        value = getattr(runtime, name)

        assert getattr(runtime, name) is value
        if name in runtime._SUBMODULES:
            assert value is importlib.import_module(f"smbpctl.runtime.{name}")
        else:
            home = importlib.import_module(f"smbpctl.runtime.{runtime._MODULE_OF[name]}")
            assert value is getattr(home, name)

    def test_the_lists_agree(self) -> None:
        """What is offered is resolved, and nothing else; no name hides a submodule."""
        resolved = [*runtime._MODULE_OF, *runtime._SUBMODULES]

        assert sorted(resolved) == sorted(runtime.__all__)
        for name in runtime._MODULE_OF:
            assert importlib.util.find_spec(f"smbpctl.runtime.{name}") is None

    def test_dir_shows_the_names_before_they_are_used(self) -> None:
        """Completion in a shell depends on it."""
        assert set(runtime.__all__) <= set(dir(runtime))

    def test_an_unknown_name_is_an_attribute_error(self) -> None:
        """As for any module."""
        with pytest.raises(AttributeError, match=r"'smbpctl\.runtime' has no attribute 'Nothing'"):
            getattr(runtime, "Nothing")  # noqa: B009 - a type checker refuses the plain form
