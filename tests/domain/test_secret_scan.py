"""Credentials in added lines."""

import time

import pytest

from domain.diff import ChangedLine
from domain.secret_scan import entropy, mask, scan


def added(text: str, path: str = "src/app.py") -> ChangedLine:
    return ChangedLine(path=path, text=text, added=True, line=7)


# Put together at run time, so that this file does not look like a leak itself.
LEAKS = {
    "aws-access-key": "AKIA" + "Q3T7WPL2NVR5MZKD",
    "github-token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8",
    "gitlab-token": "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "slack-token": "xoxb-" + "2468013579-abcdefGHIJ",
    "slack-webhook": "hooks.slack.com/services/" + "T0A1B2C3D/B4E5F6G7H/a1b2c3d4e5f6g7h8",
    "google-key": "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "stripe-key": "sk_live_" + "a1B2c3D4e5F6g7H8",
    "npm-token": "npm_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "pypi-token": "pypi-AgEI" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1",
    "model-key": "sk-ant-" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6",
    "signed-token": "eyJhbGciOiJIUzI1" + ".eyJzdWIiOiJhYmMi" + ".a1B2c3D4e5F6g7H8i9J0k1",
    "private-key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "password-in-url": "postgres://app:" + "Tr0ub4dor3@db.internal/app",
    "named-secret": 'api_key = "' + "q8Zk2LmP0vXw7RtB" + '"',
}


@pytest.mark.parametrize(("rule", "text"), LEAKS.items())
def test_finds_a_credential_and_never_repeats_it(rule: str, text: str) -> None:
    found = scan((added(f"value: {text}"),))

    assert [(each.rule, each.path, each.line) for each in found] == [(rule, "src/app.py", 7)]
    assert text not in found[0].model_dump_json()


@pytest.mark.parametrize(
    "text",
    [
        "token = get_token()",
        'password = "change-me-please-1"',
        'secret = "aaaaaaaaaaaaaaaaaa"',
        'api_key = "correct horse battery"',
        'api_key = "correcthorsebattery"',
        'token = "${GITHUB_TOKEN_9}"',
        "AKIA" + "IOSFODNN7EXAMPLE",
        "postgres://user:<password>@host/db",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_leaves_harmless_text_alone(text: str) -> None:
    assert scan((added(text),)) == ()


def test_a_made_up_secret_in_a_test_is_none() -> None:
    assert scan((added(LEAKS["named-secret"], path="tests/test_app.py"),)) == ()


def test_a_known_shape_counts_in_a_test_too() -> None:
    assert len(scan((added(LEAKS["github-token"], path="tests/test_app.py"),))) == 1


def test_a_moved_credential_is_not_new() -> None:
    text = LEAKS["github-token"]
    removed = ChangedLine(path="old.py", text=text, added=False)

    assert scan((removed, added(text))) == ()
    assert len(scan((removed, added(text), added(text)))) == 1


def test_finds_a_credential_far_inside_a_long_line_once() -> None:
    text = "x" * 3_790 + " " + LEAKS["github-token"] + " " + "y" * 9_000

    assert len(scan((added(text),))) == 1


def test_a_hostile_line_is_read_at_once() -> None:
    lines = tuple(added(part * 40_000) for part in ("token_", "eyJ", "a://b:c", "AKIA", "secret "))
    started = time.process_time()

    assert scan(lines) == ()
    assert time.process_time() - started < 5


def test_masks_all_but_the_beginning() -> None:
    assert mask("abcdefgh") == "abcd... (8 characters)"


def test_measures_entropy() -> None:
    assert entropy("aaaa") == 0
    assert entropy("abcd") == 2
