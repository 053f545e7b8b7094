"""The Jupyter server extension: list runs, follow their events, write their control files.

Kept light: what needs more than Jupyter Server itself is imported by the first request.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "loom_jupyter.server"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Add Loom's routes to a Jupyter server (called by it at start-up)."""
    from loom_jupyter.server.routes import handlers

    server.web_app.add_handlers(".*$", handlers(server.web_app.settings["base_url"]))
