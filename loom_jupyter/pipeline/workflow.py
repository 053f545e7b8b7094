"""The fixed order: Architect → Explorer → Coder. Nothing a model says can change it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from loom_jupyter.context.context_map import ContextMap, Offer, place
from loom_jupyter.models.protocol import Model, ModelDiedError, ModelError
from loom_jupyter.pipeline import architect, coder, explorer
from loom_jupyter.pipeline.contracts import Intent, Node, Proposal, TaskSpec, with_answer
from loom_jupyter.pipeline.interfaces import NoUserInput, Observer, Talk, TaskEnvironment, UserInput

T = TypeVar("T")


def run(
    request: str,
    model: Model,
    environment: TaskEnvironment,
    observer: Observer,
    *,
    budget: float,
    ask: bool = False,
    user_input: UserInput | None = None,
    cancel: threading.Event | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Proposal:
    """Take the user's words through the three nodes.

    Parameters
    ----------
    budget
        Seconds for the Coder's search.
    ask
        Only answer; nothing is to be changed, whatever the Architect thinks.
    user_input
        Whom the Architect may ask, once, and who may change the task before the Explorer begins.
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
        If the model failed, or its process died twice; the first time the node begins again.
    """
    cancel, user_input = cancel or threading.Event(), user_input or NoUserInput()
    restarts = RestartBudget(observer)

    def talk(node: Node) -> Talk:
        return Talk(model, node, request, observer, cancel)

    def explore(spec: TaskSpec) -> tuple[Sequence[Offer], ContextMap] | None:
        offers = environment.offers(spec)
        if not offers:
            return None
        searched = environment.checked and spec.intent is not Intent.EXPLAIN
        most = explorer.SEARCHED if searched else explorer.MOST_TARGETS
        chosen = explorer.choose(talk(Node.EXPLORER), offers, most, environment if environment.expands else None)
        return chosen, environment.map(spec, chosen)

    if user_input.may_be_asked:
        question = restarts.use(Node.ARCHITECT, lambda: architect.question(talk(Node.ARCHITECT)))
        request = with_answer(request, user_input.answer(question)) if question else request
    spec = restarts.use(Node.ARCHITECT, lambda: architect.plan(talk(Node.ARCHITECT)))
    if ask or (spec.intent is Intent.EXPLAIN and environment.checked):
        # A check that fails is to be repaired, whatever the model took the words for.
        spec = spec.model_copy(update={"intent": Intent.EXPLAIN if ask else Intent.CHANGE})
    spec = user_input.approve(spec)
    observer.finished(Node.ARCHITECT, f"{spec.intent.value}: {spec.goal}", spec.model_dump(mode="json"))

    found = restarts.use(Node.EXPLORER, lambda: explore(spec))
    if found is None:
        observer.finished(Node.EXPLORER, "no place in the workspace fits the request", {})
        return Proposal(summary="no place in the workspace fits the request; name or --tag a file")
    chosen, context_map = found
    observer.finished(Node.EXPLORER, _summary(context_map), _places(chosen, context_map))

    end = clock() + budget
    proposal = restarts.use(
        Node.CODER,
        lambda: coder.write(talk(Node.CODER), spec, context_map, environment, max(0.0, end - clock()), clock),
    )
    observer.finished(Node.CODER, proposal.summary, {"passed": proposal.passed})
    return proposal


class RestartBudget:
    """Begins a node again, once a run, when the model's process died under it; the next call starts a new one."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._died: Node | None = None

    def use(self, node: Node, work: Callable[[], T]) -> T:
        """Return what a node makes.

        Raises
        ------
        ModelError
            If the process has died twice.
        """
        self._observer.started(node)
        while True:
            try:
                return work()
            except ModelDiedError as error:
                if self._died is not None:
                    raise ModelError(
                        f"The model's process died twice in this run, first under the {self._died.value} and then "
                        f"under the {node.value}. {error}"
                    ) from error
                self._died = node
                self._observer.repaired(node, f"the model's process died and is started again: {error}")
                self._observer.started(node, "again")


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
