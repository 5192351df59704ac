"""Plays cert-manager through the API: signs what Certificates ask for, or says why it does not."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from smbpctl.runtime.clock import LoopClock
from smbpctl.runtime.meta import Manifest
from smbpctl.runtime.simulation.controlplane import ControlPlane
from smbpctl.sandbox.secrets import KeyPair, authority, leaf


class CertManager:
    """The controller of one namespace; it does nothing until a test tells it to.

    Issuers and Certificates are read from the server. An issuance is what the real one leaves
    behind: the Secret first, then the Certificate's status.
    """

    def __init__(self, control_plane: ControlPlane, namespace: str) -> None:
        self._control_plane = control_plane
        self._namespace = namespace
        self._pairs: dict[str, KeyPair] = {}

    def certificates(self) -> dict[str, Manifest]:
        """Return the Certificates of the namespace by name."""
        listed = self._get("certificates.cert-manager.io")["items"]
        return {certificate["metadata"]["name"]: certificate for certificate in listed}

    def begin(self, name: str) -> None:
        """Take a Certificate up: it is not ready, because its Secret does not exist yet."""
        message = "Issuing certificate as Secret does not exist"
        conditions = [("Ready", "False", "DoesNotExist"), ("Issuing", "True", "DoesNotExist")]
        self._report(name, [(*condition, message) for condition in conditions])

    def fail(self, name: str, message: str) -> None:
        """End an attempt without a certificate; what Ready says is left as it is."""
        status = self._get("certificates.cert-manager.io", name).get("status", {})
        ready = [
            (entry["type"], entry["status"], entry["reason"], entry["message"])
            for entry in status.get("conditions", [])
            if entry["type"] == "Ready"
        ]
        conditions = [*ready, ("Issuing", "False", "Failed", message)]
        self._report(name, conditions, failedIssuanceAttempts=1, lastFailureTime=_now())

    def issue(self, name: str) -> None:
        """Sign a Certificate into its Secret and call it ready."""
        certificate = self._get("certificates.cert-manager.io", name)
        spec, now = certificate["spec"], LoopClock().now()
        signer = self._signer(spec["issuerRef"])
        if signer is None:
            pair = authority(spec["commonName"], now)
        else:
            pair = leaf(signer, spec["dnsNames"], now)
        self._pairs[spec["secretName"]] = pair
        self._store(certificate, pair, signer or pair)
        ends = pair.certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
        ready = ("Ready", "True", "Ready", "Certificate is up to date and has not expired")
        self._report(name, [ready], notAfter=ends, revision=1)

    def issue_all(self) -> None:
        """Issue every Certificate, authorities first."""
        certificates = self.certificates()
        for name in sorted(certificates, key=lambda n: not certificates[n]["spec"].get("isCA")):
            self.issue(name)

    def _signer(self, reference: Mapping[str, str]) -> KeyPair | None:
        """Return the authority behind an Issuer; None for one that has things sign themselves."""
        spec = self._get("issuers.cert-manager.io", reference["name"])["spec"]
        return None if "selfSigned" in spec else self._pairs[spec["ca"]["secretName"]]

    def _store(self, certificate: Manifest, pair: KeyPair, signer: KeyPair) -> None:
        name = certificate["metadata"]["name"]
        secret = pair.secret(self._namespace, certificate["spec"]["secretName"])
        trusted = signer.certificate.public_bytes(Encoding.PEM)
        secret["data"]["ca.crt"] = base64.b64encode(trusted).decode()
        secret["metadata"]["annotations"] = {"cert-manager.io/certificate-name": name}
        secret["metadata"]["labels"] = certificate["spec"]["secretTemplate"]["labels"]
        command = ("apply", "--server-side", "--field-manager=cert-manager", "-f", "-")
        self._control_plane.kubectl(*command, stdin=json.dumps(secret))

    def _report(
        self, name: str, conditions: list[tuple[str, str, str, str]], **status: object
    ) -> None:
        certificate = self._get("certificates.cert-manager.io", name)
        told = [
            {
                "type": kind,
                "status": value,
                "reason": reason,
                "message": message,
                "lastTransitionTime": _now(),
                "observedGeneration": certificate["metadata"]["generation"],
            }
            for kind, value, reason, message in conditions
        ]
        patch = json.dumps({"status": {**status, "conditions": told}})
        command = ("patch", "certificates.cert-manager.io", name, "-n", self._namespace)
        self._control_plane.kubectl(*command, "--subresource=status", "--type=merge", "-p", patch)

    def _get(self, *what: str) -> Any:
        command = ("get", *what, "-n", self._namespace, "-o", "json")
        return json.loads(self._control_plane.kubectl(*command).stdout)


def _now() -> str:
    return LoopClock().now().strftime("%Y-%m-%dT%H:%M:%SZ")
