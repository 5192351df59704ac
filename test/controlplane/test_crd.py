"""The CRD on a real API server: every rule bites, and Python agrees with the server."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from smbpctl.api.v1alpha1 import BigPeer, FieldError, InvalidSpec, validate
from smbpctl.api.v1alpha1.schema import crd, object_schema, to_yaml
from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.simulation.controlplane import ControlPlane
from test.support.bigpeer_rules import RULE_CASES, RuleCase, rules_in
from test.support.bigpeer_values import REFUSED, TAKEN, ValueCase
from test.support.bigpeers import edited, exposed_peer, external_peer, strimzi_peer

SAMPLE = Path(__file__).parents[2] / "config" / "samples" / "bigpeer.yaml"
NAME = "bigpeers.smbpctl.dev"


def eventually(
    ask: Callable[[], subprocess.CompletedProcess[str]],
    enough: Callable[[subprocess.CompletedProcess[str]], bool],
) -> subprocess.CompletedProcess[str]:
    """Ask until the answer is good enough or half a minute is over; return the last answer."""
    deadline = time.monotonic() + 30
    while True:
        answer = ask()
        if enough(answer) or time.monotonic() > deadline:
            return answer
        time.sleep(0.2)


@pytest.fixture(scope="module")
def crd_installed(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane that serves BigPeer."""
    before = control_plane.kubectl("get", "crd", NAME, "--ignore-not-found").stdout
    applied = control_plane.kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=to_yaml(crd())
    )
    assert "Warning" not in applied.stderr
    # `kubectl wait` fails at once when it looks before the server wrote the first condition.
    waited = eventually(
        lambda: control_plane.kubectl(
            "wait", "--for=condition=Established", f"crd/{NAME}", check=False
        ),
        lambda answer: answer.returncode == 0,
    )
    assert waited.returncode == 0, waited.stderr

    yield control_plane

    if not before:
        control_plane.kubectl("delete", "crd", NAME)


@pytest.fixture
def server(crd_installed: ControlPlane, namespace: str) -> "Server":
    """The API server, with a namespace of the test's own."""
    return Server(crd_installed, namespace)


@pytest.fixture(scope="module")
def judge(crd_installed: ControlPlane) -> "Server":
    """The API server, asked what it thinks of objects; none of them stays."""
    return Server(crd_installed, "default")


