"""The TLS reconciler over a cluster in memory, with cert-manager and without."""

from datetime import timedelta
from functools import cache

import pytest

from smbpctl.api.v1alpha1 import BIG_PEER, BigPeer, Condition
from smbpctl.reconcilers import tls
from smbpctl.reconcilers.kinds import SECRET
from smbpctl.runtime.meta import Manifest, ObjectKey, key_of
from smbpctl.runtime.reconcile import DONE, Result
from smbpctl.sandbox.secrets import KeyPair, authority, leaf
from test.support.bigpeers import an_exposure
from test.support.cluster_stage import a_secret
from test.support.fake_cluster import CERT_MANAGER, CORE, FakeCluster
from test.support.fake_manager import FakeManager
from test.support.observations import NOW
from test.support.peers import SECRETS, a_manifest

CERTIFICATE, ISSUER = (each.gvk for each in CERT_MANAGER)
LIFETIME = timedelta(days=30)
AGAIN = Result(requeue_after=timedelta(seconds=10))
AT_THE_END = Result(requeue_after=LIFETIME + timedelta(seconds=1))
BROUGHT_ALONG: Manifest = {"spec.tls": SECRETS}
READY: Manifest = {"type": "Ready", "status": "True"}


def key(name: str) -> ObjectKey:
    """Return the key of an object beside the BigPeer."""
    return ObjectKey("shop", name)


@cache
def ca() -> KeyPair:
    """An authority, made once."""
    return authority("ca", NOW)


@cache
def server(*hosts: str) -> KeyPair:
    """A certificate of that authority."""
    return leaf(ca(), hosts or ["any.test"], NOW)


class Stage:
    """A BigPeer `shop/demo` and its TLS reconciler."""

    def __init__(self, edits: Manifest | None = None, *, installed: bool = False) -> None:
        self.server = FakeCluster((*CORE, *CERT_MANAGER) if installed else CORE)
        self.manager = FakeManager(self.server)
        tls.setup(self.manager)  # type: ignore[arg-type]
        self.server.put(a_manifest(edits))

    def bring(self, **pairs: KeyPair) -> "Stage":
        """Bring Secrets along; `_` stands for a dash."""
        for name, pair in pairs.items():
            self.server.put(pair.secret("shop", name.replace("_", "-")))
        return self

    def bring_all(self) -> "Stage":
        """Bring the three that every BigPeer needs."""
        return self.bring(our_ca=ca(), our_in_band=server(), jwt=server())

    def issue_all(self) -> "Stage":
        """Let cert-manager issue every certificate."""
        for each in self.server.all(CERTIFICATE):
            hosts = each["spec"].get("dnsNames")
            pair = server(*hosts) if hosts else ca()
            self.server.put(pair.secret("shop", each["spec"]["secretName"]))
            self.say(key_of(each).name, READY)
        return self

    def say(self, name: str, *conditions: Manifest) -> None:
        """Let cert-manager report on a Certificate."""
        self.server.edit(
            CERTIFICATE,
            key(name),
            lambda each: each.update(status={"conditions": list(conditions)}),
        )

    async def reconcile(self) -> Result:
        """Run the reconciler once."""
        return await self.manager.reconcile()

    def edit(self, change: Manifest) -> None:
        """Replace top-level fields of the spec."""
        self.server.edit(BIG_PEER, key("demo"), lambda peer: peer["spec"].update(change))

    @property
    def peer(self) -> BigPeer:
        """Return the BigPeer as the server has it."""
        return BigPeer.parse(self.server.find(BIG_PEER, key("demo")))

    @property
    def condition(self) -> Condition:
        """Return the one condition that is reported."""
        (condition,) = self.peer.status.conditions
        assert condition.type == "TLSReady"
        return condition


