from __future__ import annotations

import pytest

from loom_jupyter.context.languages import is_test, language_of, role_of
from loom_jupyter.gate import gate

# What judges: tests, what tests read, and what says how they run.
JUDGES = """
test.py tests.py app/tests.py src/tests.py shop/test.py spec/models/user_spec.rb spec/spec_helper.rb
lib/user_spec.rb __tests__/a.js src/__tests__/a.js a.test.tsx src/a.spec.ts test/a.py test/helper.js
conftest.py src/pkg/conftest.py foo_test.go pkg/foo_test.go src/main/FooTest.java src/FooTests.cs
Foo.Tests/Bar.cs FooSpec.scala FooIT.java TestFoo.java src/test/java/a/Helper.java
tests/__snapshots__/x.ambr src/__snapshots__/a.js.snap a.snap tests/fixtures/a.json fixtures/orders.csv
testdata/in.txt internal/testdata/x golden/out.txt cypress/e2e/login.cy.js features/login.feature
features/steps/login.py t/basic.t test-foo.R tests/testthat/test-foo.R test/runtests.jl tests/it.rs
price_unittest.cc testthat/a.R src/__test__/a.js
src/tests.rs src/lib_tests.rs unit-tests/a.c run_tests.sh run-tests.sh runtests.py
tests/data/prices.csv pytest.ini .pytest.ini pytest.toml tox.ini noxfile.py .coveragerc jest.config.js
vitest.config.ts karma.conf.js .mocharc.json phpunit.xml phpunit.xml.dist .rspec playwright.config.ts
setupTests.ts androidTest/a.kt src/androidTest/java/A.kt MyAppUITests/A.swift PriceTests.swift
tests_price.py price_tests.py price-test.js selftest.py test_data_loader.py prices_spec.lua
test/test_helper.exs test_price.exs a_test.dart a.robot a.bats FooTest.php test_suite.py
"""
# What only looks so.
OTHERS = """
contest.py latest.py testing.py flask/testing.py attest/a.py latest/contest.py protest.js pytest_plugin.py
src/spectrum.py inspect.py testimonials.py tester.py Contest.java Latest.cs Manifest.java specification.md
src/special.py setup.py pyproject.toml package.json Makefile README.md docs/testing.md
src/features/cart/Cart.tsx greatest/app.js detest.rb app/models/user.rb src/attestation.go Cargo.toml
src/lib.rs main.go manage.py fastest.ts unittest_tools.py request.py setup.cfg src/inspector.js testbed.py
transit.java src/Biotest.py aspect.js respect.rb prospects/a.py snapshots.py tsconfig.json src/it.js
spec.py shop/fixtures.py shop/spec.py fixture.py tested.py benchmark.py
"""


@pytest.mark.parametrize("path", JUDGES.split())
def test_a_path_that_judges(path: str) -> None:
    assert is_test(path)


@pytest.mark.parametrize("path", OTHERS.split())
def test_a_path_that_does_not_judge(path: str) -> None:
    assert not is_test(path)


@pytest.mark.parametrize("path", ["benches/b.rs", "benchmarks/speed.py", "src/benchmarks/io.js"])
def test_a_benchmark_is_no_part_of_the_program_and_judges_nothing(path: str) -> None:
    assert not is_test(path)
    assert role_of(path) == "test"


def test_index_targets_and_gate_ask_the_same() -> None:
    assert gate.is_test is is_test
    assert all(role_of(path) == "test" for path in JUDGES.split())
    assert not any(role_of(path) == "test" for path in OTHERS.split())


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("src/app.py", "source"),
        ("pkg/testing/assertions.py", "source"),
        ("flask/testing.py", "source"),
        ("latest/contest.py", "source"),
        ("tests/app.py", "test"),
        ("flask/testsuite/basic.py", "test"),
        ("a/unit-tests/b.go", "test"),
        ("pkg/app_test.go", "test"),
        ("src/app.spec.ts", "test"),
        ("conftest.py", "test"),
        ("benches/b.rs", "test"),
        ("benchmarks/speed.py", "test"),
        ("README.md", "doc"),
        ("docs/conf.py", "doc"),
        ("package.json", "config"),
        ("pyproject.toml", "config"),
        ("a.yml", "config"),
        ("schema.sql", "source"),
        ("a.jl", "source"),
        ("Makefile", "config"),
        ("package-lock.json", "generated"),
        ("npm-shrinkwrap.json", "generated"),
        ("dist/app.min.js", "generated"),
    ],
)
def test_role(path: str, role: str) -> None:
    assert role_of(path) == role


@pytest.mark.parametrize(
    ("path", "language"),
    [("a.PY", "python"), ("a.d.ts", "typescript"), ("n.ipynb", "notebook"), (".gitignore", "text"), ("x", "text")],
)
def test_language(path: str, language: str) -> None:
    assert language_of(path) == language
