"""The root of Loom's errors. Each room defines its own beside the code that raises it."""

from __future__ import annotations


class LoomError(Exception):
    """Something the user can fix.

    The message is one sentence that says what is wrong and what to do about it; the doors (magics, terminal,
    panel) show it as it is, without a traceback.
    """


class SettingsError(LoomError):
    """``[tool.loom]`` holds something that cannot be used, or the user's word on it cannot be kept."""


class Cancelled(Exception):  # noqa: N818 - an outcome, not an error
    """The user pressed Stop. Nothing is lost: what was loaded stays loaded, what was written stays as it was."""


# What can go wrong when a proposal meets real files.


class EditError(LoomError):
    """A rewrite cannot be carried out; nothing was written."""


class StaleFileError(EditError):
    """A file is no longer what it was when the map was made or the change accepted.

    Attributes
    ----------
    path
        The file, relative to the workspace.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


class ForbiddenPathError(EditError):
    """A path leads out of the workspace, through a symbolic link, or into ``.git``."""


class NotTextError(EditError):
    """A file cannot be decoded, or cannot hold the new text in its encoding."""


class CheckCommandError(LoomError):
    """The check command itself cannot run (missing program, shell syntax, missing module)."""


class SandboxError(LoomError):
    """The sandbox of a check could not be set up, so the check was not run."""
