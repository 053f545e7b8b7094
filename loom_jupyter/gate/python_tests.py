"""What the tests of a Python module assert, test by test, so that two versions of it can be compared."""

from __future__ import annotations

import ast
import builtins
import copy
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loom_jupyter.context.languages import is_test

Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_SKIPS = frozenset(
    {
        *("skip", "skipif", "xfail", "skipIf", "skipUnless", "SkipTest", "skipTest", "importorskip"),
        *("expectedFailure", "__test__", "collect_ignore", "collect_ignore_glob"),
    }
)
# Hooks of a conftest.py that decide which tests run, or how they end.
_HOOKS = re.compile(
    r"pytest_(?:collect\w*|ignore_collect|pycollect_\w+|pyfunc_call|itemcollected|deselected|runtest_\w+|runtestloop"
    r"|report_teststatus|sessionfinish|generate_tests|load_initial_conftests|cmdline_\w+)"
)
_CATCHES = frozenset({"AssertionError", "Exception", "BaseException", "failureException"})
_ENDS = frozenset({"skip", "xfail", "skipTest", "exit", "_exit", "quit", "fail"})
_HIDES = frozenset({"fixture", "property", "contextmanager", "asynccontextmanager", "staticmethod"})
# Larger is looser; of the others (digits) fewer is looser.
_TOLERANCES = frozenset({"rel", "abs", "rtol", "atol", "delta", "tol", "tolerance", "rel_tol", "abs_tol"})
_DIGITS = frozenset({"places", "decimal", "significant", "ndigits"})
_CLOSE: dict[str, tuple[int, tuple[str, ...]]] = {
    "approx": (1, ("rel", "abs")),
    "assertAlmostEqual": (2, ("places",)),
    "assertNotAlmostEqual": (2, ()),
    "assert_allclose": (2, ("rtol", "atol")),
    "assert_almost_equal": (2, ("decimal",)),
    "allclose": (2, ("rtol", "atol")),
    "isclose": (2, ("rtol", "atol")),
    "round": (1, ("ndigits",)),
}
# Leave at once, or become another program: no test runner can report any more.
_EXITS = frozenset({"_exit", "execv", "execve", "execvp", "execvpe", "execl", "execle", "execlp", "execlpe"})
# What changes a module while it is read; in a test's own function it may be what is tested.
_DYNAMIC = frozenset({"globals", "locals", "vars", "setattr", "delattr", "exec", "eval", "__import__"})
_PATCHES = frozenset({"setattr", "delattr", "setitem", "delitem", "patch", "object", "multiple"})
_SETUPS = frozenset(
    f"{word}{sign}{what}"
    for word in ("setup", "teardown")
    for sign in ("", "_")
    for what in ("", "module", "class", "method")
)
_SCOPES = (*Function, ast.ClassDef)
# Replacing these does not replace the program.
_NOT_TESTED = frozenset({*sys.stdlib_module_names, "pytest", "mock", "hypothesis", "freezegun", "responses"})
# What exact comparisons may be replaced by: the tolerance that pytest.approx has by default.
_USUAL_TOLERANCE = 1e-6
_MOST_CASES = 1000


@dataclass
class Unit:
    """One function of a test module, or the module's own code (its name is empty).

    Attributes
    ----------
    strengths
        One number for each assertion and case: 3 for an equality, less for what more values satisfy.
    tolerances
        How far each comparison of floats may be off.
    ends
        Returns before the end.
    calls
        How often it calls something that is not an assertion.
    texts
        What each strength stands for, in the same order.
    asks
        Functions of the module that it calls, each with the doubt and the number of times.
    takes
        Its parameters, and the fixtures that it uses.
    uses, binds, fakes
        Names that it reads, those that it gives another value for itself, and those that it patches.
    automatic
        Whether it is a fixture that every test uses.
    """

    name: str
    strengths: list[float] = field(default_factory=list)
    tolerances: list[float] = field(default_factory=list)
    ends: int = 0
    calls: int = 0
    yields: bool = False
    waits: bool = False
    params: int = 1
    decorators: frozenset[str] = frozenset()
    texts: list[str] = field(default_factory=list)
    asks: list[tuple[str, float, int]] = field(default_factory=list)
    takes: set[str] = field(default_factory=set)
    uses: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    fakes: set[str] = field(default_factory=set)
    automatic: bool = False

    @property
    def is_test(self) -> bool:
        """Whether pytest or unittest would run it."""
        return self.name.rpartition(".")[2].startswith("test")


@dataclass
class Tests:
    """What a module holds."""

    units: dict[str, Unit] = field(default_factory=dict)
    skips: Counter[tuple[str, str]] = field(default_factory=Counter)
    tricks: Counter[str] = field(default_factory=Counter)
    programs: dict[str, str] = field(default_factory=dict)
    attributes: set[str] = field(default_factory=set)
    hooks: dict[str, str] = field(default_factory=dict)
    classes: dict[str, frozenset[str]] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)

    @property
    def names(self) -> set[str]:
        """Of the tests."""
        return {name for name, unit in self.units.items() if unit.is_test}


