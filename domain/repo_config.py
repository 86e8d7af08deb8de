"""The file `.slipway.yaml` of a repository: how it wants to be set up and judged."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.record import Record
from domain.service import Service, ServiceName

FILE_NAME = ".slipway.yaml"
BUILT_IN = ("setup", "secrets", "churn", "protected", "scope", "census", "security")

GateName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")]
ShellLine = Annotated[str, Field(min_length=1, max_length=4_000)]


class SetupStep(Record):
    """A shell line that makes a fresh checkout ready; only these may ask for network."""

    run: ShellLine
    network: bool = False


class DeclaredGate(Record):
    """A shell line that judges a checkout.

    With `junit` it writes its report to the file named by SLIPWAY_REPORT or to `path`; with
    `gotest` (the output of `go test -json`) and `tap` the report may be the output itself.
    """

    run: ShellLine
    report: Literal["junit", "gotest", "tap", "exit"] = "exit"
    path: str = Field(default="", max_length=400)  # of the report, relative to the checkout
    timeout: int = Field(default=900, ge=1, le=86_400)  # seconds


class RepoConfig(Record):
    """Schema `slipway.repo/1`; gates are read from the base commit only, never from a change."""

    schema_: Literal["slipway.repo/1"] = Field(default="slipway.repo/1", alias="schema")
    setup: tuple[SetupStep, ...] = Field(default=(), max_length=20)
    gates: dict[GateName, DeclaredGate] = {}
    protected_paths: tuple[str, ...] = ()
    policy: dict[str, object] = {}  # only tightens; read by the policy
    services: dict[ServiceName, Service] = {}  # which commit counts: domain.service_check

    model_config = {"populate_by_name": True}

    @model_validator(mode="after")
    def _leave_built_in_gates(self) -> Self:
        taken = sorted(set(self.gates) & set(BUILT_IN))
        if taken:
            raise ValueError(f"gate {taken[0]!r} is built in and cannot be replaced")
        return self
