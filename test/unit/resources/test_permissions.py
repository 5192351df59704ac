"""The operator's own identity: one account that may do what the rules say."""

from smbpctl.resources.permissions import developer_role, operator_permissions


def test_the_account_is_bound_to_the_rules() -> None:
    """Role and binding name each other and the account, in the namespace given."""
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]

    namespace, account, role, binding, *_ = operator_permissions(rules, "here")

    assert namespace["metadata"]["name"] == account["metadata"]["namespace"] == "here"
    assert role["rules"] == rules
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"][0]["name"] == account["metadata"]["name"]
    assert binding["subjects"][0]["namespace"] == "here"


def test_the_lease_is_the_only_one() -> None:
    """Leader election takes a right on one Lease of the operator's own namespace, and no more."""
    *_, account, _, _, role, binding = operator_permissions([], "here")

    create, rest = role["rules"]
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "here"
    assert (create["verbs"], create["resources"]) == (["create"], ["leases"])
    assert rest["resourceNames"] == ["manager.smbpctl.dev"]
    assert rest["verbs"] == ["get", "watch", "update"]
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "Role",
        "name": role["metadata"]["name"],
    }
    assert binding["subjects"][0]["name"] == account["metadata"]["name"]


def test_the_developers_role_is_bound_to_nobody() -> None:
    """A role of another name than the operator's, with the rules given."""
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]

    role = developer_role(rules)

    assert (role["kind"], role["metadata"]["name"]) == ("ClusterRole", "smbpctl-developer")
    assert role["rules"] == rules
    assert role["metadata"]["name"] not in {
        each["metadata"]["name"] for each in operator_permissions(rules)
    }
