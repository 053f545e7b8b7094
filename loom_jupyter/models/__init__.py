"""Local models: catalog, download, memory plan, and the process that runs llama.cpp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loom_jupyter.models.memory import MemoryPlan, plan_memory

__all__ = ["MemoryPlan", "plan_memory"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from loom_jupyter.models import memory

        return getattr(memory, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