class TestSecrets:
    async def test_all_is_well(self) -> None:
        """Every certificate is shown with its end; the next look is when the first one ends."""
        stage = Stage(BROUGHT_ALONG).bring_all()

        result = await stage.reconcile()

        assert result == AT_THE_END
        assert (stage.condition.status, stage.condition.reason) == ("True", "Issued")
        assert [each.to_manifest() for each in stage.peer.status.certificates] == [
            {"name": name, "secretName": secret, "notAfter": "2026-12-21T12:00:00Z"}
            for name, secret in (("ca", "our-ca"), ("in-band", "our-in-band"), ("jwt", "jwt"))
        ]

    async def test_the_converged_cluster_is_left_alone(self) -> None:
        """Also by a process that has just started."""
        stage = Stage(BROUGHT_ALONG).bring_all()
        await stage.reconcile()
        stage.server.sent()

        await stage.reconcile()
        restarted = Stage(BROUGHT_ALONG)
        restarted.server.objects.update(stage.server.objects)
        restarted.server.owned.update(stage.server.owned)
        await restarted.reconcile()

        assert stage.server.sent() == restarted.server.sent() == []

    async def test_a_secret_that_does_not_exist(self) -> None:
        """Named with the field that asks for it; its creation wakes us."""
        stage = Stage(BROUGHT_ALONG).bring(our_ca=ca(), jwt=server())

        result = await stage.reconcile()

        assert stage.condition.reason == "SecretNotFound"
        assert stage.condition.message == (
            "Secret shop/our-in-band (spec.tls.secrets.inBand) does not exist"
        )
        assert result == AT_THE_END
        assert stage.peer.status.certificates[1].not_after is None

    @pytest.mark.parametrize(
        ("secret", "field", "what"),
        [
            ({"our_ca": server()}, "ca", "is not a certificate authority"),
            ({"jwt": KeyPair(server().certificate, ca().key)}, "jwt", "does not belong"),
        ],
        ids=["no authority", "another key"],
    )
    async def test_bad_material(self, secret: dict[str, KeyPair], field: str, what: str) -> None:
        """What is wrong, in which Secret, and who asks for it."""
        stage = Stage(BROUGHT_ALONG).bring_all().bring(**secret)

        await stage.reconcile()

        assert stage.condition.reason == "SecretInvalid"
        assert f"(spec.tls.secrets.{field})" in stage.condition.message
        assert what in stage.condition.message

    async def test_a_key_that_is_missing(self) -> None:
        """A Secret of another type, perhaps."""
        stage = Stage(BROUGHT_ALONG).bring_all()
        stage.server.put(a_secret("jwt", key="value"))

        await stage.reconcile()

        assert stage.condition.message == (
            "Secret shop/jwt (spec.tls.secrets.jwt) has no key tls.crt"
        )

    async def test_the_end_of_a_certificate_is_not_missed(self) -> None:
        """No event tells of it: the reconciler comes back by itself, and then says so."""
        stage = Stage(BROUGHT_ALONG).bring_all()
        result = await stage.reconcile()
        assert result.requeue_after is not None
        stage.manager.clock.advance(result.requeue_after)

        later = await stage.reconcile()

        assert later == DONE
        assert (stage.condition.status, stage.condition.reason) == ("False", "CertificateExpired")
        assert "expired at 2026-12-21T12:00:00Z" in stage.condition.message

    async def test_nor_is_its_beginning(self) -> None:
        """A clock that is ahead issues certificates that are not valid yet."""
        early = leaf(ca(), ["any.test"], NOW + timedelta(minutes=15))
        stage = Stage(BROUGHT_ALONG).bring_all().bring(jwt=early)

        first = await stage.reconcile()
        told = stage.condition
        assert first.requeue_after is not None
        stage.manager.clock.advance(first.requeue_after)
        await stage.reconcile()

        assert first == Result(requeue_after=timedelta(minutes=10, seconds=1))
        assert "is not valid before 2026-11-21T12:10:00Z" in told.message
        assert stage.condition.reason == "Issued"


class TestExposures:
    def served(self, *exposures: Manifest, serving: str = "") -> Manifest:
        """Return the edits that expose a BigPeer with Secrets of its own."""
        secrets = {**SECRETS["secrets"]}  # type: ignore[dict-item]
        if serving:
            secrets["serving"] = {"name": serving}  # type: ignore[assignment]
        return {
            "spec.tls": {"type": "Secrets", "secrets": secrets},
            "spec.exposure": list(exposures),
        }

    async def test_a_certificate_must_cover_the_hosts(self) -> None:
        """Each exposure asks the Secret that it names for its own hosts."""
        own = an_exposure("web", tls={"secretRef": {"name": "web"}}, hosts=["a.test", "b.test"])
        stage = Stage(self.served(own)).bring_all().bring(web=server("a.test"))

        await stage.reconcile()

        assert stage.condition.message == (
            "Secret shop/web (spec.exposure[0].tls.secretRef) tls.crt does not cover b.test"
        )
        assert stage.peer.status.certificates[-1].name == "serving-web"

    async def test_one_certificate_for_all_exposures(self) -> None:
        """The message names the field of the one that they share."""
        stage = Stage(self.served(an_exposure("a"), an_exposure("b"), serving="all")).bring_all()
        stage.bring(all=server("a.example.com"))

        await stage.reconcile()

        assert "(spec.tls.secrets.serving)" in stage.condition.message
        assert "does not cover b.example.com" in stage.condition.message
        names = [each.name for each in stage.peer.status.certificates]
        assert names[3:] == ["serving-a", "serving-b"]

    async def test_no_certificate_where_none_is_served(self) -> None:
        """Plaintext, or the controller's own default certificate."""
        plain = an_exposure("plain", tls={"mode": "None"})
        stage = Stage(self.served(plain, an_exposure("default"))).bring_all()

        await stage.reconcile()

        assert stage.condition.reason == "Issued"
        assert len(stage.peer.status.certificates) == 3