def weaker(before: ast.Module, after: ast.Module) -> str | None:
    """Say in a few words which test asserts less than before; None if none does."""
    old, new = _read(before), _read(after)
    if gone := sorted(old.names - new.names):
        return f"{gone[0]} is gone or renamed"
    fresh = new.names - old.names
    if skipped := next((text for (name, text) in new.skips - old.skips if name not in fresh), None):
        return f"skips it by {skipped[:60]}"
    if trick := next(iter(new.tricks - old.tricks), None):
        return f"it is changed while it runs by {trick[:60]}"
    if hooks := sorted(name for name, text in new.hooks.items() if old.hooks.get(name) != text):
        return f"{hooks[0]} decides what is run"
    if faked := _faked(old, new):
        return f"{faked} is no longer the program's"
    for name, bases in old.classes.items():
        if name in new.classes and not bases <= new.classes[name]:
            return f"{name} is no longer run"
    was, now = _with_helpers(old), _with_helpers(new)
    moved = Counter(one for name in fresh for one in _asserted(now[name]))
    for name, unit in was.items():
        if name in now and (why := _less(unit, _with_moved(unit, now[name], moved), new.bound)):
            return f"{name or 'the module'} {why}"
    total = [_total(tests, units) for tests, units in ((old, was), (new, now))]
    return f"{total[0] - total[1]} assertions fewer" if total[1] < total[0] else None


def _with_moved(old: Unit, new: Unit, moved: Counter[tuple[str, float]]) -> Unit:
    """Count what a test no longer asserts, but one that is new does: it was split."""
    lost = Counter(_asserted(old)) - Counter(_asserted(new))
    found = []
    for one in lost.elements():
        if moved[one]:
            moved[one] -= 1
            found.append(one[1])
    return replace(new, strengths=[*new.strengths, *found])


def _asserted(unit: Unit) -> list[tuple[str, float]]:
    return list(zip(unit.texts, unit.strengths, strict=True))


def _with_helpers(tests: Tests) -> dict[str, Unit]:
    """Return the units, with what functions of the module that a test calls assert for it."""
    found = {}
    for name, unit in tests.units.items():
        strengths, texts = list(unit.strengths), list(unit.texts)
        for strength, text in _lent(tests, unit, {name}) if unit.is_test or not name else ():
            strengths.append(strength)
            texts.append(text)
        found[name] = replace(unit, strengths=strengths[:_MOST_CASES], texts=texts[:_MOST_CASES])
    return found


def _total(tests: Tests, units: Mapping[str, Unit]) -> int:
    """Return the number of assertions; those of a helper count where it is called."""
    called = {ask.removeprefix("self.") for unit in tests.units.values() for ask, _, _ in unit.asks}
    return sum(len(u.strengths) for n, u in units.items() if u.is_test or n.rpartition(".")[2] not in called)


def _lent(tests: Tests, unit: Unit, seen: set[str]) -> Iterator[tuple[float, str]]:
    for ask, doubt, times in unit.asks[:_MOST_CASES]:
        inside = unit.name.rpartition(".")[0]
        name = f"{inside}.{ask[5:]}" if ask.startswith("self.") else ask
        helper = tests.units.get(name)
        if helper is None or helper.is_test or name in seen or doubt == math.inf:
            continue
        own = [(strength, text) for text, strength in _asserted(helper)]
        for strength, text in [*own, *_lent(tests, helper, seen | {name})]:
            yield from [(strength - doubt, text)] * min(times, _MOST_CASES)


def _faked(old: Tests, new: Tests) -> str | None:
    """Return what the tests no longer take from the program: bound, patched or handed in by the test itself."""
    if gone := (old.imported - new.imported) & new.bound:
        return min(gone)
    if bound := (old.imported | new.imported) & (new.bound - old.bound):
        return min(bound)
    for name in old.imported & new.imported:
        module = new.programs.get(name, "")
        if module != old.programs.get(name, "") and is_test(f"{module.replace('.', '/')}.py"):
            return name
    program = {n for n in old.imported if old.programs.get(n, "").partition(".")[0] not in _NOT_TESTED}
    program |= old.attributes | {old.programs[n].rpartition(".")[2] for n in program if n in old.programs}
    for name, unit in new.units.items():
        if unit.is_test and name not in old.names:
            continue  # a new test may replace what it likes
        if not unit.is_test and name and not unit.automatic:
            continue  # a fixture or a helper counts where it is used
        known = old.units.get(name, Unit(name))
        used = program & _uses(old, known) if unit.is_test else program
        if faked := sorted((_fakes(new, unit) - _fakes(old, known)) & used):
            return faked[0]
        if own := sorted((unit.binds - known.binds) & old.imported & new.imported):
            return own[0]
    return None


