"""One stage for all tests of the operator: its own control plane, so that the audit log is ours."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from smbpctl.api.v1alpha1.schema import crd
from smbpctl.reconcilers.access import policy_rules
from smbpctl.resources.permissions import NAME, NAMESPACE, operator_permissions
from smbpctl.runtime.simulation.controlplane import Binaries, ControlPlane
from test.controlplane.bigpeer.stage import Nodes, Operator, Stage


@pytest.fixture(scope="package")
def control_plane(
    binaries: Binaries, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """A control plane that no other test writes to."""
    with ControlPlane(binaries, tmp_path_factory.mktemp("operator-controlplane")) as made:
        yield made


@pytest.fixture(scope="package")
def stage(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """CRD, rights and nodes; no operator runs yet."""
    with Nodes(control_plane) as nodes:
        made = Stage(
            control_plane, nodes, control_plane.kubeconfig, tmp_path_factory.mktemp("operators")
        )
        made.apply(crd(), *operator_permissions(policy_rules()))
        made.established()
        made.kubeconfig = control_plane.service_account_kubeconfig(NAMESPACE, NAME)
        yield made


@pytest.fixture(scope="package", autouse=True)
def _quiet_nodes() -> Iterator[None]:
    """The nodes' debug lines would bury what a failing test has to say."""
    warnings = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=warnings)
    yield
    structlog.reset_defaults()


@pytest.fixture
def operator(stage: Stage) -> Iterator[Operator]:
    """The operator, running for the length of a test."""
    with stage.operator() as running:
        yield running


@pytest.fixture(autouse=True)
def no_failures(stage: Stage) -> Iterator[None]:
    """No test inherits the failures of another."""
    yield
    stage.nodes.failures.clear()