class TestCertManager:
    async def test_issuers_and_certificates_are_applied(self) -> None:
        """And what is waited for is named."""
        stage = Stage({"spec.exposure": [an_exposure()]}, installed=True)

        result = await stage.reconcile()

        names = [key_of(each).name for each in stage.server.all(CERTIFICATE)]
        assert names == ["demo-ca-1", "demo-in-band", "demo-jwt", "demo-serving"]
        assert [key_of(e).name for e in stage.server.all(ISSUER)] == [
            "demo-ca-1",
            "demo-selfsigned",
        ]
        assert stage.condition.reason == "Issuing"
        assert stage.condition.message == "Certificate demo-ca-1: waits for cert-manager"
        assert result == DONE

    async def test_issued(self) -> None:
        """Then nothing is written any more, until the first certificate ends."""
        stage = Stage({"spec.exposure": [an_exposure()]}, installed=True)
        await stage.reconcile()
        stage.issue_all()
        await stage.reconcile()
        stage.server.sent()

        result = await stage.reconcile()

        assert (stage.condition.status, stage.condition.reason) == ("True", "Issued")
        assert (result, stage.server.sent()) == (AT_THE_END, [])

    async def test_what_cert_manager_says_is_lifted(self) -> None:
        """Ready's words while it works, Issuing's after an attempt that failed."""
        stage = Stage(installed=True)
        await stage.reconcile()
        stage.issue_all()
        waiting = {**READY, "status": "False", "reason": "DoesNotExist", "message": "issuing"}
        failed = {"type": "Issuing", "status": "False", "reason": "Failed", "message": "denied"}
        stage.say("demo-jwt", waiting)
        await stage.reconcile()
        first = stage.condition
        stage.say("demo-jwt", waiting, failed)

        await stage.reconcile()

        assert (first.reason, first.message) == (
            "Issuing",
            "Certificate demo-jwt: DoesNotExist: issuing",
        )
        assert stage.condition.reason == "IssuanceFailed"
        assert stage.condition.message == "Certificate demo-jwt: Failed: denied"

    async def test_a_renewal_that_failed_is_shown_while_the_certificate_is_good(self) -> None:
        """It is ready still; the message says what will end that."""
        stage = Stage(installed=True)
        await stage.reconcile()
        stage.issue_all()
        failed = {"type": "Issuing", "status": "False", "reason": "Failed", "message": "denied"}
        stage.say("demo-jwt", READY, failed)

        await stage.reconcile()

        assert (stage.condition.status, stage.condition.reason) == ("True", "IssuanceFailed")
        assert "demo-jwt" in stage.condition.message
        assert "denied" in stage.condition.message

    async def test_ready_of_an_older_spec_does_not_count(self) -> None:
        """A changed host is not in the certificate of before."""
        stage = Stage(installed=True)
        await stage.reconcile()
        stage.issue_all()
        stage.server.edit(
            CERTIFICATE, key("demo-jwt"), lambda each: each["metadata"].update(generation=7)
        )
        stage.say("demo-jwt", {**READY, "observedGeneration": 6})

        await stage.reconcile()

        assert stage.condition.reason == "Issuing"

    async def test_its_material_is_looked_at_too(self) -> None:
        """Somebody may have edited the Secret by hand."""
        stage = Stage(installed=True)
        await stage.reconcile()
        stage.issue_all().bring(demo_jwt=KeyPair(server().certificate, ca().key))

        await stage.reconcile()

        assert stage.condition.reason == "SecretInvalid"
        assert "(spec.tls.certManager)" in stage.condition.message

    async def test_a_serving_secret_that_went_is_blamed_on_a_field_that_exists(self) -> None:
        """With cert-manager there is no field for the serving certificate."""
        stage = Stage({"spec.exposure": [an_exposure()]}, installed=True)
        await stage.reconcile()
        stage.issue_all()
        stage.server.remove(SECRET, key("demo-serving"))

        await stage.reconcile()

        assert stage.condition.message == (
            "Secret shop/demo-serving (spec.tls.certManager) does not exist"
        )

    async def test_an_exposure_s_own_secret_is_nobody_s_to_issue(self) -> None:
        """No Certificate is asked for it; its content counts."""
        own = an_exposure("web", tls={"secretRef": {"name": "web"}})
        stage = Stage({"spec.exposure": [own]}, installed=True)
        await stage.reconcile()
        stage.issue_all().bring(web=server("web.example.com"))

        await stage.reconcile()

        assert stage.condition.reason == "Issued"
        assert "web" not in [key_of(each).name for each in stage.server.all(CERTIFICATE)]

    async def test_a_change_to_secrets_takes_the_certificates_away(self) -> None:
        """Else cert-manager would go on renewing what nobody uses."""
        stage = Stage(installed=True)
        await stage.reconcile()
        stage.edit({"tls": SECRETS})
        stage.bring_all()

        await stage.reconcile()

        assert stage.server.all(CERTIFICATE) + stage.server.all(ISSUER) == []
        assert stage.condition.reason == "Issued"