def _uses(tests: Tests, unit: Unit) -> set[str]:
    """Return the names that a test reads, itself or by functions of its module and fixtures."""
    found, queue, seen = set(unit.uses), [*unit.uses], {unit.name}
    while queue:
        name = queue.pop()
        if name not in seen and (helper := tests.units.get(name)) is not None:
            seen.add(name)
            found |= helper.uses
            queue += helper.uses
    return found


def _fakes(tests: Tests, unit: Unit) -> set[str]:
    """Return the names that a unit and the fixtures that it takes bind or patch."""
    found, queue, seen = set(unit.fakes), list(unit.takes), set()
    while queue:
        name = queue.pop()
        if name not in seen and (fixture := tests.units.get(name)) is not None and not fixture.is_test:
            seen.add(name)
            found |= fixture.fakes
            queue += fixture.takes
    return found


def _less(old: Unit, new: Unit, local: set[str]) -> str | None:
    """Say what a unit lacks."""
    was, now = sorted(old.strengths, reverse=True), sorted(new.strengths, reverse=True)
    if len(now) < len(was) or any(b < a for a, b in zip(was, now, strict=False)):
        return "asserts less than before"
    pairs = zip(sorted(new.tolerances, reverse=True), sorted(old.tolerances, reverse=True), strict=False)
    extra = sorted(new.tolerances, reverse=True)[len(old.tolerances) :]
    if any(b > max(a, 0.0) * 1.0000001 for b, a in pairs) or any(b > _USUAL_TOLERANCE for b in extra):
        return "has a larger tolerance"
    if new.params < old.params:
        return "has fewer cases"
    if not old.is_test:
        return None
    if new.ends > old.ends:
        return "returns before it asserts"
    if old.calls and not new.calls:
        return "no longer calls the program"
    if (new.yields and not old.yields) or (new.waits and not old.waits):
        return "is no longer run as a test"
    added = new.decorators - old.decorators
    hidden = next((d for d in added if d.rpartition(".")[2] in _HIDES or d in local), None)
    return f"is wrapped in {hidden}" if hidden else None


def _read(tree: ast.Module) -> Tests:
    tests = Tests()
    known = _Known.of(tree)
    own = _Reader(Unit(""), known)
    own.block(tree.body)
    own.unit.fakes = {name for node in tree.body if not isinstance(node, _SCOPES) for name in _patched(node)}
    tests.units[""] = own.unit
    _members(tree.body, "", tests, known, 1)
    tests.skips = Counter(_skipped(tree.body, ""))
    tests.tricks = Counter(_tricks(tree))
    ours = {n for n in tests.imported if tests.programs.get(n, "").partition(".")[0] not in _NOT_TESTED}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _root(node) in ours:
            tests.attributes.add(node.attr)
    return tests


def _skipped(body: Sequence[ast.AST], inside: str) -> Iterator[tuple[str, str]]:
    """Yield what skips a test, with the name of the function that it stands in or above."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _skipped([*node.decorator_list, *node.bases], inside)
            yield from _skipped(node.body, f"{inside}{node.name}.")
            continue
        name = inside + node.name if isinstance(node, Function) else inside
        for part in ast.walk(node):
            if (text := _skip(part)) is not None:
                yield name, text


def _tricks(tree: ast.Module) -> Iterator[str]:
    """Yield what changes the module, or ends its tests, while it runs: reading it does not tell what is left."""
    yield from good_ends(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last(node.func) == "getattr" and node.args:
            if _root(node.args[0]) in ("pytest", "unittest"):
                yield ast.unparse(node)
        elif isinstance(node, ast.Assign):
            yield from (ast.unparse(t) for t in node.targets if _root(t) in ("builtins", "__builtins__"))
    queue: list[ast.AST] = list(tree.body)
    while queue:
        node = queue.pop()
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _DYNAMIC:
            yield ast.unparse(node)
        if not isinstance(node, (*Function, ast.Lambda)):
            queue += ast.iter_child_nodes(node)


def good_ends(tree: ast.AST) -> Iterator[str]:
    """Yield what ends the process as if all were well, as text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in _EXITS and ast.unparse(node.value) in ("os", "posix"):
            yield ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "exit", "quit", "SystemExit"):
            status = node.args[0] if node.args else None
            if status is None or (isinstance(status, ast.Constant) and not status.value):
                yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and node.module in ("os", "posix"):
            yield from (f"import of {alias.name}" for alias in node.names if alias.name in _EXITS)
        elif isinstance(node, ast.Call) and _last(node.func) == "getattr" and len(node.args) > 1:
            if isinstance(node.args[1], ast.Constant) and node.args[1].value in _EXITS:
                yield ast.unparse(node)
        elif (isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.exit") or (
            isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id == "SystemExit"
        ):
            yield ast.unparse(node)


