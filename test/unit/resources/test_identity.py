"""ServiceAccounts: one per component, without rights."""

from smbpctl.operand.contract import Component
from smbpctl.resources.identity import service_account
from smbpctl.resources.pods import pod_template
from test.support.peers import INPUTS, a_peer


def test_pods_run_under_the_account_that_is_made_for_them() -> None:
    """The account that a pod names exists, and mounts no token."""
    for component in Component:
        account = service_account(a_peer(), component)
        pod = pod_template(a_peer(), component, INPUTS)

        assert pod["spec"]["serviceAccountName"] == account["metadata"]["name"]
        assert account["automountServiceAccountToken"] is False
