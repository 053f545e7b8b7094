"""What Tab offers in a real kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernels import LENT, Kernel
from scripted_runs import project


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    root = project(tmp_path_factory.mktemp("completion") / "parcels")
    (root / "docs").mkdir()
    (root / "docs" / "limits-of-weight.md").write_text("# Limits\n")
    started = Kernel(root)
    assert started.run(LENT, quiet=True).status == "ok"
    yield started
    started.close()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("%loom re", ["%loom reload", "%loom reject", "%loom replay"]),
        ("x = %loom led", ["x = %loom ledger"]),
        ("%loom reload --", ["%loom reload --run"]),
        ("%loom help und", ["%loom help undo"]),
        ("%loom tru", ["%loom trust"]),
        ("%loom trust --", ["%loom trust --yes", "%loom trust --revoke"]),
        ("%loom fix --ch", ["%loom fix --check"]),
        ("%loom doctor --", ["%loom doctor --log"]),
        ("%loom doctor --log o", ["%loom doctor --log off"]),
        ("%%loom --c", ["%%loom --check", "%%loom --commit", "%%loom --cell"]),
        ("%%loom --cell --f", ["%%loom --cell --format"]),
        ("%%loom --check ", ["%%loom --check auto", "%%loom --check cell"]),
        ("%%loom --tag ta", ["%%loom --tag tariff.py"]),
        ("%%loom --tag docs/", ["%%loom --tag docs/limits-of-weight.md"]),
        ("%%loom --tag docs/limits-o", ["%%loom --tag docs/limits-of-weight.md"]),
        ("%%loom --model qwen2.5-coder-0", ["%%loom --model qwen2.5-coder-0.5b"]),
        ("%loom model au", ["%loom model auto"]),
    ],
)
def test_what_fits_is_offered_and_nothing_else(kernel: Kernel, typed: str, offered: list[str]) -> None:
    assert kernel.complete(typed) == offered


def test_every_verb_is_offered(kernel: Kernel) -> None:
    from loom_jupyter.commands import COMMANDS

    assert kernel.complete("%loom ") == [f"%loom {name}" for name in COMMANDS]


def test_runs_and_their_files_are_offered(kernel: Kernel) -> None:
    kernel.run("%%loom --wait job\n2 kg should cost the small price")
    run_id = kernel.value("job.id")
    assert kernel.complete("%loom undo --run 2") == [f"%loom undo --run {run_id}"]
    assert kernel.complete("%loom replay 2") == [f"%loom replay {run_id}"]
    assert kernel.complete("%loom accept ta") == ["%loom accept tariff.py"]


def test_python_is_completed_as_ever(kernel: Kernel) -> None:
    kernel.run("weight_limit = 2")
    assert "weight_limit" in kernel.complete("weight_l")
