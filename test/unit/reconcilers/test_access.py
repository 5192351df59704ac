"""RBAC rules: exactly what is declared, no more and no less."""

from hypothesis import given
from hypothesis import strategies as st

from smbpctl.reconcilers import access
from smbpctl.reconcilers.access import Access, policy_rules
from smbpctl.runtime.meta import Manifest

Triple = tuple[str, str, str]

RECONCILERS = (access.CLUSTER, access.NETWORKING, access.TLS, access.TRANSACTION_LOG)
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")


def declared(accesses: tuple[Access, ...]) -> set[Triple]:
    """Return group, resource and verb of everything declared."""
    return {
        (each.group, resource, verb)
        for each in accesses
        for resource in each.resources
        for verb in each.verbs
    }


def granted(rules: list[Manifest]) -> list[Triple]:
    """Return group, resource and verb of everything granted, as often as it is."""
    return [
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


some_accesses = st.lists(
    st.builds(
        Access,
        group=st.sampled_from(["", "apps", "x.dev"]),
        resources=st.lists(st.sampled_from(["a", "b", "b/status"]), min_size=1, unique=True).map(
            tuple
        ),
        verbs=st.lists(st.sampled_from(VERBS), min_size=1, unique=True).map(tuple),
    )
).map(tuple)


class TestPolicyRules:
    @given(some_accesses)
    def test_exactly_what_is_declared(self, accesses: tuple[Access, ...]) -> None:
        """Merging must neither widen nor lose anything, nor grant it twice."""
        rules = policy_rules(accesses)

        assert sorted(granted(rules)) == sorted(declared(accesses))

    @given(some_accesses)
    def test_the_order_of_declarations_does_not_matter(self, accesses: tuple[Access, ...]) -> None:
        """Else the generated file would change with the code that is read first."""
        assert policy_rules(accesses) == policy_rules(tuple(reversed(accesses)))

    def test_resources_with_the_same_verbs_share_a_rule(self) -> None:
        """Sorted by group, verbs in their usual order."""
        rules = policy_rules(
            [
                Access("x.dev", ("b",), ("patch", "get")),
                Access("", ("pods",), ("list",)),
                Access("x.dev", ("a",), ("get",)),
                Access("x.dev", ("a",), ("patch",)),
            ]
        )

        assert rules == [
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
            {"apiGroups": ["x.dev"], "resources": ["a", "b"], "verbs": ["get", "patch"]},
        ]

    def test_the_operator_gets_the_union_of_its_reconcilers(self) -> None:
        """They run in one process under one account."""
        union = set[Triple]().union(*map(declared, RECONCILERS))

        assert set(granted(policy_rules())) == union


class TestDeclarations:
    def test_no_wildcards(self) -> None:
        """Neither groups, nor resources, nor verbs."""
        assert not [each for each in granted(policy_rules()) if "*" in "".join(each)]

    def test_secrets_are_never_deleted(self) -> None:
        """Nor is anything in a namespace that is not a kind of ours."""
        verbs = {verb for _, resource, verb in granted(policy_rules()) if resource == "secrets"}

        assert verbs == {"get", "list", "watch", "create", "patch"}

    def test_what_a_user_owns_is_never_written(self) -> None:
        """The spec of a BigPeer, namespaces, classes, nodes."""
        kinds = ("namespaces", "storageclasses", "ingressclasses")

        written = {
            (resource, verb)
            for _, resource, verb in granted(policy_rules())
            if verb not in access.READ and resource in (*kinds, "bigpeers")
        }

        # The one patch is of the finalizer.
        assert written == {("bigpeers", "patch")}

    def test_every_reconciler_reads_and_reports_on_big_peers(self) -> None:
        """A permission that one lacked would only be missed when it runs alone."""
        wanted = {("smbpctl.dev", "bigpeers", verb) for verb in access.READ}
        wanted.add(("smbpctl.dev", "bigpeers/status", "patch"))

        assert [wanted <= declared(accesses) for accesses in RECONCILERS] == [True] * 4

    def test_what_is_watched_can_be_listed(self) -> None:
        """An informer needs both; so does every cached read."""
        everything = declared(access.EVERYTHING)

        unlisted = [t for t in everything if t[2] == "watch" and (*t[:2], "list") not in everything]

        assert unlisted == []

    def test_a_developer_may_forward_ports_and_the_operator_may_not(self) -> None:
        """Whoever forwards ports reaches every port of every pod, past all network policies."""
        operator = set(granted(policy_rules()))
        developer = set(granted(policy_rules(access.DEVELOPER)))

        assert developer - operator == {
            ("", "pods/portforward", "get"),
            ("", "pods/portforward", "create"),
        }
        assert operator < developer
