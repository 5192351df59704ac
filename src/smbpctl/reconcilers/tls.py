"""The TLS reconciler: certificates issued by cert-manager, or Secrets that somebody else fills."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, final

from smbpctl.api.v1alpha1 import (
    BIG_PEER,
    BigPeer,
    ConditionType,
    ExposureTlsMode,
    TLSReadyReason,
    TlsType,
    validate,
)
from smbpctl.conditions.tls_ready import tls_ready
from smbpctl.conditions.verdict import stamped, verdict
from smbpctl.observed import CertificateFact, TLSObserved
from smbpctl.reconcilers.facts import items, mapping
from smbpctl.reconcilers.kinds import CERTIFICATE, ISSUER, SECRET
from smbpctl.reconcilers.operator import new_applier
from smbpctl.reconcilers.pem import Material, examine
from smbpctl.reconcilers.references import add_indexes, users_of_secret
from smbpctl.reconcilers.reporting import write_status
from smbpctl.resources import naming
from smbpctl.resources.certificates import issuers_and_certificates
from smbpctl.runtime.apply import Applier
from smbpctl.runtime.builder import controller
from smbpctl.runtime.cache import Cache
from smbpctl.runtime.clock import Clock
from smbpctl.runtime.errors import NameConflict
from smbpctl.runtime.handler import map_func
from smbpctl.runtime.manager import Manager
from smbpctl.runtime.meta import GroupVersionKind, Manifest, ObjectKey, is_deleting, metadata_of
from smbpctl.runtime.predicate import spec_changed
from smbpctl.runtime.reconcile import DONE, Request, Result

FIELD_OWNER: Final = "smbpctl/tls"

_WAIT: Final = timedelta(seconds=10)
"""How soon to look again for an API that no watch can announce, because it is not served.

