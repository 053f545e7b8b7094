"""The fixed order: Architect → Explorer → Coder. Nothing a model says can change it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from loom_jupyter.context.context_map import ContextMap, Offer, place
from loom_jupyter.models.protocol import Model
from loom_jupyter.pipeline import architect, coder, explorer
from loom_jupyter.pipeline.contracts import Intent, Node, Proposal
from loom_jupyter.pipeline.talk import Desk, Observer, Talk


def run(
    request: str,
    model: Model,
    desk: Desk,
    observer: Observer,
    *,
    budget: float,
    ask: bool = False,
    cancel: threading.Event | None = None,
) -> Proposal:
    """Take the user's words through the three nodes.

    Parameters
    ----------
    budget
        Seconds for the Coder's search.
    ask
        Only answer; nothing is to be changed, whatever the Architect thinks.
    cancel
        Set by another thread to stop at once.

    Returns
    -------
    Proposal
        Without rewrites if there was nothing to offer or nothing usable was written; `summary` says which.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    ModelError
        If the model failed.
    """
    cancel = cancel or threading.Event()

    def talk(node: Node) -> Talk:
        return Talk(model, node, request, observer, cancel)

    observer.started(Node.ARCHITECT)
    spec = architect.plan(talk(Node.ARCHITECT))
    if ask:
        spec = spec.model_copy(update={"intent": Intent.EXPLAIN})
    observer.finished(Node.ARCHITECT, f"{spec.intent.value}: {spec.goal}", spec.model_dump(mode="json"))

    observer.started(Node.EXPLORER)
    offers = desk.offers(spec)
    if not offers:
        observer.finished(Node.EXPLORER, "no place in the workspace fits the request", {})
        return Proposal(summary="no place in the workspace fits the request; name or --tag a file")
    chosen = explorer.choose(talk(Node.EXPLORER), offers)
    context_map = desk.map(spec, chosen)
    observer.finished(Node.EXPLORER, _summary(context_map), _places(chosen, context_map))

    observer.started(Node.CODER)
    proposal = coder.write(talk(Node.CODER), spec, context_map, desk, budget)
    observer.finished(Node.CODER, proposal.summary, {"passed": proposal.passed})
    return proposal


def _summary(context_map: ContextMap) -> str:
    files = {t.path for t in context_map.targets} | {e.path for e in context_map.excerpts}
    targets = len(context_map.targets)
    return (
        f"{len(files)} file{'s' * (len(files) != 1)} · {targets} target{'s' * (targets != 1)}"
        f" · {context_map.tokens:,} tok"
    )


def _places(chosen: Sequence[Offer], context_map: ContextMap) -> dict[str, Any]:
    return {
        "chosen": [place(o.path, o.symbol, o.start, o.end) for o in chosen],
        "targets": [place(t.path, t.symbol, t.start, t.end) for t in context_map.targets],
    }
