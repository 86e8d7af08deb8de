"""What a failed activity or child means to an idea: a failure class and a sentence."""

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    TimeoutError,
)

from domain.delivery import FailureClass

_CLASSES = {
    "Rejected": FailureClass.DETERMINISTIC_ERROR,
    "Misconfigured": FailureClass.DETERMINISTIC_ERROR,
    "Refused": FailureClass.DETERMINISTIC_ERROR,
    "ValidationError": FailureClass.DETERMINISTIC_ERROR,
    "Unavailable": FailureClass.INFRA,
}


def failure_of(error: ActivityError | ChildWorkflowError) -> tuple[FailureClass, str]:
    """Return why the activity or child failed; never decides from the text of a message."""
    cause = error.cause
    while isinstance(cause, (ActivityError, ChildWorkflowError)) and cause.cause:
        cause = cause.cause
    if isinstance(cause, ApplicationError):
        failure = _CLASSES.get(cause.type or "", FailureClass.UNKNOWN)
        return failure, cause.message or str(cause)
    if isinstance(cause, TimeoutError):
        return FailureClass.INFRA, f"timed out: {cause.message}"
    return FailureClass.UNKNOWN, str(cause or error)