def _patched(node: ast.AST) -> Iterator[str]:
    """Yield the names of what is replaced below a node, by assignment or by what mocks and patches."""
    for part in ast.walk(node):
        if isinstance(part, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Delete):
            targets = part.targets if isinstance(part, ast.Assign | ast.Delete) else [part.target]
            for target in targets:
                if isinstance(target, ast.Attribute):
                    yield target.attr
                elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                    yield str(target.slice.value).rpartition(".")[2]
        elif isinstance(part, ast.Call) and _last(part.func) in _PATCHES:
            yield from (
                str(a.value).rpartition(".")[2] for a in part.args if isinstance(a, ast.Constant) and a.value
            )
            yield from (k.arg for k in part.keywords if k.arg and _last(part.func) == "multiple")


def _stored(node: ast.AST) -> set[str]:
    """Return the names that statements bind; those of comprehensions are their own."""
    found: set[str] = set()
    queue = [node]
    while queue:
        part = queue.pop()
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store | ast.Del):
            found.add(part.id)
        elif isinstance(part, (*Function, ast.ClassDef)) and part is not node:
            found.add(part.name)
            continue
        if not isinstance(part, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Lambda):
            queue += ast.iter_child_nodes(part)
    return found


def _members(body: Sequence[ast.stmt], inside: str, tests: Tests, known: _Known, times: int) -> None:
    """Read functions and classes in the order in which they are bound: the last of a name counts."""
    for node in body:
        if isinstance(node, Function):
            name = inside + node.name
            reader = _Reader(Unit(name), known, times * _repeated(node.decorator_list, known.sizes))
            reader.function(node)
            tests.units[name] = reader.unit
            if _HOOKS.fullmatch(node.name):
                tests.hooks[name] = ast.unparse(node)
        elif isinstance(node, ast.ClassDef):
            _class(node, inside, tests, known, times)
        elif isinstance(node, ast.Import | ast.ImportFrom) and not inside:
            module = f"{'.' * node.level}{node.module or ''}" if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                tests.imported.add(name)
                tests.programs[name] = module or alias.name
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.Delete):
            for name in _targets(node):
                tests.units.pop(inside + name, None)
        if not inside:
            tests.bound |= set(_bound(node))


def _class(node: ast.ClassDef, inside: str, tests: Tests, known: _Known, times: int) -> None:
    name = f"{inside}{node.name}."
    for earlier in [unit for unit in tests.units if unit.startswith(name)]:
        del tests.units[earlier]
    _members(node.body, name, tests, known, times * _repeated(node.decorator_list, known.sizes))
    inner = [unit for unit in tests.units if unit.startswith(name)]
    if any(tests.units[unit].is_test for unit in inner):
        bases = {ast.unparse(base) for base in node.bases}
        # pytest does not look into a class with a constructor.
        tests.classes[name[:-1]] = frozenset(bases | (set() if f"{name}__init__" in inner else {"no __init__"}))


