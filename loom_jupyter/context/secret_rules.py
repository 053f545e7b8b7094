"""What keys and tokens look like: the patterns of detect-secrets, and a few that their vendors document since.

Only the patterns are used; nothing is ever verified over a network. Importing that package takes as long as
reading some hundred files, so what it holds is kept as a file of its own beside the workspaces' data.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from functools import cache
from importlib import metadata

from loom_jupyter.settings import data_dir

# No secrets (addresses), told by a variable's name alone, or found by their shape in `secrets`.
LEFT_OUT = frozenset({"ip_public", "ibm_cloud_iam", "ibm_cos_hmac", "private_key"})
NEWER = (
    r"github_pat_[A-Za-z0-9_]{30,}",  # GitHub, fine-grained
    r"sk-ant-[A-Za-z0-9_-]{20,}",  # Anthropic
    r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}",  # OpenAI
    r"hf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"npm_[A-Za-z0-9]{36}",  # npm
    r"AIza[A-Za-z0-9_-]{35}",  # Google API
    r"GOCSPX-[A-Za-z0-9_-]{28}",  # Google OAuth
    r"(?:dop|doo|dor)_v1_[a-f0-9]{64}",  # DigitalOcean
    r"dckr_pat_[A-Za-z0-9_-]{27}",  # Docker
    r"xapp-\d-[A-Za-z0-9-]{30,}",  # Slack, app level
    r"[rs]k_test_[A-Za-z0-9]{24,}",  # Stripe
    r"AGE-SECRET-KEY-1[0-9A-Z]{58}",  # age
)


@cache
def rules() -> tuple[re.Pattern[str], ...]:
    """Return the patterns, compiled."""
    file = data_dir() / f"secret-rules-{metadata.version('detect-secrets')}.json"
    try:
        listed = json.loads(file.read_text("utf-8"))
        return _compiled(listed)
    except (OSError, ValueError, TypeError, re.error):
        listed = _listed()
    draft = file.with_suffix(f".{os.getpid()}")
    with suppress(OSError):  # it only saves time
        draft.write_text(json.dumps(listed), "utf-8")
        draft.replace(file)
    return _compiled(listed)


def _compiled(listed: list[tuple[str, int]]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(text, flags) for text, flags in listed) + tuple(re.compile(text) for text in NEWER)


def _listed() -> list[tuple[str, int]]:
    """Read the patterns of detect-secrets: source and flags."""
    import importlib
    import pkgutil

    from detect_secrets import plugins
    from detect_secrets.plugins.base import RegexBasedDetector

    found: dict[tuple[str, int], None] = {}
    for name in sorted(m.name for m in pkgutil.iter_modules(plugins.__path__)):
        module = importlib.import_module(f"{plugins.__name__}.{name}")
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == module.__name__
            if own and issubclass(value, RegexBasedDetector) and name not in LEFT_OUT and name != "base":
                denylist = value.__dict__.get("denylist", ())
                found.update(dict.fromkeys((r.pattern, r.flags & ~re.UNICODE) for r in denylist))
    return list(found)
