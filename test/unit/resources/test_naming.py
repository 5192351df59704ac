"""Names and labels: stable, legal, and the same wherever they are asked for."""

from smbpctl.operand.contract import Component
from smbpctl.resources import naming
from test.support.bigpeers import an_exposure
from test.support.peers import SECRETS, a_peer


class TestNames:
    def test_names_of_the_longest_peer_are_legal_labels(self) -> None:
        """A name of thirty characters leaves room for the suffixes of children and revisions."""
        peer = a_peer({"metadata.name": "x" * 30, "spec.store.partitions": 64})

        longest = naming.claim_name(peer, 63, 8)
        workload = naming.partition_name(peer, 63)

        assert len(workload) <= 52  # a controller revision appends a dash and ten characters
        assert len(longest) <= 63

    def test_brokers_of_the_longest_peer_have_a_legal_hostname(self) -> None:
        """Strimzi calls a broker's pod after cluster, pool and id, and the host after the pod."""
        peer = a_peer({"metadata.name": "x" * 30})

        pod = f"{naming.kafka_name(peer)}-{naming.kafka_pool_name(peer)}-999"

        assert len(pod) <= 63

    def test_pools_of_two_peers_are_told_apart(self) -> None:
        """They share a namespace, and with it the names of node pools."""
        one, other = a_peer(), a_peer({"metadata.name": "other"})

        assert naming.kafka_pool_name(one) != naming.kafka_pool_name(other)

    def test_a_topology_is_named_by_its_id(self) -> None:
        """Members mount one ConfigMap; each configuration has a copy of its own beside it."""
        peer = a_peer()

        assert naming.topology_name(peer) == "demo-topology"
        assert naming.topology_name(peer, 7) == "demo-topology-7"


class TestSecrets:
    def test_secrets_mode_takes_the_users_names(self) -> None:
        """In Secrets mode pods mount what the user named."""
        peer = a_peer({"spec.tls": SECRETS})

        names = (naming.ca_secret(peer), naming.in_band_secret(peer), naming.jwt_secret(peer))

        assert names == ("our-ca", "our-in-band", "jwt")

    def test_cert_manager_mode_uses_names_of_ours(self) -> None:
        """In CertManager mode the authority's name carries its generation."""
        peer = a_peer()

        names = (naming.ca_secret(peer), naming.in_band_secret(peer), naming.jwt_secret(peer))

        assert names == ("demo-ca-1", "demo-in-band", "demo-jwt")

    def test_the_exposures_own_secret_wins(self) -> None:
        """secretRef beats the common serving certificate; without TLS there is none at all."""
        own = an_exposure("own", tls={"secretRef": {"name": "mine"}})
        plain = an_exposure("plain", tls={"mode": "None"})
        peer = a_peer({"spec.exposure": [an_exposure(), own, plain]})

        served = [naming.serving_secret(peer, exposure) for exposure in peer.spec.exposure]

        assert served == ["demo-serving", "mine", None]

    def test_secrets_mode_serves_the_secret_it_names(self) -> None:
        """spec.tls.secrets.serving is for exposures without a Secret of their own."""
        exposed = {"spec.exposure": [an_exposure()], "spec.tls": SECRETS}
        peer = a_peer({**exposed, "spec.tls.secrets.serving": {"name": "wild"}})
        without = a_peer(exposed)

        assert naming.serving_secret(peer, peer.spec.exposure[0]) == "wild"
        assert naming.serving_secret(without, without.spec.exposure[0]) is None


class TestLabels:
    def test_a_selector_is_part_of_the_labels(self) -> None:
        """What selects a component's pods is what they are labelled with."""
        peer = a_peer()

        labels = naming.labels(peer, Component.STORE, 1)
        selector = naming.selector(peer, Component.STORE, 1)

        assert selector.items() <= labels.items()
        assert selector[naming.LABEL_PARTITION] == "1"


class TestDigest:
    def test_order_does_not_matter_and_content_does(self) -> None:
        """The hash is of the value, not of the order in which a dict was filled."""
        assert naming.digest({"a": 1, "b": 2}) == naming.digest({"b": 2, "a": 1})
        assert naming.digest({"a": 1}) != naming.digest({"a": 2})