def _targets(node: ast.Assign | ast.AnnAssign | ast.Delete) -> Iterator[str]:
    found = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
    for target in found:
        yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (*Function, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        yield from _targets(node)


def _skip(node: ast.AST) -> str | None:
    """Return what skips a test, as text: a mark with its condition, a call, or a name."""
    if isinstance(node, ast.Call) and _last(node.func) in _SKIPS:
        return ast.unparse(node)
    if isinstance(node, ast.Attribute | ast.Name) and _last(node) in _SKIPS:
        return ast.unparse(node)
    if isinstance(node, ast.Constant) and node.value == "__test__":
        return "__test__"
    if isinstance(node, ast.ImportFrom) and (names := [a.name for a in node.names if a.name in _SKIPS]):
        return f"import of {names[0]}"
    return None


def _last(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


# --- how many cases --------------------------------------------------------------------------------------------


def _literals(body: Sequence[ast.stmt]) -> dict[str, int]:
    """Return the number of elements of the literals that names are bound to."""
    found: dict[str, int] = {}
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            size = _size(node.value, found)
            for name in _targets(node):
                found.pop(name, None)
                if size is not None:
                    found[name] = size
    return found


def _size(node: ast.expr, literals: dict[str, int]) -> int | None:
    """Return how many elements an expression has; None where only running it tells."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return None if any(isinstance(e, ast.Starred) for e in node.elts) else len(node.elts)
    if isinstance(node, ast.Dict):
        return None if None in node.keys else len(node.keys)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return len(node.value)
    if isinstance(node, ast.Name):
        return literals.get(node.id)
    if isinstance(node, ast.Call):
        name = _last(node.func)
        if name == "range" and all(isinstance(a, ast.Constant) and isinstance(a.value, int) for a in node.args):
            return len(range(*[a.value for a in node.args if isinstance(a, ast.Constant)]))  # type: ignore[arg-type]
        if name in ("enumerate", "sorted", "list", "tuple", "set", "reversed", "zip", "iter") and node.args:
            return _size(node.args[0], literals)
        if name in ("items", "keys", "values") and isinstance(node.func, ast.Attribute):
            return _size(node.func.value, literals)
    return None


def _repeated(decorators: Sequence[ast.expr], literals: dict[str, int]) -> int:
    """Return with how many cases decorators have a test run."""
    times = 1
    for node in decorators:
        if not isinstance(node, ast.Call):
            continue
        name, args = _last(node.func), list(node.args)
        if name == "parametrize":
            values = args[1] if len(args) > 1 else _keyword(node, "argvalues")
        elif name == "expand" and args:
            values = args[0]
        else:
            values = ast.Tuple(elts=args) if name == "data" else None
        size = _size(values, literals) if values is not None else 1
        times *= 1 if size is None else size
    return min(times, _MOST_CASES)


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in node.keywords if k.arg == name), None)


# --- what is asserted -------------------------------------------------------------------------------------------


@dataclass
class _Known:
    """What the module says of names that its tests use.

    Attributes
    ----------
    sizes
        Of literals.
    values
        Of names that are bound once, where the value cannot change.
    quiet
        Context managers that swallow a failed assertion.
    equal
        Classes whose instances equal everything.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    values: dict[str, ast.expr] = field(default_factory=dict)
    quiet: frozenset[str] = frozenset()
    equal: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tree: ast.Module) -> _Known:
        """Read a module."""
        known = cls(_literals(tree.body))
        times = Counter(name for node in tree.body if isinstance(node, ast.stmt) for name in _stored(node))
        for node in tree.body:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if times[name] == 1 and _plain(node.value):
                    known.values[name] = node.value
        known.quiet = frozenset(
            node.name for node in ast.walk(tree) if isinstance(node, (*Function, ast.ClassDef)) and _quiet(node)
        )
        known.equal = frozenset(
            node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and equals_all(node)
        )
        return known


def _plain(node: ast.expr) -> bool:
    """Whether a value is the same wherever its name is read."""
    if isinstance(node, ast.Tuple):
        return bool(node.elts) and all(isinstance(e, ast.Name | ast.Attribute) for e in node.elts)
    return isinstance(node, ast.Constant | ast.Name) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant)
    )


