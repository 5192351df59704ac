"""Certificates on a real control plane: issued by cert-manager, or brought along in Secrets."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smbpctl.api.v1alpha1 import BigPeer
from smbpctl.runtime.meta import Manifest
from smbpctl.sandbox.secrets import authority, leaf, referenced_secrets
from test.controlplane.bigpeer.dependencies import (
    TIMEOUT,
    crds,
    install,
    one_operator,
    own_control_plane,
    own_stage,
    uninstall,
)
from test.controlplane.bigpeer.stage import Operator, Stage
from test.support.cert_manager import CertManager
from test.support.conversation import sample, wait_for

pytestmark = TIMEOUT

control_plane = own_control_plane()
stage = own_stage()
operator = one_operator()

HOST = "demo.example.com"
LIFETIME = timedelta(days=30)
"""How long the certificates of the sandbox are valid."""

Secrets = dict[str, Manifest]
Spoil = Callable[[Secrets], Manifest]


def test_cert_manager_comes_and_goes(stage: Stage, operator: Operator, namespace: str) -> None:
    """The operator runs all the time: it takes cert-manager as it finds it, and never stops."""
    folder = crds("cert-manager")
    stage.apply(_issued(namespace))
    _works_without(stage, namespace)

    install(stage, folder)
    stage.wait_condition(namespace, "Available", name="beside")
    cert_manager = _asks_for_everything(stage, namespace)
    _lifts_what_it_is_told(stage, namespace, cert_manager)
    cert_manager.issue_all()
    stage.wait_condition(namespace, "TLSReady", "True", "Issued")
    stage.settled(namespace)
    _tells_of_a_failed_renewal(stage, namespace, cert_manager)
    _waits_for_a_new_host(stage, namespace, cert_manager)

    _goes_on_with_existing_secrets(stage, namespace, folder)


def _works_without(stage: Stage, namespace: str) -> None:
    """Without cert-manager its absence is named, and everything else works."""
    stage.create(sample(namespace, "beside", tls=_brought("beside"), exposure=[]))
    condition = stage.wait_condition(namespace, "TLSReady", "False", "CertManagerNotInstalled")
    assert "spec.tls.type" in condition["message"]
    available = stage.wait_condition(namespace, "Available", "False", "TLSNotReady")
    assert condition["message"] in available["message"]
    stage.wait_condition(namespace, "Degraded", "True", "DependencyNotInstalled")
    stage.wait_condition(namespace, "TransactionLogReady")
    stage.wait_condition(namespace, "NetworkingReady", "False", "ClassNotFound")
    stage.wait_condition(namespace, "StoreReady", "False", "WaitingForTLS")
    stage.wait_condition(namespace, "TLSReady", "True", "Issued", name="beside")


def _asks_for_everything(stage: Stage, namespace: str) -> CertManager:
    """Once its API is served, cert-manager is asked for all certificates; its schema takes them."""
    condition = stage.wait_condition(namespace, "TLSReady", "False", "Issuing", seconds=30)
    assert condition["message"] == "Certificate demo-ca-1: waits for cert-manager"
    cert_manager = CertManager(stage.control_plane, namespace)
    wanted = {"demo-ca-1", "demo-in-band", "demo-jwt", "demo-serving"}
    wait_for("all Certificates", lambda: cert_manager.certificates().keys() == wanted)
    issuers = stage.names("issuers.cert-manager.io", namespace)
    assert issuers == [f"issuer.cert-manager.io/demo-{name}" for name in ("ca-1", "selfsigned")]
    return cert_manager


def _lifts_what_it_is_told(stage: Stage, namespace: str, cert_manager: CertManager) -> None:
    """What a Certificate waits for, and why an attempt failed, is lifted into the condition."""
    cert_manager.begin("demo-ca-1")
    wait_for(
        "the wait to be told",
        lambda: "DoesNotExist" in stage.condition(namespace, "TLSReady")["message"],
    )
    cert_manager.fail("demo-ca-1", "the request was denied by policy")
    condition = stage.wait_condition(namespace, "TLSReady", "False", "IssuanceFailed")
    assert "Certificate demo-ca-1" in condition["message"]
    assert "the request was denied by policy" in condition["message"]
    stage.wait_condition(namespace, "Degraded", "True", "InputMissing")


def _tells_of_a_failed_renewal(stage: Stage, namespace: str, cert_manager: CertManager) -> None:
    """The old certificate is good still: nothing stops, and the condition tells of it in time."""
    cert_manager.fail("demo-serving", "the authority does not answer")
    condition = stage.wait_condition(namespace, "TLSReady", "True", "IssuanceFailed")
    assert "Certificate demo-serving" in condition["message"]
    assert "the authority does not answer" in condition["message"]
    assert stage.condition(namespace, "Available")["status"] == "True"


def _waits_for_a_new_host(stage: Stage, namespace: str, cert_manager: CertManager) -> None:
    """Between an edit and its certificate the condition says Issuing, not that a Secret is bad."""
    stage.apply(_issued(namespace, "new.example.com"))
    condition = stage.wait_condition(namespace, "TLSReady", "False")
    assert condition["reason"] == "Issuing"
    assert "Certificate demo-serving" in condition["message"]
    cert_manager.issue("demo-serving")
    stage.wait_condition(namespace, "TLSReady", "True", "Issued")


def _goes_on_with_existing_secrets(stage: Stage, namespace: str, folder: Path) -> None:
    """Without cert-manager, what it issued is used, and the condition says that none will follow.

    It is noticed at the next event, of which the test makes some, or at the next look.
    """
    pods = stage.names("pods", namespace)

    def noticed() -> Manifest | None:
        touch = f"touched={datetime.now(UTC).timestamp()}"
        secret = ("secret/demo-jwt", "-n", namespace)
        stage.control_plane.kubectl("annotate", "--overwrite", *secret, touch)
        found = stage.condition(namespace, "TLSReady")
        assert found["status"] == "True"
        return found if found["reason"] == "CertManagerNotInstalled" else None

    uninstall(stage, folder)
    condition = wait_for("the operator to notice", noticed, seconds=40)
    assert "nobody renews them" in condition["message"]
    assert stage.condition(namespace, "Available")["status"] == "True"
    assert stage.condition(namespace, "Degraded")["status"] == "False"
    assert stage.names("pods", namespace) == pods


def _missing(secrets: Secrets) -> Manifest:
    return secrets.pop("demo-jwt")


def _foreign_key(secrets: Secrets) -> Manifest:
    secrets["demo-in-band"]["data"]["tls.key"] = secrets["demo-jwt"]["data"]["tls.key"]
    return secrets["demo-in-band"]


def _no_certificate(secrets: Secrets) -> Manifest:
    secrets["demo-jwt"]["data"]["tls.crt"] = "bm90IHBlbQ=="
    return secrets["demo-jwt"]


def _no_key(secrets: Secrets) -> Manifest:
    secrets["demo-jwt"]["data"]["tls.key"] = "bm90IHBlbQ=="
    return secrets["demo-jwt"]


def _expired(secrets: Secrets) -> Manifest:
    return _replace(secrets, "demo-web", [HOST], born=datetime.now(UTC) - 2 * LIFETIME)


def _other_host(secrets: Secrets) -> Manifest:
    return _replace(secrets, "demo-web", ["*.example.org", "a.demo.example.com"])


def _no_authority(secrets: Secrets) -> Manifest:
    return _replace(secrets, "demo-ca", ["demo"])


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        (_missing, "SecretNotFound", "demo-jwt (spec.tls.secrets.jwt) does not exist"),
        (_foreign_key, "SecretInvalid", "demo-in-band (spec.tls.secrets.inBand) tls.key does not"),
        (_no_certificate, "SecretInvalid", "demo-jwt (spec.tls.secrets.jwt) tls.crt is not a PEM"),
        (_no_key, "SecretInvalid", "demo-jwt (spec.tls.secrets.jwt) tls.key is not"),
        (_expired, "CertificateExpired", "demo-web (spec.exposure[0].tls.secretRef): tls.crt exp"),
        (_other_host, "SecretInvalid", "(spec.exposure[0].tls.secretRef) tls.crt does not cover"),
        (_no_authority, "SecretInvalid", "demo-ca (spec.tls.secrets.ca) tls.crt is not a certif"),
    ],
)
def test_a_bad_secret_is_named_and_healed_by_itself_alone(
    stage: Stage, operator: Operator, namespace: str, spoil: Spoil, reason: str, words: str
) -> None:
    """The condition names Secret, field and fault; a good Secret is all that it takes."""
    good, secrets = _secrets(namespace), _secrets(namespace)
    bad = spoil(secrets)["metadata"]["name"]

    stage.apply(*secrets.values(), sample(namespace))
    condition = stage.wait_condition(namespace, "TLSReady", "False", reason)
    stage.wait_condition(namespace, "Degraded", "True", "InputMissing")
    stage.apply(good[bad])
    stage.wait_condition(namespace, "TLSReady", "True", "Issued")

    assert f"Secret {namespace}/" in condition["message"]
    assert words in condition["message"]


def test_a_certificate_ends_and_begins_without_an_event(
    stage: Stage, operator: Operator, namespace: str
) -> None:
    """Nobody touches anything: what is not valid yet becomes valid, and expires in its time."""
    now = datetime.now(UTC)
    early, late = _secrets(namespace), _secrets(namespace)
    # Certificates of the sandbox begin five minutes before the moment they are made for.
    _replace(early, "demo-web", [HOST], born=now + timedelta(minutes=5, seconds=5))
    _replace(late, "demo-web", [HOST], born=now - LIFETIME + timedelta(seconds=5))
    other = sample(namespace, "other")
    other["spec"]["exposure"][0]["tls"]["secretRef"]["name"] = "late"
    late["demo-web"]["metadata"]["name"] = "late"

    stage.apply(*early.values(), late["demo-web"], sample(namespace), other)
    waiting = stage.wait_condition(namespace, "TLSReady", "False", "SecretInvalid")
    stage.wait_condition(namespace, "TLSReady", "True", "Issued", seconds=15)
    ended = stage.wait_condition(
        namespace, "TLSReady", "False", "CertificateExpired", name="other", seconds=15
    )

    assert "is not valid before" in waiting["message"]
    assert "late (spec.exposure[0].tls.secretRef)" in ended["message"]


def _issued(namespace: str, *more: str) -> Manifest:
    """Return a BigPeer whose certificates all come from cert-manager."""
    manifest = sample(namespace, tls={"type": "CertManager"})
    (exposure,) = manifest["spec"]["exposure"]
    exposure["tls"] = {"mode": "Terminate"}
    exposure["hosts"] += more
    return manifest


def _brought(prefix: str) -> Manifest:
    names = {"ca": "ca", "inBand": "in-band", "jwt": "jwt"}
    secrets = {field: {"name": f"{prefix}-{name}"} for field, name in names.items()}
    return {"type": "Secrets", "secrets": secrets}


def _secrets(namespace: str) -> Secrets:
    """Return the certificates the sample names, all good; the log has none, so nothing starts."""
    peer = BigPeer.parse(sample(namespace))
    made = referenced_secrets(peer, datetime.now(UTC))
    secrets = {secret["metadata"]["name"]: secret for secret in made}
    return {name: secret for name, secret in secrets.items() if name.startswith("demo-")}


def _replace(
    secrets: Secrets, name: str, hosts: list[str], *, born: datetime | None = None
) -> Manifest:
    """Put a certificate for these hosts into a Secret."""
    namespace = secrets[name]["metadata"]["namespace"]
    issuer = authority("issuer", datetime.now(UTC))
    secrets[name] = leaf(issuer, hosts, born or datetime.now(UTC)).secret(namespace, name)
    return secrets[name]
