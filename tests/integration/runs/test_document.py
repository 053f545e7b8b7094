from __future__ import annotations

import json

import jsonschema
from any_events import EVENTS
from hypothesis import HealthCheck, given, settings
from places import FIXTURES

from loom_jupyter import events as ev
from loom_jupyter.pipeline.contracts import Node
from loom_jupyter.runs.compose import compose
from loom_jupyter.runs.document import as_data, schema, to_json
from loom_jupyter.runs.view import view_of


def test_documents_of_runs_are_valid() -> None:
    documents = json.loads((FIXTURES / "documents.json").read_text("utf-8"))
    assert len(documents) > 10
    for document in documents.values():
        jsonschema.validate(document, schema())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_any_events_make_a_document_that_can_be_sent(events: list[ev.Event]) -> None:
    document = compose(view_of(events), 2e9)
    data = json.loads(to_json(document))
    assert data == as_data(document)
    jsonschema.validate(data, schema())
    assert [step.node for step in document.steps] == list(Node)
