"""The part of a shared settings file that says how tests run, as of pyproject.toml or package.json."""

from __future__ import annotations

import configparser
import json
import tomllib
from collections.abc import Mapping
from typing import Any

# Keys whose values judge; a dotted key is one below another.
_TOML: dict[str, tuple[str, ...]] = {
    "pyproject.toml": tuple(
        f"tool.{name}"
        for name in (
            *("pytest", "tox", "nox", "coverage", "nose2", "behave", "robot", "taskipy", "poe", "inv", "ward"),
            *("hatch.envs", "pdm.scripts", "rye.scripts", "pixi.tasks", "django", "unittest", "doctest"),
        )
    ),
    "cargo.toml": ("test", "bench", "lib.test", "lib.doctest", "profile.test"),
}
_JSON: dict[str, tuple[str, ...]] = {
    "package.json": (
        *("scripts", "jest", "mocha", "vitest", "ava", "nyc", "c8", "tap", "cypress", "jasmine", "wdio", "karma"),
    ),
    "composer.json": ("scripts", "scripts-descriptions"),
    "deno.json": ("tasks", "test"),
    "deno.jsonc": ("tasks", "test"),
}
_SECTIONS = ("tool:pytest", "pytest", "coverage", "nosetests", "unittest", "aliases", "testenv", "tox", "behave")


def judging_part(path: str, text: str) -> Mapping[str, Any]:
    """Return what a file says of how tests run, by the names of its settings; empty for all other files.

    Parameters
    ----------
    path
        Decides how the text is read.
    text
        One that cannot be read says nothing.
    """
    name = path.rpartition("/")[2].lower()
    try:
        if name in _TOML:
            return _picked(tomllib.loads(text), _TOML[name])
        if name in _JSON:
            return _picked(json.loads(text), _JSON[name])
        return _sections(text) if name == "setup.cfg" else {}
    except (ValueError, RecursionError, configparser.Error):
        return {}


def changed_setting(path: str, before: str, after: str) -> str | None:
    """Return the name of a setting of the tests that a change of a file alters, adds or takes away."""
    old, new = judging_part(path, before), judging_part(path, after)
    return next((name for name in sorted({*old, *new}) if old.get(name) != new.get(name)), None)


def _picked(data: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    found = {}
    for key in keys:
        value = data
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            found[key] = value
    return found


def _sections(text: str) -> dict[str, Any]:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(text)
    return {
        f"[{name}]": dict(parser[name])
        for name in parser.sections()
        if any(name == known or name.startswith(f"{known}:") for known in _SECTIONS)
    }


def command_of(path: str, text: str, script: str) -> str | None:
    """Return the shell command that a ``package.json`` or its like gives a script's name; None if it has none."""
    part = judging_part(path, text)
    tables = (part.get("scripts"), part.get("tasks"))
    found = next((table[script] for table in tables if isinstance(table, dict) and script in table), None)
    return found if isinstance(found, str) else None
