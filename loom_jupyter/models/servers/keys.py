"""Keys of model servers: from the environment, or the system's keyring. None is logged or written anywhere.

A key goes to the address that the user gave it for, and to no other. That holds because of who may give an
address: the user (``--model``, `Loom`, ``LOOM_MODEL``) or settings that the user trusts, which name key and
address together (`loom_jupyter.trust`); and because `loom_jupyter.models.servers.transport` follows no redirect.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
from urllib.parse import urlsplit

from loom_jupyter.models.protocol import ModelError

DEFAULT = "LOOM_API_KEY"
SERVICE = "loom"  # what the keyring files Loom's keys under


def key_for(address: str, name: str | None = None) -> str | None:
    """Return the key for a server, or None if there is none.

    Parameters
    ----------
    address
        The server's.
    name
        Environment variable, or entry ``loom`` / `name` of the keyring; None is ``LOOM_API_KEY``, for which the
        keyring is not opened when the server runs on this machine.

    Raises
    ------
    ModelError
        If a key is named and is in neither.
    """
    found = os.environ.get(name or DEFAULT)
    if found is None and (name is not None or not _is_here(address)):
        found = _from_keyring(name or DEFAULT)
    if found is None and name is not None:
        raise ModelError(
            f"There is no key {name}; set it in the environment of the notebook server, or store it with: "
            f"keyring set {SERVICE} {name} (needs: pip install keyring)."
        )
    return found


def _from_keyring(name: str) -> str | None:
    if importlib.util.find_spec("keyring") is None:
        return None
    import keyring
    from keyring.errors import KeyringError

    try:
        found: str | None = keyring.get_password(SERVICE, name)
    except KeyringError:  # no keyring runs, or it stays locked: as good as none
        return None
    return found


def _is_here(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
