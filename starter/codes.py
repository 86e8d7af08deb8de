"""The exit codes of `slipway`."""

from enum import IntEnum


class Exit(IntEnum):
    """What a script can tell from the exit code alone."""

    DONE = 0  # completed
    OTHER = 1  # anything else
    INVALID = 2  # invalid input
    ENDED = 3  # the idea ended otherwise
    WAITS = 4  # waits for a person or for input
    UNREACHABLE = 5  # server or database not reachable
    INTERRUPTED = 130  # Ctrl-C; the idea keeps running
