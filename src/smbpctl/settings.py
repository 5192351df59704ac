"""The operator's settings: one frozen model, filled from flags, then environment, then defaults."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from smbpctl.runtime.errors import ConfigurationError


class LogFormat(StrEnum):
    """How log lines are written."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """The least important line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class MemberAccess(StrEnum):
    """How the operator reaches store members."""

    AUTO = "auto"
    DIRECT = "direct"
    PORT_FORWARD = "port-forward"


class Settings(BaseSettings):
    """Everything `smbpctl run` can be told.

    A flag `--some-name` wins over the environment variable `SMBPCTL_SOME_NAME`, which wins over
    the default. Unknown flags and malformed values are refused with the name of the setting.
    """

    model_config = SettingsConfigDict(
        env_prefix="SMBPCTL_",
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    kubeconfig: Path | None = None
    """Kubeconfig file. Default: $KUBECONFIG, the pod's own account, ~/.kube/config."""

    context: str | None = None
    """Context of the kubeconfig. Default: its current context."""

    namespace: str = ""
    """The one namespace to watch. Default: all of them."""

    operator_namespace: str = ""
    """Where the operator's own pods run; NetworkPolicies let them reach the store."""

    image_prefix: str = "ditto-external"
    """Where operand images come from, unless a BigPeer says otherwise."""

    probe_address: str = ":8081"
    """Address of /healthz, /readyz and /metrics; an empty value serves nothing."""

    workers: Annotated[int, Field(ge=1, le=1000)] = 10
    """Objects that each controller reconciles at the same time."""

    file_system_group: Annotated[int, Field(ge=1)] | None = 65532
    """Group that owns the store's volumes; not used where OpenShift assigns one."""

    graceful_shutdown_seconds: Annotated[float, Field(ge=0)] = 30.0
    """How long running reconciles may finish after SIGTERM."""

    leader_elect: bool = False
    """Whether only one of several operators works at a time: the one that holds the Lease
    manager.smbpctl.dev in the operator's own namespace."""

    lease_duration_seconds: Annotated[int, Field(ge=1)] = 60
    """How long others wait for a leader that is silent."""

    renew_deadline_seconds: Annotated[float, Field(gt=0)] = 40.0
    """How long a leader tries to renew its Lease before it gives up."""

    retry_period_seconds: Annotated[float, Field(gt=0)] = 10.0
    """How often the Lease is renewed, or tried for."""

    admin_timeout_seconds: Annotated[float, Field(gt=0)] = 3.0
    """How long a store member may take to answer the operator."""

    member_access: MemberAccess = MemberAccess.AUTO
    """How store members are asked: direct, to their pods' addresses; port-forward, through the API
    server, which takes get and create on pods/portforward; auto, direct with the pod's own account
    and port-forward with a kubeconfig."""

    log_format: LogFormat = LogFormat.JSON
    """How log lines are written."""

    log_level: LogLevel = LogLevel.INFO
    """The least important log line that is written."""


def read_settings(given: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings; what is not `given` is looked for in the environment.

    Raise ConfigurationError that names each wrong one by its flag.
    """
    try:
        return Settings(**(given or {}))
    except ValidationError as error:
        problems = "; ".join(
            f"--{str(detail['loc'][0]).replace('_', '-')}: {detail['msg']}"
            for detail in error.errors()
        )
        raise ConfigurationError(problems) from error
