from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from loom_jupyter.events import (
    Noticed,
)
from loom_jupyter.runs.log import EventLog, read_events


def test_a_log_is_continued_by_another_process(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "r1")
    log.emit(Noticed(text="here"))
    log.close()
    code = (
        "import sys; from pathlib import Path; from loom_jupyter.runs.log import EventLog;"
        "from loom_jupyter.events import Noticed;"
        "EventLog(Path(sys.argv[1]), 'r1').emit(Noticed(text='there'))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    EventLog(tmp_path, "r1").emit(Noticed(text="here again"))
    assert [(e.seq, e.text) for e in read_events(log.file)] == [(1, "here"), (2, "there"), (3, "here again")]
