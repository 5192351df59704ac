"""Tests of what a pod waits for before its containers can be created."""

from typing import Any

import pytest

from smbpctl.runtime.simulation.agents.needs import Need, Source, needs_of
from test.unit.runtime.simulation.agents.builders import container, pod


@pytest.mark.parametrize(
    ("volume", "needs"),
    [
        ({"emptyDir": {}}, []),
        ({"secret": {"secretName": "s"}}, [(Source.SECRET, "s")]),
        ({"secret": {"secretName": "s", "optional": True}}, []),
        ({"secret": {"secretName": "s", "optional": False}}, [(Source.SECRET, "s")]),
        ({"configMap": {"name": "c"}}, [(Source.CONFIG_MAP, "c")]),
        ({"persistentVolumeClaim": {"claimName": "p"}}, [(Source.CLAIM, "p")]),
        ({"ephemeral": {"volumeClaimTemplate": {}}}, [(Source.CLAIM, "web-0-v")]),
        (
            {
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "token"}},
                        {"configMap": {"name": "c"}},
                        {"secret": {"name": "s"}},
                        {"secret": {"name": "maybe", "optional": True}},
                    ]
                }
            },
            [(Source.CONFIG_MAP, "c"), (Source.SECRET, "s")],
        ),
    ],
)
def test_volumes_need_their_sources(
    volume: dict[str, Any], needs: list[tuple[Source, str]]
) -> None:
    """Each kind of volume names what it is made of; optional sources hold nothing up."""
    found = needs_of(pod(volumes=[{"name": "v", **volume}]))

    assert found == tuple(Need(source, name, "v") for source, name in needs)


def test_variables_need_their_sources() -> None:
    """Variables of every container, init containers included, read Secrets and ConfigMaps."""
    reads_key = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    optional = {
        "name": "B",
        "valueFrom": {"configMapKeyRef": {"name": "maybe", "key": "k", "optional": True}},
    }
    plain = [{"name": "C", "value": "1"}, {"name": "D", "valueFrom": {"fieldRef": {}}}]
    found = needs_of(
        pod(
            containers=[container(env=[reads_key, optional, *plain])],
            initContainers=[container(envFrom=[{"configMapRef": {"name": "c"}}])],
        )
    )

    assert set(found) == {Need(Source.SECRET, "s", key="k"), Need(Source.CONFIG_MAP, "c")}


def test_a_need_is_told_once() -> None:
    """Two containers that read the same Secret make one need."""
    reads = container(envFrom=[{"secretRef": {"name": "s"}}])

    assert needs_of(pod(containers=[reads, reads])) == (Need(Source.SECRET, "s"),)
