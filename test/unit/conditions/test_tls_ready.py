"""TLSReady: the first certificate that is not usable, with its Secret and its field."""

from dataclasses import replace

from smbpctl.api.v1alpha1 import BigPeer, Condition, ConditionStatus
from smbpctl.conditions.tls_ready import tls_ready
from smbpctl.observed import CertificateFact, TLSObserved
from test.support.peers import SECRETS, a_peer

GOOD = CertificateFact("ca", "spec.tls.secrets.ca", "our-ca", present=True)
THEIRS = a_peer({"spec.tls": SECRETS})


def _ready(fact: CertificateFact, peer: BigPeer = THEIRS, *, installed: bool = True) -> Condition:
    return tls_ready(TLSObserved(peer, installed, (GOOD, fact)))


def test_issued() -> None:
    """All present, none with a problem."""
    assert _ready(GOOD).status is ConditionStatus.TRUE


def test_a_missing_secret_is_named_with_its_field() -> None:
    """Whoever reads it knows which object to create."""
    condition = _ready(replace(GOOD, present=False))

    assert condition.reason == "SecretNotFound"
    assert condition.message == "Secret shop/our-ca (spec.tls.secrets.ca) does not exist"


def test_a_problem_is_quoted() -> None:
    """What is wrong with the content follows the name."""
    condition = _ready(replace(GOOD, problem="has no key tls.key"))

    assert condition.reason == "SecretInvalid"
    assert condition.message == "Secret shop/our-ca (spec.tls.secrets.ca) has no key tls.key"


def test_expiry_has_a_reason_of_its_own() -> None:
    """It can be told apart by machines."""
    condition = _ready(replace(GOOD, problem="tls.crt expired at x", expired=True))

    assert condition.reason == "CertificateExpired"


def test_cert_managers_words_are_lifted() -> None:
    """What is being issued is waited for; what failed says so."""
    issuing = replace(GOOD, ready=False, present=False, reason="DoesNotExist", message="no Secret")
    failed = replace(issuing, reason="Failed", message="denied by policy")

    waiting, refused = _ready(issuing, a_peer()), _ready(failed, a_peer())

    assert waiting.reason == "Issuing"
    assert "DoesNotExist: no Secret" in waiting.message
    assert refused.reason == "IssuanceFailed"
    assert "denied by policy" in refused.message


def test_an_absent_cert_manager_matters_only_for_what_is_missing() -> None:
    """Existing Secrets go on being used."""
    missing = _ready(replace(GOOD, present=False, ready=False), a_peer(), installed=False)
    present = _ready(GOOD, a_peer(), installed=False)

    assert missing.reason == "CertManagerNotInstalled"
    assert "spec.tls.type" in missing.message
    assert present.status is ConditionStatus.TRUE
