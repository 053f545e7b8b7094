from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from jsonschema import Draft202012Validator

from loom_jupyter import events
from loom_jupyter.events import EVENT, Control, Event, RunState, schema, schema_text


def test_the_exported_schema_is_the_one_in_use() -> None:
    exported = Path(events.__file__).with_name("progress.schema.json")
    assert exported.read_text("utf-8") == schema_text()
    Draft202012Validator.check_schema(schema())


def test_every_event_has_a_type_of_its_own() -> None:
    types = [kind.model_fields["type"].default for kind in get_args(Event)]
    assert len(set(types)) == len(types)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in types)


def test_fields_of_a_later_version_are_skipped() -> None:
    line = '{"type": "notice", "text": "hello", "seq": 3, "ts": 1.5, "run": "r", "colour": "red"}'
    assert EVENT.validate_json(line).model_dump()["text"] == "hello"


def test_a_control_names_a_known_action() -> None:
    assert Control.model_validate_json('{"id": "a", "action": "stop"}').paths is None
    with pytest.raises(ValueError, match="action"):
        Control.model_validate_json('{"id": "a", "action": "format_disk"}')


def test_only_waiting_and_working_runs_are_at_work() -> None:
    assert [state.value for state in RunState if state.at_work] == ["queued", "running", "waiting"]
