"""Short-lived commands leave at once: the interpreter's own farewell is where clients crash."""

import subprocess
import sys

import pytest

# A farewell would be told: by a function that the interpreter calls at its end.
FAREWELL = "import atexit; atexit.register(print, 'farewell'); "
LEAVE = "from starter.leave import leave; print('said', end=''); leave(3)"
COMMAND = "import sys; sys.argv = ['slipway', 'nonsense']; from starter.entry import main; main()"


@pytest.mark.parametrize(("words", "code", "said"), [(LEAVE, 3, b"said"), (COMMAND, 2, b"")])
def test_what_was_said_arrives_and_nothing_comes_after(words: str, code: int, said: bytes) -> None:
    # With a live server, a hundred times: tests/end_to_end/test_exit.py.
    ended = subprocess.run(
        [sys.executable, "-c", FAREWELL + words], capture_output=True, timeout=60, check=False
    )

    assert (ended.returncode, ended.stdout) == (code, said)
