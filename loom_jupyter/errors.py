"""The root of Loom's errors. Each room defines its own beside the code that raises it."""

from __future__ import annotations


class LoomError(Exception):
    """Something the user can mend.

    The message is one sentence that says what is wrong and what to do about it; the doors (magics, terminal,
    panel) show it as it is, without a traceback.
    """


class SettingsError(LoomError):
    """``[tool.loom]`` holds something that cannot be used, or the user's word on it cannot be kept."""


class Cancelled(Exception):  # noqa: N818 - an outcome, not an error
    """The user pressed Stop. Nothing is lost: what was loaded stays loaded, what was written stays as it was."""
