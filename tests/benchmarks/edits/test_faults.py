"""Every fault of both tables applies, breaks exactly the tests that it names, and nothing once it is reverted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.benchmarks.edits import packages
from tests.benchmarks.edits.packages import Fault, Package

HELD_OUT = packages.HELD_OUT
FAULTS = packages.load() + packages.load(HELD_OUT)
PACKAGES = list({fault.package: None for fault in FAULTS})

pytestmark = pytest.mark.bench


@pytest.fixture(autouse=True)
def downloaded(request: pytest.FixtureRequest) -> None:
    """Skip where the index cannot be reached."""
    case = request.getfixturevalue("fault" if "fault" in request.fixturenames else "package")
    try:
        packages.fetch(case.package if isinstance(case, Fault) else case)
    except packages.SuiteError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("package", PACKAGES, ids=[p.name for p in PACKAGES])
def test_a_package_passes_its_own_tests(package: Package, tmp_path: Path) -> None:
    root = packages.fresh_copy(package, tmp_path / package.name)
    assert packages.failing(packages.run_tests(packages.all_tests(package), root)) == set()


@pytest.mark.parametrize("fault", FAULTS, ids=[f.name for f in FAULTS])
def test_a_fault_breaks_what_it_names(fault: Fault, tmp_path: Path) -> None:
    root = packages.faulty_copy(fault, tmp_path / fault.package.name)
    assert not packages.run_tests(fault.check, root).passed
    broken = packages.failing(packages.run_tests(packages.all_tests(fault.package), root))
    assert broken == set(fault.fails)
    shutil.copyfile(packages.fetch(fault.package) / fault.file, root / fault.file)
    assert packages.run_tests(fault.check, root).passed
