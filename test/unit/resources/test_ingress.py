"""Ingress: three prefixes in one object, the user's annotations as they are."""

import pytest

from smbpctl.resources.ingress import ingress
from test.support.bigpeers import an_exposure
from test.support.golden import Golden
from test.support.peers import a_peer, a_production_peer


def test_golden(golden: Golden) -> None:
    """Two exposures: all components with TLS, and the API alone in plaintext."""
    peer = a_production_peer()

    objects = [ingress(peer, exposure) for exposure in peer.spec.exposure]

    golden("ingress/production", [each for each in objects if each is not None])


def test_the_longest_prefix_comes_first() -> None:
    """One object holds all three routes, so that precedence never depends on creation order."""
    peer = a_peer({"spec.exposure": [an_exposure()]})

    made = ingress(peer, peer.spec.exposure[0])

    assert made is not None
    paths = made["spec"]["rules"][0]["http"]["paths"]
    routes = [(path["path"], path["backend"]["service"]["name"]) for path in paths]
    assert routes == [
        ("/_ditto/auth", "demo-auth-server"),
        ("/_ditto", "demo-subscription"),
        ("/", "demo-api"),
    ]


@pytest.mark.parametrize(
    ("component", "service"),
    [("Api", "demo-api"), ("Subscriptions", "demo-subscription"), ("Auth", "demo-auth-server")],
)
def test_a_single_component_gets_every_path(component: str, service: str) -> None:
    """An exposure of one component leads there whatever the path."""
    peer = a_peer({"spec.exposure": [an_exposure(component=component)]})

    made = ingress(peer, peer.spec.exposure[0])

    assert made is not None
    (path,) = made["spec"]["rules"][0]["http"]["paths"]
    assert (path["path"], path["backend"]["service"]["name"]) == ("/", service)


def test_the_users_labels_never_replace_ours() -> None:
    """Labels of the exposure are added; those that we select by stay."""
    labels = {"team": "edge", "smbpctl.dev/bigpeer": "stolen"}
    peer = a_peer({"spec.exposure": [an_exposure(labels=labels)]})

    made = ingress(peer, peer.spec.exposure[0])

    assert made is not None
    assert made["metadata"]["labels"]["team"] == "edge"
    assert made["metadata"]["labels"]["smbpctl.dev/bigpeer"] == "demo"


def test_another_type_has_no_ingress() -> None:
    """An exposure without the member `ingress` is carried by another object."""
    peer = a_peer({"spec.exposure": [an_exposure()]})
    exposure = peer.spec.exposure[0].model_copy(update={"ingress": None})

    assert ingress(peer, exposure) is None