class Server:
    """What a user with kubectl sees."""

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._control_plane = control_plane
        self.namespace = namespace

    def kubectl(
        self, *args: str, manifest: Manifest | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the namespace, with a manifest on its standard input."""
        stdin = json.dumps(manifest) if manifest is not None else None
        return self._control_plane.kubectl("-n", self.namespace, *args, stdin=stdin, check=check)

    def refusal(self, manifest: Manifest, old: Manifest | None = None) -> str:
        """Try to create an object, or to change `old` into it; return what the server objects.

        Nothing is left behind.
        """
        if old is not None:
            self.kubectl("create", "-f", "-", manifest=old)
        tried = self.kubectl(
            "create" if old is None else "replace",
            "--validate=strict", "--dry-run=server", "-f", "-", manifest=manifest, check=False,
        )  # fmt: skip
        if old is not None:
            self.kubectl("delete", "bigpeer", old["metadata"]["name"])
        return tried.stderr if tried.returncode else ""

    def stored(self, manifest: Manifest) -> dict[str, Any]:
        """Create an object and return it as the server keeps it."""
        answer = self.kubectl("create", "-f", "-", "-o", "json", manifest=manifest)
        return dict(json.loads(answer.stdout))


def in_python(manifest: Manifest, old: Manifest | None = None) -> tuple[FieldError, ...]:
    """Return what our own code objects to."""
    previous = BigPeer.parse(old) if old is not None else None
    try:
        return validate(BigPeer.parse(manifest, strict=True), previous=previous)
    except InvalidSpec as error:
        return error.errors


def blames(errors: str, field: str) -> bool:
    """Tell whether the server's answer names a field the way kubectl prints it."""
    return f"{field}: " in errors or f"{field}." in errors


def test_every_rule_of_the_crd_has_a_case() -> None:
    """The rules of the CRD and the cases match one to one: no rule without proof, none twice."""
    rules = Counter(rules_in(object_schema()))

    cases = Counter(case.rule for case in RULE_CASES)

    assert cases == rules
    assert set(rules.values()) == {1}


@pytest.mark.parametrize("case", RULE_CASES, ids=str)
def test_rule_lets_pass_and_refuses(case: RuleCase, judge: Server) -> None:
    """Each rule takes its good object, and refuses its bad one with a message naming the field."""
    accepted = judge.refusal(case.good, case.old)
    refused = judge.refusal(case.bad, case.old)

    assert accepted == ""
    assert case.message in refused
    assert blames(refused, case.blamed)
    assert case.blamed.rpartition(".")[2] in case.message


@pytest.mark.parametrize("case", RULE_CASES, ids=str)
def test_python_agrees_on_rules(case: RuleCase) -> None:
    """`validate` judges the objects of every rule as the server does, with the same words."""
    accepted = in_python(case.good, case.old)
    refused = in_python(case.bad, case.old)

    assert accepted == ()
    assert FieldError(case.blamed, case.message) in refused


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_schema_refuses(case: ValueCase, judge: Server) -> None:
    """A malformed value is refused by the server and by `parse`, both naming the field."""
    by_server = judge.refusal(case.manifest)
    by_python = in_python(case.manifest)

    assert blames(by_server, case.names)
    assert any(error.field.startswith(case.names) for error in by_python)


@pytest.mark.parametrize("case", TAKEN, ids=str)
def test_schema_takes(case: ValueCase, judge: Server) -> None:
    """A value at the limits is taken by the server and by Python."""
    by_server = judge.refusal(case.manifest)
    by_python = in_python(case.manifest)

    assert by_server == ""
    assert by_python == ()


@pytest.mark.parametrize(
    "field", ["spec.shape", "spec.store.mrf", "spec.exposure[0].ingress.class", "status.phase"]
)
def test_unknown_fields_are_refused(field: str, judge: Server) -> None:
    """Strict field validation names a field that is not in the schema; so does strict parsing."""
    manifest = edited(exposed_peer(), {field: "x"})

    by_server = judge.refusal(manifest)
    by_python = in_python(manifest)

    assert f'unknown field "{field}"' in by_server
    assert FieldError(field, "is not a known field") in by_python


def test_static_defaults_are_persisted(server: Server) -> None:
    """What the server fills in is exactly the static defaults, and Python fills in the same."""
    written = edited(strimzi_peer(), {"spec.exposure": exposed_peer()["spec"]["exposure"]})

    spec = server.stored(written)["spec"]

    assert spec == {
        "version": "1.63.2",
        "image": {"pullPolicy": "IfNotPresent"},
        "store": {"partitions": 1, "replicas": 3, "storage": {"size": "10Gi"}},
        "api": {"replicas": 2},
        "subscriptions": {"replicas": 2},
        "auth": {"replicas": 2},
        "transactionLog": {
            "type": "Strimzi",
            "strimzi": {"brokers": 3, "storage": {"size": "10Gi"}},
            "topic": {"retention": "168h", "maxMessageBytes": 104857600},
        },
        "tls": {"type": "CertManager"},
        "exposure": [
            {
                "name": "web",
                "type": "Ingress",
                "component": "All",
                "hosts": ["web.example.com"],
                "tls": {"mode": "Terminate"},
                "ingress": {"className": "nginx", "pathType": "Prefix"},
            }
        ],
        "networkPolicy": {"enabled": True},
        "update": {"settleSeconds": 10},
        "deletionPolicy": "Retain",
    }
    assert BigPeer.parse(edited(written, {"spec": spec})).spec == BigPeer.parse(written).spec


def test_members_are_filled_in_when_they_are_given(server: Server) -> None:
    """A member that is present gets its own fields' defaults; `type` gets the union's."""
    written = edited(
        external_peer(),
        {
            "spec.transactionLog.external.authentication": {},
            "spec.tls": {"certManager": {"issuerRef": {"name": "corp"}}},
        },
    )

    spec = server.stored(written)["spec"]

    assert spec["transactionLog"]["external"]["authentication"] == {"type": "None"}
    assert spec["tls"] == {
        "type": "CertManager",
        "certManager": {
            "issuerRef": {"name": "corp", "kind": "Issuer", "group": "cert-manager.io"},
            "duration": "2160h",
            "renewBefore": "720h",
        },
    }


def test_switching_a_union_needs_no_more_than_the_new_member(server: Server) -> None:
    """No default of the old member is in the way when the type of a union changes."""
    server.stored(external_peer())
    secrets = {name: {"name": "x"} for name in ("ca", "inBand", "jwt")}
    patch = {"spec": {"tls": {"type": "Secrets", "secrets": secrets}}}

    answer = server.kubectl(
        "patch", "bigpeer", "demo", "--type=merge", "-o", "json", "-p", json.dumps(patch)
    )

    assert json.loads(answer.stdout)["spec"]["tls"]["type"] == "Secrets"


def test_sample_is_accepted(judge: Server) -> None:
    """The sample in the repository is valid for the server and for us."""
    sample = yaml.safe_load(SAMPLE.read_text())

    by_server = judge.refusal(sample)
    by_python = in_python(sample)

    assert by_server == ""
    assert by_python == ()


def test_columns(server: Server) -> None:
    """`kubectl get bp` shows the conditions, version and store; wide adds the endpoint."""
    server.stored(external_peer())
    conditions = [
        {
            "type": kind,
            "status": status,
            "reason": "Test",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind, status in (("Ready", "Unknown"), ("Available", "True"), ("Degraded", "False"))
    ]
    status = {
        "conditions": conditions,
        "version": "1.63.2",
        "store": {
            "selector": "a=b",
            "summary": "2/3",
            "replicas": 3,
            "readyReplicas": 2,
            "updatedReplicas": 3,
        },
        "endpoints": [{"name": "web", "type": "Ingress", "urls": ["https://web.example.com"]}],
    }
    server.kubectl(
        "patch", "bp", "demo", "--subresource=status", "--type=merge",
        "-p", json.dumps({"status": status}),
    )  # fmt: skip

    narrow = server.kubectl("get", "bp").stdout.splitlines()
    wide = server.kubectl("get", "smbp", "-o", "wide").stdout.splitlines()

    assert narrow[0].split() == [
        "NAME", "READY", "AVAILABLE", "PROGRESSING", "DEGRADED", "VERSION", "STORE", "AGE",
    ]  # fmt: skip
    assert narrow[1].split()[:6] == ["demo", "Unknown", "True", "False", "1.63.2", "2/3"]
    assert "ENDPOINT" in wide[0].split()
    assert "https://web.example.com" in wide[1].split()


def test_status_is_a_subresource(server: Server) -> None:
    """Writing the object leaves the status alone: only the status endpoint writes it."""
    stored = server.stored(edited(external_peer(), {"status.version": "1.0.0"}))

    assert "status" not in stored


def test_scale_addresses_the_subscriptions(server: Server) -> None:
    """`kubectl scale` changes the number of subscription servers and nothing else."""
    before = server.stored(external_peer())["spec"]

    server.kubectl("scale", "bp/demo", "--replicas=5")

    after = json.loads(server.kubectl("get", "bp", "demo", "-o", "json").stdout)["spec"]
    assert after == {**before, "subscriptions": {"replicas": 5}}


def test_explain(server: Server) -> None:
    """`kubectl explain` knows the fields and their descriptions."""
    # The server publishes the OpenAPI of a new CRD a moment after it is established.
    answer = eventually(
        lambda: server.kubectl("explain", "bigpeer.spec.store", check=False),
        lambda answer: answer.returncode == 0,
    )

    assert "minimumReplicas" in answer.stdout
    assert "Members per partition that must stay healthy" in answer.stdout


def test_second_apply_changes_nothing(crd_installed: ControlPlane) -> None:
    """The server stores the CRD as generated: applying it again writes nothing."""
    before = crd_installed.kubectl("get", "crd", NAME, "-o", "jsonpath={.metadata.resourceVersion}")
    crd_installed.kubectl("apply", "--server-side", "-f", "-", stdin=to_yaml(crd()))
    after = crd_installed.kubectl("get", "crd", NAME, "-o", "jsonpath={.metadata.resourceVersion}")

    assert after.stdout == before.stdout
