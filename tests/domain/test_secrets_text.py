"""Credentials are taken out of text before it is stored."""

from domain.secrets_text import redact

TOKEN = "ghp_" + "a1B2" * 9


def test_ordinary_text_stays_as_it_is():
    text = "collected 3 items\n\nsrc/app.py .. [100%]\n"

    assert redact(text) == text


def test_a_token_is_replaced_and_named():
    assert redact(f"got {TOKEN}\nnext") == "got [github-token redacted]\nnext"


def test_known_values_are_replaced_whatever_they_look_like():
    assert redact("x open-sesame y", ("open-sesame",)) == "x [redacted] y"


def test_short_known_values_are_left():
    assert redact("one done", ("one",)) == "one done"


def test_the_body_of_a_private_key_is_removed():
    text = "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIabc\ndef\n-----END RSA PRIVATE KEY-----\nb"

    clean = redact(text)

    assert "MIIabc" not in clean
    assert clean.startswith("a\n")
    assert clean.endswith("\nb")
