"""Ini files that people write for several tools: lenient, without interpolation."""

import configparser


def read_ini(text: str) -> configparser.ConfigParser:
    """Return what can be read; empty when nothing can."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    try:
        parser.read_string(text)
    except (configparser.Error, UnicodeError):
        return configparser.ConfigParser(interpolation=None)
    return parser
