"""Desired objects that no server returns as they were sent, and a custom kind to apply them to."""

from typing import Any

_CONDITION: dict[str, Any] = {
    "type": "object",
    "required": ["type", "status"],
    "properties": {
        name: {"type": "string"}
        for name in ("type", "status", "reason", "message", "lastTransitionTime")
    },
}
_WIDGET_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"x-kubernetes-int-or-string": True},
                "limit": {"type": "integer", "default": 5},
                "hosts": {
                    "type": "array",
                    "x-kubernetes-list-type": "set",
                    "items": {"type": "string"},
                },
                "listeners": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": {
                        "type": "object",
                        "required": ["port"],
                        "properties": {
                            "port": {"type": "integer"},
                            "protocol": {"type": "string", "default": "TCP"},
                            "hosts": {"type": "array", "items": {"type": "string"}},
                        },
                    },
                },
                "config": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "groups": {
                    "type": "object",
                    "additionalProperties": {
                        "type": "object",
                        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                    },
                },
            },
        },
        "status": {
            "type": "object",
            "properties": {
                "phase": {"type": "string"},
                "ratio": {"type": "number"},
                "details": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "conditions": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["type"],
                    "items": _CONDITION,
                },
            },
        },
    },
}
WIDGET_CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.apply.example.dev"},
    "spec": {
        "group": "apply.example.dev",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": _WIDGET_SCHEMA},
            }
        ],
    },
}


def pod_template() -> dict[str, Any]:
    """A pod template full of what the server writes differently."""
    container = {
        "name": "web",
        "image": "registry.test/web:1",
        "command": [],
        "args": ["--a"],
        "workingDir": "",
        "env": [{"name": "EMPTY", "value": ""}, {"name": "FULL", "value": "x"}],
        "envFrom": [],
        "ports": [
            {"containerPort": 53, "name": "dns-tcp"},
            {"containerPort": 53, "name": "dns", "protocol": "UDP"},
            {"containerPort": 8080},
        ],
        "resources": {
            "requests": {"cpu": "1000m", "memory": "1024Mi"},
            "limits": {"cpu": 2, "memory": "2048Mi"},
        },
        "livenessProbe": {"httpGet": {"path": "/", "port": "dns-tcp"}, "periodSeconds": 10},
        "readinessProbe": {"tcpSocket": {"port": 8080}},
        "securityContext": {},
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch", "subPath": ""}],
    }
    sidecar = {"name": "sidecar", "image": "registry.test/sidecar:1", "env": [], "ports": []}
    return {
        "metadata": {"labels": {"app": "web"}, "annotations": {}},
        "spec": {
            "containers": [container, sidecar],
            "initContainers": [],
            "volumes": [
                {"name": "scratch", "emptyDir": {}},
                {"name": "sized", "emptyDir": {"sizeLimit": "1024Mi"}},
                {
                    "name": "all",
                    "projected": {"sources": [{"configMap": {"name": "c", "items": []}}]},
                },
            ],
            "nodeSelector": {},
            "tolerations": [],
            "imagePullSecrets": [],
            "securityContext": {},
            "affinity": {},
            "hostAliases": [{"ip": "127.0.0.1", "hostnames": ["a"]}],
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"app": "web"}},
                }
            ],
        },
    }


def odd_specs() -> dict[tuple[str, str], dict[str, Any]]:
    """By apiVersion and kind, bodies that no server returns as they were sent."""
    selector = {"matchLabels": {"app": "web"}}
    claim = {
        "metadata": {"name": "data", "labels": {}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1024Mi"}},
        },
    }
    return {
        ("apps/v1", "StatefulSet"): {
            "spec": {
                "replicas": 0,
                "serviceName": "web",
                "podManagementPolicy": "Parallel",
                "updateStrategy": {"type": "OnDelete"},
                "selector": selector,
                "template": pod_template(),
                "volumeClaimTemplates": [claim],
            }
        },
        ("apps/v1", "Deployment"): {
            "spec": {
                "replicas": 0,
                "selector": selector,
                "template": pod_template(),
                "strategy": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}},
            }
        },
        ("v1", "Service"): {
            "spec": {
                "selector": {"app": "web"},
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "externalIPs": [],
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns"},
                    {"name": "dns-tcp", "port": 53, "targetPort": "dns-tcp"},
                    {"name": "http", "port": 80, "targetPort": 8080},
                ],
            }
        },
        ("v1", "PersistentVolumeClaim"): dict(claim, metadata={}),
        ("v1", "Secret"): {"type": "Opaque", "data": {"empty": "", "key": "dmFsdWU="}},
        ("v1", "ConfigMap"): {"data": {"empty": ""}, "binaryData": {"b": "AA=="}},
        ("policy/v1", "PodDisruptionBudget"): {
            "spec": {"maxUnavailable": "50%", "selector": selector}
        },
        ("networking.k8s.io/v1", "NetworkPolicy"): {
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [],
                "egress": [{"ports": [{"port": 53}, {"port": "dns"}], "to": [{"podSelector": {}}]}],
            }
        },
        ("networking.k8s.io/v1", "Ingress"): {
            "spec": {
                "tls": [],
                "rules": [
                    {
                        "host": "web.test",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "w", "port": {"number": 80}}},
                                }
                            ]
                        },
                    }
                ],
            }
        },
        ("rbac.authorization.k8s.io/v1", "Role"): {
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
        },
        ("autoscaling/v2", "HorizontalPodAutoscaler"): {
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "AverageValue", "averageValue": "1000m"},
                        },
                    }
                ],
            }
        },
        ("apply.example.dev/v1", "Widget"): {
            "spec": {
                "size": "10%",
                "hosts": ["b", "a"],
                "listeners": [
                    {"port": 53, "hosts": []},
                    {"port": 53, "protocol": "UDP"},
                    {"port": 80, "protocol": "TCP", "hosts": ["x"]},
                ],
                "config": {"deep": {"list": [{"a": 1}], "empty": {}, "text": "", "none": []}},
                "groups": {"one": {"a": "x"}, "two": {}},
            }
        },
    }


def odd_objects(namespace: str) -> list[dict[str, Any]]:
    """One object of each kind that no server returns as it was sent."""
    return [
        {
            "apiVersion": api_version,
            "kind": kind,
            **body,
            "metadata": {
                "name": "web",
                "namespace": namespace,
                "labels": {"app": "web"},
                "annotations": {"empty": ""},
            },
        }
        for (api_version, kind), body in odd_specs().items()
    ]
