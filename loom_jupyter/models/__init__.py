"""Local models: catalogue, download, memory plan, and the process that runs llama.cpp."""

from __future__ import annotations

from loom_jupyter.models.plan import MemoryPlan, plan_memory

__all__ = ["MemoryPlan", "plan_memory"]