def _quiet(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    if isinstance(node, ast.ClassDef):
        leaving = [n for n in node.body if isinstance(n, Function) and n.name in ("__exit__", "__aexit__")]
        returns = [r.value for n in leaving for r in ast.walk(n) if isinstance(r, ast.Return)]
        return any(v is not None and not (isinstance(v, ast.Constant) and not v.value) for v in returns)
    for part in ast.walk(node):
        if isinstance(part, ast.Try) and any(isinstance(y, ast.Yield) for s in part.body for y in ast.walk(s)):
            return _swallows(part)
    return False


def _swallows(node: ast.Try | ast.TryStar) -> bool:
    """Whether a failed assertion does not leave a ``try``."""
    caught = any(_catches(h.type) and not any(isinstance(s, ast.Raise) for s in h.body) for h in node.handlers)
    return caught or any(isinstance(s, ast.Return | ast.Break | ast.Continue) for s in node.finalbody)


def equals_all(node: ast.ClassDef) -> bool:
    """Whether a class says that it equals everything."""
    for member in node.body:
        if isinstance(member, Function) and member.name in ("__eq__", "__ne__"):
            returned = [r.value for r in ast.walk(member) if isinstance(r, ast.Return)]
            return bool(returned) and all(isinstance(v, ast.Constant) and v.value is True for v in returned)
    return False


class _Filled(ast.NodeTransformer):
    """Puts known values in the place of names."""

    def __init__(self, values: Mapping[str, ast.expr], equal: frozenset[str]) -> None:
        self._values, self._equal = values, equal

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._values.get(node.id, node) if isinstance(node.ctx, ast.Load) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        if isinstance(node.func, ast.Name) and node.func.id in self._equal:
            return ast.Name("ANY", ast.Load())
        # What is called keeps its name: it tells an assertion from other calls.
        filled = ast.Call(
            node.func if isinstance(node.func, ast.Name) else self.visit(node.func),
            [self.visit(arg) for arg in node.args],
            [ast.keyword(k.arg, self.visit(k.value)) for k in node.keywords],
        )
        return ast.copy_location(filled, node)


class _Reader:
    """Walks the statements of one unit that can be reached, and notes what they assert."""

    def __init__(self, unit: Unit, known: _Known, times: int = 1) -> None:
        self.unit, self._literals, self._times = unit, dict(known.sizes), times
        self._known, self._values = known, dict(known.values)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Read a function."""
        unit = self.unit
        unit.waits = isinstance(node, ast.AsyncFunctionDef)
        plain = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
        unit.decorators = frozenset(map(ast.unparse, plain))
        for call in node.decorator_list:
            if isinstance(call, ast.Call):
                if (params := _keyword(call, "params")) is not None:
                    unit.params = _size(params, self._literals) or 1
                automatic = _keyword(call, "autouse")
                unit.automatic = unit.automatic or not (automatic is None or ast.unparse(automatic) == "False")
                if _last(call.func) == "usefixtures":
                    unit.takes |= {str(a.value) for a in call.args if isinstance(a, ast.Constant)}
        names = {arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        unit.automatic = unit.automatic or node.name.lower() in _SETUPS
        unit.takes |= names
        unit.binds = names | _stored(node)
        unit.fakes = set(_patched(node))
        unit.uses = {*names, *(_last(p) for p in ast.walk(node) if isinstance(p, ast.Name | ast.Attribute))}
        self._values = {name: value for name, value in self._values.items() if name not in unit.binds}
        self._literals |= _literals(node.body)
        self.block(node.body)
        for part in ast.walk(node):
            unit.yields = unit.yields or isinstance(part, ast.Yield | ast.YieldFrom)

    def _fill(self, node: Any) -> Any:
        """Return a copy of an expression in which known values stand in the place of names."""
        known = self._values.keys() | self._known.equal
        if not any(isinstance(part, ast.Name) and part.id in known for part in ast.walk(node)):
            return node
        return _Filled(self._values, self._known.equal).visit(copy.deepcopy(node))

    def _learn(self, node: ast.stmt) -> None:
        """Note what a name stands for after a statement."""
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = self._fill(node.value)
            self._forget(node)
            if self.unit.name and (_plain(value) or isinstance(value, ast.Call)):
                self._values[node.targets[0].id] = value
        else:
            self._forget(node)

    def _forget(self, node: ast.stmt) -> None:
        stored = _stored(node)
        acts = isinstance(node, ast.Expr | ast.With | ast.AsyncWith | ast.For | ast.While)
        for name, value in list(self._values.items()):
            used = {part.id for part in ast.walk(value) if isinstance(part, ast.Name)}
            # A call may give something else once something was done.
            if name in stored or used & stored or (acts and isinstance(value, ast.Call)):
                del self._values[name]

    def block(self, body: Sequence[ast.stmt], doubt: float = 0.0) -> None:
        """Read statements up to the first behind which nothing is reached."""
        for number, node in enumerate(body):
            self._statement(node, doubt)
            self._learn(node)
            if _leaves(node):
                last = isinstance(node, ast.Return) and number == len(body) - 1 and not doubt
                self.unit.ends += isinstance(node, ast.Return) and not last
                return

    def _note(self, strengths: Sequence[float], doubt: float, node: ast.AST) -> None:
        if doubt < math.inf:
            fresh = ([s - doubt for s in strengths if s > 0] * max(0, self._times))[:_MOST_CASES]
            self.unit.strengths += fresh
            self.unit.texts += [ast.dump(node)] * len(fresh)

    def _statement(self, node: ast.stmt, doubt: float) -> None:
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.Assert | ast.Expr | ast.Return):
            self._forget(node)
        if isinstance(node, ast.If):
            self._if(node, doubt)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.While):
            self._loop(node, doubt)
        elif isinstance(node, ast.Try | ast.TryStar):
            self._try(node, doubt)
        elif isinstance(node, ast.With | ast.AsyncWith):
            self._with(node, doubt)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                self.block(case.body, doubt + 0.5)
        elif isinstance(node, (*Function, ast.ClassDef)):
            if self.unit.name:
                self.block(node.body, doubt + 0.5)
        else:
            self._simple(node, doubt)

    def _simple(self, node: ast.stmt, doubt: float) -> None:
        if isinstance(node, ast.Assert):
            test = self._fill(node.test)
            self._note(_atoms(test), doubt, test)
        elif isinstance(node, ast.Raise):
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if raised is None or _last(raised) not in _SKIPS:
                self._note([1.0], 0.0 if doubt < math.inf else doubt, node)
        self._expressions(node, doubt, asserted=isinstance(node, ast.Assert))

    def _if(self, node: ast.If, doubt: float) -> None:
        self._expressions(node.test, doubt)
        known = node.test.value if isinstance(node.test, ast.Constant) else None
        main = ast.unparse(node.test).replace("'", '"') == '__name__ == "__main__"'
        inner = doubt if main or known is not None else doubt + 0.5
        if isinstance(node.test, ast.Compare) and any(_rejects(part) for part in node.body):
            self._note(
                _denied(self._fill(node.test)), doubt, node.test
            )  # "if f(2) != 5: raise …" asserts what it compares
        if known is None or known:
            self.block(node.body, inner)
        if not known:
            self.block(node.orelse, inner)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, doubt: float) -> None:
        if isinstance(node, ast.While):
            self._expressions(node.test, doubt)
            dead = isinstance(node.test, ast.Constant) and not node.test.value
            self.block(node.body, math.inf if dead else doubt + 0.5)
        else:
            self._expressions(node.iter, doubt)
            size, outer = _size(node.iter, self._literals), self._times
            self._times = min(outer * (1 if size is None else size), _MOST_CASES)
            self.block(node.body, doubt + (0.5 if size is None else 0.0))
            self._times = outer
        self.block(node.orelse, doubt + 0.5)

    def _try(self, node: ast.Try | ast.TryStar, doubt: float) -> None:
        handlers = [ast.ExceptHandler(h.type and self._fill(h.type), h.name, h.body) for h in node.handlers]
        filled = ast.Try(node.body, handlers, node.orelse, node.finalbody)
        self.block(node.body, math.inf if _swallows(filled) else doubt)
        for handler in node.handlers:
            self.block(handler.body, doubt + 0.5)
        self.block(node.orelse, doubt)
        self.block(node.finalbody, doubt)

    def _with(self, node: ast.With | ast.AsyncWith, doubt: float) -> None:
        swallowed = False
        for item in node.items:
            call = item.context_expr
            self._expressions(call, doubt)
            if isinstance(call, ast.Call):
                name = _last(call.func)
                catching = name in ("suppress", "raises", "assertRaises")
                caught = (self._fill(arg) for arg in call.args)
                swallowed = swallowed or name in self._known.quiet
                swallowed = swallowed or (catching and any(_catches(a, wide=name == "suppress") for a in caught))
        self.block(node.body, math.inf if swallowed else doubt)

    def _expressions(self, node: ast.AST, doubt: float, *, asserted: bool = False) -> None:
        """Note assertions that are calls, tolerances, and what else is called."""
        for part in ast.walk(self._fill(node)):
            if isinstance(part, ast.Compare):
                self.unit.tolerances += _window(part)
            if not isinstance(part, ast.Call):
                continue
            self.unit.tolerances += _looseness(part)
            strengths = _asserting(part)
            if strengths is not None:
                if not asserted:
                    self._note(strengths, doubt, part)
            elif _root(part.func) not in _NOT_THE_PROGRAM:
                self.unit.calls += 1
                self._ask(part, doubt)

    def _ask(self, call: ast.Call, doubt: float) -> None:
        if isinstance(call.func, ast.Name):
            self.unit.asks.append((call.func.id, doubt, self._times))
        elif isinstance(call.func, ast.Attribute) and _last(call.func.value) == "self":
            self.unit.asks.append((f"self.{call.func.attr}", doubt, self._times))


_NOT_THE_PROGRAM = frozenset({*dir(builtins), "pytest", "unittest", "mock", "approx", "math", ""})


def _leaves(node: ast.stmt) -> bool:
    """Whether nothing behind a statement is reached."""
    if isinstance(node, ast.Return | ast.Raise | ast.Continue | ast.Break):
        return True
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and _last(call.func) in _ENDS


def _rejects(node: ast.stmt) -> bool:
    """Whether a statement fails a check: raises, or ends with a status that is not 0."""
    if isinstance(node, ast.Raise):
        return True
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and _last(call.func) in ("exit", "_exit", "fail")


def _catches(node: ast.expr | None, *, wide: bool = True) -> bool:
    """Whether an ``except`` with this type takes a failed assertion."""
    if node is None:
        return True
    names = {_last(part) for part in ast.walk(node)}
    return not names.isdisjoint(_CATCHES if wide else {"AssertionError"})


def _atoms(test: ast.expr) -> list[float]:
    """Return the strength of each thing that an expression asserts; 0 for what is always true."""
    if isinstance(test, ast.BoolOp):
        parts = [_atoms(value) for value in test.values]
        if isinstance(test.op, ast.And):
            return [strength for part in parts for strength in part]
        return [0.0] if any(not any(part) for part in parts) else [1.5]
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _denied(test.operand)
    if isinstance(test, ast.Constant):
        return [0.0 if test.value else 1.0]
    if isinstance(test, ast.Tuple | ast.List | ast.Set | ast.Dict | ast.JoinedStr | ast.Lambda):
        return [0.0]
    if isinstance(test, ast.NamedExpr):
        return _atoms(test.value)
    if isinstance(test, ast.Compare):
        sides = [test.left, *test.comparators]
        return [_compared(a, op, b) for a, op, b in zip(sides, test.ops, sides[1:], strict=False)]
    if isinstance(test, ast.Call):
        return _called(test)
    return [1.0]


def _denied(test: ast.expr) -> list[float]:
    """Return what the opposite of an expression asserts."""
    if isinstance(test, ast.Constant):
        return [1.0 if test.value else 0.0]
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return [1.0]
    opposite = {ast.NotEq: ast.Eq, ast.IsNot: ast.Is, ast.Eq: ast.NotEq, ast.Is: ast.IsNot, ast.In: ast.NotIn}
    op = test.ops[0]
    return [_compared(test.left, opposite.get(type(op), type(op))(), test.comparators[0])]


def _compared(left: ast.expr, op: ast.cmpop, right: ast.expr) -> float:
    if all(_constant(side) for side in (left, right)):
        return 1.0 if _unlike(left, right) and isinstance(op, ast.Eq | ast.Is) else 0.0
    if ast.dump(left) == ast.dump(right):
        return 0.0
    if isinstance(left, ast.Call) and _last(left.func) == "len" and isinstance(op, ast.GtE | ast.Gt):
        least = right.value if isinstance(right, ast.Constant) else None
        if least == 0 and isinstance(op, ast.GtE):
            return 0.0
    if any(_last(side) == "ANY" for side in (left, right)):
        return 0.5
    if isinstance(op, ast.NotEq | ast.IsNot | ast.NotIn):
        return 1.2
    return 3.0 if isinstance(op, ast.Eq | ast.Is) else 2.0


def _constant(node: ast.expr) -> bool:
    return not any(isinstance(part, ast.Name | ast.Call | ast.Attribute | ast.Await) for part in ast.walk(node))


def _unlike(left: ast.expr, right: ast.expr) -> bool:
    """Whether two literals differ: comparing them fails, so they cannot make a test pass."""
    try:
        return bool(ast.literal_eval(left) != ast.literal_eval(right))
    except (ValueError, TypeError, SyntaxError):
        return False


def _called(call: ast.Call) -> list[float]:
    name = _last(call.func)
    if name == "isinstance":
        return [0.0 if len(call.args) > 1 and _last(call.args[1]) == "object" else 1.5]
    if name in ("isclose", "allclose", "array_equal"):
        return [0.0 if len(call.args) > 1 and ast.dump(call.args[0]) == ast.dump(call.args[1]) else 3.0]
    if name in ("all", "any"):
        return [2.0 if name == "all" else 1.2]
    if name == "bool" and call.args:
        return [min(1.0, strength) for strength in _atoms(call.args[0])]
    return [1.0]


def _asserting(call: ast.Call) -> list[float] | None:
    """Return what a call asserts; None if it is not an assertion."""
    name, args = _last(call.func), call.args
    low = name.lower().replace("_", "")
    if name in ("raises", "warns", "deprecated_call") or low.startswith(("assertraises", "assertwarns")):
        broad = any(_catches(arg) for arg in args[:1])
        return [2.0 if broad else 3.0]
    if name == "fail":
        return [1.0]
    if not low.startswith("assert"):
        return None
    if low in ("asserttrue", "assert"):
        return _atoms(args[0]) if args else [0.0]
    if low == "assertfalse":
        return _atoms(ast.UnaryOp(op=ast.Not(), operand=args[0])) if args else [0.0]
    if len(args) > 1 and (ast.dump(args[0]) == ast.dump(args[1]) or all(map(_constant, args[:2]))):
        return [0.0]
    if "not" in low:
        return [1.2]
    if any(word in low for word in ("equal", "close", "calledoncewith", "calledwith", "assertis", "hascalls")):
        return [1.5 if "isinstance" in low else 3.0]
    return [2.0]


def _looseness(call: ast.Call) -> list[float]:
    """Return the tolerances that a call names."""
    start, names = _CLOSE.get(_last(call.func), (0, ()))
    given = [*zip(names, call.args[start:], strict=False)] if names else []
    given += [(k.arg, k.value) for k in call.keywords if k.arg in _TOLERANCES | _DIGITS]
    found: list[float] = []
    for name, node in given:
        value = _number(node)
        if value is not None:
            found.append(10.0**-value if name in _DIGITS else value)
        elif not (isinstance(node, ast.Constant) and node.value is None):
            found.append(math.inf)  # only running it tells
    return found


def _window(compare: ast.Compare) -> list[float]:
    """Return by how much ``abs(a - b) < c`` lets two numbers differ."""
    left, op, right = compare.left, compare.ops[0], compare.comparators[0]
    measured = isinstance(left, ast.Call) and _last(left.func) in ("abs", "fabs", "norm", "max")
    value = _number(right)
    return [value] if measured and isinstance(op, ast.Lt | ast.LtE) and value is not None else []


def _number(node: Any) -> float | None:
    try:
        value = ast.literal_eval(node)
        return float(value) if isinstance(value, int | float) else None
    except (ValueError, TypeError, SyntaxError, OverflowError):
        return None
