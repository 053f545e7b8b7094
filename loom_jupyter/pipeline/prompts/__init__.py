"""The prompts: one text file each. A change to one is measured like code."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("loom_jupyter.pipeline", "prompts"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{name}.md")


def render(name: str, /, **values: Any) -> str:
    """Fill in the prompt file ``<name>.md``; a value that is missing is an error."""
    return _template(name).render(**values).strip()
