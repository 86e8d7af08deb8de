"""The one Temporal plugin: converter, failure types, sandbox; for clients, workers, replayers."""

import dataclasses

from pydantic import ValidationError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from domain.errors import Misconfigured, Refused, Rejected, Unavailable

# Passed through the sandbox: pure modules, so that each workflow start does not import them
# again. The modules that define workflows stay inside.
PASSED = ("domain", "activities", "workflows.names", "workflows.options", "pydantic", "re2")

# A plain bug stays a failure of the workflow task, which a deploy mends without losing the run;
# these end the run, because no deploy would.
ENDS_THE_RUN = (ValidationError, Rejected, Misconfigured, Refused, Unavailable)


def _runner(existing: WorkflowRunner | None) -> WorkflowRunner:
    if isinstance(existing, SandboxedWorkflowRunner):
        restrictions = existing.restrictions.with_passthrough_modules(*PASSED)
        return dataclasses.replace(existing, restrictions=restrictions)
    return existing or SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED)
    )


def slipway_plugin() -> SimplePlugin:
    """Return the plugin; give it to the client, its workers take it over."""
    return SimplePlugin(
        "slipway",
        data_converter=pydantic_data_converter,
        workflow_runner=_runner,
        workflow_failure_exception_types=ENDS_THE_RUN,
    )
