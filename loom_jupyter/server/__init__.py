"""The Jupyter server extension: list runs, follow their events, write their control files.

Kept light: what needs more than Jupyter Server itself is imported by the first request.
"""

from __future__ import annotations

import logging
from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "loom_jupyter.server"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Add Loom's routes to a Jupyter server (called by it at start-up)."""
    from loom_jupyter.server.routes import handlers

    if isinstance(log := getattr(server, "log", None), logging.Logger):
        logging.getLogger("loom_jupyter").parent = log  # as the server does with Tornado's loggers

    server.web_app.add_handlers(".*$", handlers(server.web_app.settings["base_url"]))
