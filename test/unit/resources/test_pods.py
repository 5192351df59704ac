"""Pod templates: hardened, and with a revision that changes exactly when pods must be replaced."""

import dataclasses

import pytest

from smbpctl.operand.contract import COMPONENTS, Component
from smbpctl.resources import naming
from smbpctl.resources.pods import pod_template, revision_of
from test.support.golden import Golden
from test.support.peers import INPUTS, INPUTS_IN_CLUSTER, RESOURCES, a_peer, a_production_peer


class TestPodTemplate:
    @pytest.mark.parametrize("component", Component)
    def test_golden(self, component: Component, golden: Golden) -> None:
        """The pods of every component, minimal and with everything said."""
        minimal = pod_template(a_peer(), component, INPUTS)
        full = pod_template(a_production_peer(), component, INPUTS_IN_CLUSTER)

        golden(f"pods/{component.value}", [minimal, full])

    @pytest.mark.parametrize("component", Component)
    def test_pods_satisfy_the_restricted_profile(self, component: Component) -> None:
        """Pod Security "restricted", rule by rule, and no token of the API server mounted."""
        spec = pod_template(a_production_peer(), component, INPUTS_IN_CLUSTER)["spec"]

        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["readOnlyRootFilesystem"] is True
        kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"configMap", "secret", "emptyDir"}

    @pytest.mark.parametrize("component", Component)
    def test_every_mount_has_its_volume(self, component: Component) -> None:
        """A mount without a volume would be refused; data comes from the claim template."""
        spec = pod_template(a_peer(), component, INPUTS)["spec"]

        mounted = {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        volumes = {volume["name"] for volume in spec["volumes"]}

        assert mounted - {naming.DATA_VOLUME} == volumes
        assert (naming.DATA_VOLUME in mounted) is (component is Component.STORE)

    def test_probes_ask_the_port_of_the_contract(self) -> None:
        """All three probes go to the named port, which is the contract's."""
        container = pod_template(a_peer(), Component.API, INPUTS)["spec"]["containers"][0]

        port = container["ports"][0]

        assert port["containerPort"] == COMPONENTS[Component.API].port
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] == port["name"]

    def test_members_are_spread_partition_by_partition(self) -> None:
        """Two members of one partition on one host would be lost together."""
        spec = pod_template(a_peer(), Component.STORE, INPUTS, partition=1)["spec"]

        for constraint in spec["topologySpreadConstraints"]:
            assert constraint["labelSelector"]["matchLabels"][naming.LABEL_PARTITION] == "1"
            assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"

    def test_front_ends_serve_on_while_they_leave(self) -> None:
        """A front-end that ended at once would refuse what Services still send to it."""
        front_end = pod_template(a_peer(), Component.API, INPUTS)["spec"]["containers"][0]
        member = pod_template(a_peer(), Component.STORE, INPUTS)["spec"]["containers"][0]

        assert front_end["lifecycle"]["preStop"]["sleep"]["seconds"] > 0
        assert "lifecycle" not in member

    def test_only_the_store_has_a_group_of_its_own(self) -> None:
        """Data volumes belong to a group, unless the platform assigns one."""
        store = pod_template(a_peer(), Component.STORE, INPUTS_IN_CLUSTER)
        api = pod_template(a_peer(), Component.API, INPUTS_IN_CLUSTER)
        openshift = pod_template(
            a_peer(),
            Component.STORE,
            dataclasses.replace(INPUTS_IN_CLUSTER, file_system_group=None),
        )

        assert store["spec"]["securityContext"]["fsGroup"] == 65532
        assert "fsGroup" not in api["spec"]["securityContext"]
        assert "fsGroup" not in openshift["spec"]["securityContext"]


class TestRevision:
    @pytest.mark.parametrize(
        "edit",
        [
            {"spec.version": "1.63.1"},
            {"spec.image": {"prefix": "elsewhere.test"}},
            {"spec.image": {"pullSecrets": [{"name": "pull"}]}},
            {"spec.store.resources": RESOURCES},
        ],
    )
    def test_what_pods_are_made_of_changes_it(self, edit: dict[str, object]) -> None:
        """Pods that would differ have another revision."""
        peer = a_peer(edit)
        inputs = dataclasses.replace(
            INPUTS, image_prefix=peer.spec.image.prefix or INPUTS.image_prefix
        )

        before = revision_of(pod_template(a_peer(), Component.STORE, INPUTS))
        after = revision_of(pod_template(peer, Component.STORE, inputs))

        assert before != after

    @pytest.mark.parametrize("field", ["tls_digest", "log_digest"])
    def test_other_secret_contents_change_it(self, field: str) -> None:
        """Members read their Secrets at start: new content means new pods."""
        inputs = dataclasses.replace(INPUTS, **{field: "other"})

        before = revision_of(pod_template(a_peer(), Component.STORE, INPUTS))
        after = revision_of(pod_template(a_peer(), Component.STORE, inputs))

        assert before != after

    @pytest.mark.parametrize(
        "edit",
        [
            {"spec.store.storage.size": "20Gi"},
            {"spec.update": {"settleSeconds": 99}},
            {"spec.deletionPolicy": "Delete"},
            {"spec.api": {"replicas": 9}},
            {"metadata.generation": 77},
        ],
    )
    def test_what_pods_do_not_see_leaves_it(self, edit: dict[str, object]) -> None:
        """Nothing restarts for a change that no pod would notice."""
        before = revision_of(pod_template(a_peer(), Component.STORE, INPUTS))
        after = revision_of(pod_template(a_peer(edit), Component.STORE, INPUTS))

        assert before == after

    def test_it_is_recorded(self) -> None:
        """An operator upgrade must not restart anything: this value changes only on purpose."""
        revision = revision_of(pod_template(a_peer(), Component.STORE, INPUTS))

        assert revision == "98787e1575"

    def test_an_unlabelled_template_has_none(self) -> None:
        """A template of somebody else's reads as no revision."""
        assert revision_of({"metadata": {}}) == ""
        assert revision_of({}) == ""
