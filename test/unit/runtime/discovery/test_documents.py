"""Reading discovery documents."""

import msgspec

from smbpctl.runtime.discovery.documents import (
    Aggregated,
    ResourceList,
    read_aggregated,
    read_classic,
)

AGGREGATED = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {"name": "apps", "creationTimestamp": None},
            "versions": [
                {
                    "version": "v1",
                    "freshness": "Current",
                    "resources": [
                        {
                            "resource": "statefulsets",
                            "responseKind": {
                                "group": "apps",
                                "version": "v1",
                                "kind": "StatefulSet",
                            },
                            "scope": "Namespaced",
                            "singularResource": "statefulset",
                            "verbs": ["get", "list"],
                            "shortNames": ["sts"],
                            "subresources": [
                                {"subresource": "status", "verbs": ["get"]},
                                {"subresource": "scale", "verbs": ["get"]},
                            ],
                        }
                    ],
                }
            ],
        },
        {
            "metadata": {"name": "metrics.k8s.io"},
            "versions": [{"version": "v1beta1", "freshness": "Stale"}],
        },
    ],
}


def test_an_aggregated_document() -> None:
    """One answer with everything; a group whose server is down is marked."""
    table, silent = read_aggregated(msgspec.convert(AGGREGATED, Aggregated))

    found = table["apps", "v1"]["StatefulSet"]
    assert (found.plural, found.namespaced) == ("statefulsets", True)
    assert (found.verbs, found.subresources) == ({"get", "list"}, {"status", "scale"})
    assert found.gvk.api_version == "apps/v1"
    assert silent == {("metrics.k8s.io", "v1beta1")}


def test_a_classic_document() -> None:
    """Subresources stand beside their resource and are no kinds of their own."""
    document = {
        "groupVersion": "v1",
        "resources": [
            {"name": "pods", "kind": "Pod", "namespaced": True, "verbs": ["get"]},
            {"name": "pods/eviction", "kind": "Eviction", "namespaced": True, "verbs": ["create"]},
            {"name": "namespaces", "kind": "Namespace", "namespaced": False, "verbs": ["get"]},
        ],
    }

    kinds = read_classic("", "v1", msgspec.convert(document, ResourceList))

    assert sorted(kinds) == ["Namespace", "Pod"]
    assert kinds["Pod"].subresources == {"eviction"}
    assert not kinds["Namespace"].namespaced


def test_of_two_resources_with_one_kind_the_first_counts() -> None:
    """The order is the server's preference."""
    document = {
        "resources": [
            {"name": "firsts", "kind": "Twin", "namespaced": True, "verbs": []},
            {"name": "seconds", "kind": "Twin", "namespaced": True, "verbs": []},
        ]
    }

    kinds = read_classic("g", "v1", msgspec.convert(document, ResourceList))

    assert kinds["Twin"].plural == "firsts"
