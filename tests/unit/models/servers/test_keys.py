from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from loom_jupyter.models.protocol import ModelError
from loom_jupyter.models.servers import keys

AWAY = "https://models.example.org/v1"
HERE = ("http://localhost:8080/v1", "http://127.0.0.1:8080/v1", "http://[::1]:8080/v1")


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Any]:
    """A keyring that a test fills; an exception in it is raised."""
    held: dict[tuple[str, str], Any] = {}
    errors = ModuleType("keyring.errors")
    errors.KeyringError = type("KeyringError", (Exception,), {})  # type: ignore[attr-defined]

    def get_password(service: str, name: str) -> str | None:
        found = held.get((service, name))
        if isinstance(found, type):
            raise found("locked")
        return found

    keyring = ModuleType("keyring")
    keyring.get_password, keyring.errors = get_password, errors  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    monkeypatch.setattr(keys.importlib.util, "find_spec", lambda _: object())
    monkeypatch.delenv("LOOM_API_KEY", raising=False)
    return held


def test_the_environment_comes_first(ring: dict[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    ring["loom", "LOOM_API_KEY"] = "of the ring"
    assert keys.key_for(AWAY) == "of the ring"
    monkeypatch.setenv("LOOM_API_KEY", "of the environment")
    assert keys.key_for(AWAY) == "of the environment"


@pytest.mark.parametrize("address", HERE)
def test_no_keyring_is_opened_for_a_server_of_this_machine(ring: dict[Any, Any], address: str) -> None:
    ring["loom", "LOOM_API_KEY"] = ring["loom", "LOOM_TEAM"] = "secret"
    assert keys.key_for(address) is None
    assert keys.key_for(address, "LOOM_TEAM") == "secret"


def test_a_named_key_that_is_nowhere_is_said(ring: dict[Any, Any]) -> None:
    with pytest.raises(ModelError, match="keyring set loom LOOM_TEAM"):
        keys.key_for(AWAY, "LOOM_TEAM")
    assert keys.key_for(AWAY) is None


def test_a_locked_keyring_is_as_good_as_none(ring: dict[Any, Any]) -> None:
    ring["loom", "LOOM_API_KEY"] = sys.modules["keyring.errors"].KeyringError
    assert keys.key_for(AWAY) is None