class TestNotInstalled:
    async def test_it_is_said_and_looked_for(self) -> None:
        """No watch can announce an API that is not served."""
        stage = Stage()

        result = await stage.reconcile()

        assert result == AGAIN
        assert stage.condition.reason == "CertManagerNotInstalled"
        assert "install cert-manager" in stage.condition.message
        assert stage.server.sent() == ["apply BigPeer/status shop/demo"]

    async def test_existing_secrets_go_on_being_used(self) -> None:
        """cert-manager was uninstalled: nobody renews them, but they are good."""
        stage = Stage(installed=True)
        await stage.reconcile()
        stage.issue_all()
        stage.server.served_kinds = CORE

        result = await stage.reconcile()

        assert stage.condition.status == "True"
        assert stage.condition.reason == "CertManagerNotInstalled"
        assert result == AGAIN

    async def test_half_of_it_is_not_enough(self) -> None:
        """A CRD is missing: nothing is applied that could not be completed."""
        stage = Stage(installed=True)
        stage.server.served_kinds = (*CORE, CERT_MANAGER[0])

        await stage.reconcile()

        assert stage.server.all(CERTIFICATE) == []

    async def test_it_starts_when_the_crds_appear(self) -> None:
        """Without a restart."""
        stage = Stage()
        await stage.reconcile()
        stage.server.served_kinds = (*CORE, *CERT_MANAGER)

        await stage.reconcile()

        assert len(stage.server.all(CERTIFICATE)) == 3

    async def test_secrets_do_not_need_it(self) -> None:
        """Nor is it looked for."""
        stage = Stage(BROUGHT_ALONG).bring_all()

        assert await stage.reconcile() == AT_THE_END


class TestTrouble:
    async def test_a_name_that_is_taken(self) -> None:
        """It is left alone and named, and tried again."""
        stage = Stage(installed=True)
        stage.server.put(
            {
                "apiVersion": ISSUER.api_version,
                "kind": "Issuer",
                "metadata": {"name": "demo-selfsigned", "namespace": "shop", "uid": "theirs"},
            }
        )

        result = await stage.reconcile()

        assert result == AGAIN
        assert stage.condition.reason == "NameConflict"
        assert "Issuer shop/demo-selfsigned" in stage.condition.message
        assert [each["metadata"]["uid"] for each in stage.server.all(ISSUER)] == ["theirs"]

    async def test_an_invalid_spec(self) -> None:
        """Nothing is applied; what there is, is still looked at."""
        stage = Stage(
            {"spec.tls.type": "CertManager", "spec.store.minimumReplicas": 9}, installed=True
        )

        result = await stage.reconcile()

        assert result == DONE
        assert stage.condition.reason == "InvalidSpec"
        assert "spec.store.minimumReplicas" in stage.condition.message
        assert stage.server.sent() == ["apply BigPeer/status shop/demo"]
        assert len(stage.peer.status.certificates) == 3

    async def test_deletion_writes_nothing(self) -> None:
        """Certificates go with their owner reference."""
        stage = Stage(installed=True)
        mark = {"deletionTimestamp": "2026-11-21T12:00:00Z"}
        stage.server.edit(BIG_PEER, key("demo"), lambda peer: peer["metadata"].update(mark))

        assert await stage.reconcile() == DONE
        stage.server.remove(BIG_PEER, key("demo"))
        assert await stage.reconcile() == DONE
        assert stage.server.sent() == []


class TestWakes:
    async def test_certificates_issuers_and_secrets_wake(self) -> None:
        """Whatever decides on the condition; its own status does not."""
        stage = Stage(installed=True)
        await stage.reconcile()
        stage.issue_all()
        woken = await stage.manager.listen()
        told: dict[str, list[str]] = {}

        stage.say("demo-jwt", READY, {"type": "x"})
        told["Certificate"] = woken.take()
        stage.server.remove(ISSUER, key("demo-ca-1"))
        told["Issuer"] = woken.take()
        stage.bring(demo_jwt=server("x.test"))
        told["Secret"] = woken.take()
        stage.bring(unrelated=server())
        told["another Secret"] = woken.take()
        stage.server.edit(BIG_PEER, key("demo"), lambda peer: peer["status"].update(version="1"))
        told["status"] = woken.take()

        assert told == {
            "Certificate": ["shop/demo"],
            "Issuer": ["shop/demo"],
            "Secret": ["shop/demo"],
            "another Secret": [],
            "status": [],
        }