The cache looks for it as often.
"""


@final
@dataclass(frozen=True, slots=True)
class _Wanted:
    """A certificate that the BigPeer needs: where the spec asks for it, and what it must be."""

    name: str
    field: str
    secret: str
    authority: bool = False
    hosts: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class TLSReconciler:
    """Has certificates issued where asked, and says precisely what is wrong with each."""

    cache: Cache
    applier: Applier
    clock: Clock

    async def reconcile(self, request: Request) -> Result:
        """Apply the cert-manager objects, look at every Secret, report."""
        manifest = await self.cache.get(BIG_PEER, request.key)
        if manifest is None or is_deleting(manifest):
            return DONE
        peer = BigPeer.parse(manifest)
        errors = validate(peer)
        if errors:
            message = "; ".join(str(error) for error in errors)
            return await self._report(manifest, await self._observe(peer), invalid=message)
        conflict = ""
        try:
            await self._apply(manifest, peer)
        except NameConflict as error:
            conflict = error.message
        return await self._report(manifest, await self._observe(peer), conflict=conflict)

    async def _apply(self, manifest: Manifest, peer: BigPeer) -> None:
        served = [self.cache.served(kind) for kind in (CERTIFICATE, ISSUER)]
        kinds = [gvk for gvk in served if gvk is not None]
        if len(kinds) < len(served):
            return  # existing Secrets go on being used; the condition says what is missing
        await self.applier.apply_set(manifest, issuers_and_certificates(peer), prune=kinds)

    async def _observe(self, peer: BigPeer) -> TLSObserved:
        certificate = self.cache.served(CERTIFICATE)
        issued = peer.spec.tls.type is TlsType.CERT_MANAGER
        facts = [
            await self._fact(peer, wanted, certificate if issued else None)
            for wanted in _wanted(peer)
        ]
        return TLSObserved(peer, not issued or certificate is not None, tuple(facts))

    async def _fact(
        self, peer: BigPeer, wanted: _Wanted, certificate: GroupVersionKind | None
    ) -> CertificateFact:
        key = ObjectKey(peer.namespace, wanted.secret)
        secret = None
        if self.cache.meta(SECRET, key) is not None:
            secret = await self.cache.live_get(SECRET, key)
        material = (
            examine(secret, self.clock.now(), authority=wanted.authority, hosts=wanted.hosts)
            if secret is not None
            else Material()
        )
        ready, reason, message = True, "", ""
        if certificate is not None and not self._brought_along(peer, wanted):
            ready, reason, message = _issuance(await self.cache.get(certificate, key))
        return CertificateFact(
            name=wanted.name,
            field=wanted.field,
            secret=wanted.secret,
            present=secret is not None,
            problem=material.problem,
            expired=material.expired,
            not_before=material.not_before,
            not_after=material.not_after,
            ready=ready,
            reason=reason,
            message=message,
        )

    def _brought_along(self, peer: BigPeer, wanted: _Wanted) -> bool:
        """Tell whether an exposure names a Secret of its own: cert-manager does not issue it."""
        named = [e.tls.secret_ref.name for e in peer.spec.exposure if e.tls.secret_ref is not None]
        return wanted.secret in named

    async def _report(
        self, manifest: Manifest, observed: TLSObserved, *, invalid: str = "", conflict: str = ""
    ) -> Result:
        peer, now = observed.peer, self.clock.now()
        why = invalid or conflict
        reason = TLSReadyReason.NAME_CONFLICT if conflict else TLSReadyReason.INVALID_SPEC
        condition = (
            verdict(peer, ConditionType.TLS_READY, False, reason, why)
            if why
            else tls_ready(observed)
        )
        status = {
            "conditions": stamped(peer, [condition], now),
            "certificates": [_certificate_status(fact) for fact in observed.certificates],
        }
        await write_status(self.cache, self.applier, manifest, status)
        if not observed.installed or conflict:
            return Result(requeue_after=_WAIT)
        # No event tells that a certificate begins or ends: look when the next one does.
        turns = [t for f in observed.certificates for t in (f.not_before, f.not_after)]
        ahead = [turn - now for turn in turns if turn is not None and turn > now]
        return Result(requeue_after=min(ahead) + timedelta(seconds=1)) if ahead else DONE


def setup(manager: Manager, *, workers: int = 10) -> None:
    """Add the TLS reconciler to a manager."""
    cache = manager.cache
    applier = new_applier(manager, FIELD_OWNER)
    (
        controller("tls")
        .for_(BIG_PEER, spec_changed())
        .owns(CERTIFICATE)
        .owns(ISSUER)
        .watches(SECRET, map_func(users_of_secret(cache)))
        .with_options(workers=workers)
        .build(manager, TLSReconciler(cache, applier, manager.clock))
    )
    add_indexes(cache)


def _wanted(peer: BigPeer) -> list[_Wanted]:
    """Return the certificates a BigPeer needs, in the order of dependence.

    Exposures may share a Secret; each asks it for hosts of its own.
    """
    issued = peer.spec.tls.type is TlsType.CERT_MANAGER
    source = "spec.tls.certManager" if issued else "spec.tls.secrets"
    wanted = [
        _Wanted("ca", source if issued else f"{source}.ca", naming.ca_secret(peer), authority=True),
        _Wanted("in-band", source if issued else f"{source}.inBand", naming.in_band_secret(peer)),
        _Wanted("jwt", source if issued else f"{source}.jwt", naming.jwt_secret(peer)),
    ]
    for index, exposure in enumerate(peer.spec.exposure):
        secret = naming.serving_secret(peer, exposure)
        if exposure.tls.mode is ExposureTlsMode.TERMINATE and secret is not None:
            own = exposure.tls.secret_ref is not None
            serving = source if issued else f"{source}.serving"
            field = f"spec.exposure[{index}].tls.secretRef" if own else serving
            name = f"serving-{exposure.name}"
            wanted.append(_Wanted(name, field, secret, hosts=exposure.hosts))
    return wanted


def _issuance(certificate: Manifest | None) -> tuple[bool, str, str]:
    """Return whether cert-manager calls a Certificate ready, and why not; or why not renewed."""
    if certificate is None:
        return False, "", "waits to be created"
    status = mapping(certificate.get("status"))
    conditions = {entry.get("type"): entry for entry in items(status.get("conditions"))}
    ready, issuing = conditions.get("Ready", {}), conditions.get("Issuing", {})
    generation = int(metadata_of(certificate).get("generation") or 0)
    if int(ready.get("observedGeneration") or generation) < generation:
        return False, "", ""  # what it says is about an older spec
    # Issuing turns False with reason Failed after a failed attempt: that says more than Ready,
    # which stays True for as long as the certificate of an earlier attempt is good.
    failed = issuing.get("reason") == "Failed"
    if ready.get("status") == "True" and not failed:
        return True, "", ""
    told = issuing if failed else ready
    words = str(told.get("reason") or ""), str(told.get("message") or "")
    return ready.get("status") == "True", *words


def _certificate_status(fact: CertificateFact) -> Manifest:
    status: Manifest = {"name": fact.name, "secretName": fact.secret}
    if fact.not_after is not None:
        status["notAfter"] = fact.not_after.strftime("%Y-%m-%dT%H:%M:%SZ")
    return status
