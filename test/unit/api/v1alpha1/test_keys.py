"""Keys of maps."""

import pytest

from smbpctl.api.v1alpha1.fields import ResourcesSpec
from smbpctl.api.v1alpha1.keys import is_qualified_name, key_errors
from smbpctl.api.v1alpha1.networking import ExposureSpec, PeerSelector
from smbpctl.api.v1alpha1.store import UpdateSpec
from test.support.bigpeers import an_exposure


def exposure_with(**fields: object) -> ExposureSpec:
    """An exposure of type Ingress."""
    return ExposureSpec.model_validate(an_exposure(**fields))


class TestQualifiedName:
    @pytest.mark.parametrize(
        "key", ["a", "A.b_c-1", "example.com/name", "a/b", "n" * 63, f"{'p' * 253}/n"]
    )
    def test_valid(self, key: str) -> None:
        """A name may carry a DNS subdomain as prefix."""
        assert is_qualified_name(key)

    @pytest.mark.parametrize(
        "key",
        [
            "",
            "/",
            "a/",
            "/a",
            "-a",
            "a-",
            "a b",
            "A.com/n",
            "a/b/c",
            "n" * 64,
            f"{'p' * 254}/n",
            "a\n",
        ],
    )
    def test_invalid(self, key: str) -> None:
        """Anything else would make the API server refuse the object that carries it."""
        assert not is_qualified_name(key)


class TestKeyErrors:
    @pytest.mark.parametrize("field", ["annotations", "labels"])
    def test_of_an_exposure(self, field: str) -> None:
        """Malformed keys are named with the map they are in."""
        errors = list(key_errors(exposure_with(**{field: {"a b": "x", "ok": "x"}})))

        assert [name for name, _ in errors] == [field]
        assert "'a b'" in errors[0][1]

    @pytest.mark.parametrize("field", ["annotations", "labels"])
    @pytest.mark.parametrize("key", ["smbpctl.dev/applied-x", "sub.smbpctl.dev/x"])
    def test_reserved_domain(self, field: str, key: str) -> None:
        """Users cannot overwrite what the operator keeps about its objects."""
        errors = list(key_errors(exposure_with(**{field: {key: "x"}})))

        assert [name for name, _ in errors] == [field]
        assert "reserved" in errors[0][1]

    def test_similar_domain_is_free(self) -> None:
        """Only the domain itself and what is below it is reserved."""
        assert not list(key_errors(exposure_with(labels={"notsmbpctl.dev/x": "y"})))

    def test_selectors_may_name_our_labels(self) -> None:
        """Selecting by the operator's labels is fine; malformed keys are not."""
        fine = PeerSelector(match_labels={"smbpctl.dev/x": "y"})
        malformed = PeerSelector(match_labels={"-": "y"})

        assert not list(key_errors(fine))
        assert [field for field, _ in key_errors(malformed)] == ["matchLabels"]

    @pytest.mark.parametrize(
        "name", ["cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "gpu.example.com/a"]
    )
    def test_resources(self, name: str) -> None:
        """Native resources and extended ones with a domain are known to pods."""
        assert not list(key_errors(ResourcesSpec(requests={name: "1"}, limits={name: "1"})))

    @pytest.mark.parametrize("name", ["cpus", "storage", "hugepages-", "pods", "/a"])
    @pytest.mark.parametrize("field", ["requests", "limits"])
    def test_no_resources(self, name: str, field: str) -> None:
        """Other names would make every pod invalid."""
        resources = ResourcesSpec.model_validate({field: {name: "1"}})

        assert [at for at, _ in key_errors(resources)] == [field]

    def test_of_other_models(self) -> None:
        """Objects without free keys have nothing to check."""
        assert not list(key_errors(UpdateSpec()))
