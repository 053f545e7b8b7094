"""What the tests of a Python module assert, test by test, so that two versions of it can be compared."""

from __future__ import annotations

import ast
import builtins
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

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

    @property
    def is_test(self) -> bool:
        """Whether pytest or unittest would run it."""
        return self.name.rpartition(".")[2].startswith("test")


@dataclass
class Tests:
    """What a module holds."""

    units: dict[str, Unit] = field(default_factory=dict)
    skips: Counter[str] = field(default_factory=Counter)
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
    if skipped := next(iter(new.skips - old.skips), None):
        return f"skips it by {skipped[:60]}"
    if hooks := sorted(name for name, text in new.hooks.items() if old.hooks.get(name) != text):
        return f"{hooks[0]} decides what is run"
    if faked := sorted((old.imported - new.imported) & new.bound):
        return f"{faked[0]} is no longer the program's"
    for name, bases in old.classes.items():
        if name in new.classes and not bases <= new.classes[name]:
            return f"{name} is no longer run"
    for name, unit in old.units.items():
        if name in new.units and (why := _less(unit, new.units[name], new.bound)):
            return f"{name or 'the module'} {why}"
    total = [sum(len(unit.strengths) for unit in tests.units.values()) for tests in (old, new)]
    return f"{total[0] - total[1]} assertions fewer" if total[1] < total[0] else None


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
    literals = _literals(tree.body)
    own = _Reader(Unit(""), literals)
    own.block(tree.body)
    tests.units[""] = own.unit
    _members(tree.body, "", tests, literals, 1)
    for node in ast.walk(tree):
        if (text := _skip(node)) is not None:
            tests.skips[text] += 1
    return tests


def _members(body: Sequence[ast.stmt], inside: str, tests: Tests, literals: dict[str, int], times: int) -> None:
    """Read functions and classes in the order in which they are bound: the last of a name counts."""
    for node in body:
        if isinstance(node, Function):
            name = inside + node.name
            reader = _Reader(Unit(name), literals, times * _repeated(node.decorator_list, literals))
            reader.function(node)
            tests.units[name] = reader.unit
            if _HOOKS.fullmatch(node.name):
                tests.hooks[name] = ast.unparse(node)
        elif isinstance(node, ast.ClassDef):
            _class(node, inside, tests, literals, times)
        elif isinstance(node, ast.Import | ast.ImportFrom) and not inside:
            tests.imported |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.Delete):
            for name in _targets(node):
                tests.units.pop(inside + name, None)
        if not inside:
            tests.bound |= set(_bound(node))


def _class(node: ast.ClassDef, inside: str, tests: Tests, literals: dict[str, int], times: int) -> None:
    name = f"{inside}{node.name}."
    for known in [known for known in tests.units if known.startswith(name)]:
        del tests.units[known]
    _members(node.body, name, tests, literals, times * _repeated(node.decorator_list, literals))
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


class _Reader:
    """Walks the statements of one unit that can be reached, and notes what they assert."""

    def __init__(self, unit: Unit, literals: dict[str, int], times: int = 1) -> None:
        self.unit, self._literals, self._times = unit, dict(literals), times

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Read a function."""
        unit = self.unit
        unit.waits = isinstance(node, ast.AsyncFunctionDef)
        plain = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
        unit.decorators = frozenset(map(ast.unparse, plain))
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and (params := _keyword(call, "params")) is not None:
                unit.params = _size(params, self._literals) or 1
        self._literals |= _literals(node.body)
        self.block(node.body)
        for part in ast.walk(node):
            unit.yields = unit.yields or isinstance(part, ast.Yield | ast.YieldFrom)

    def block(self, body: Sequence[ast.stmt], doubt: float = 0.0) -> None:
        """Read statements up to the first behind which nothing is reached."""
        for number, node in enumerate(body):
            self._statement(node, doubt)
            if _leaves(node):
                last = isinstance(node, ast.Return) and number == len(body) - 1 and not doubt
                self.unit.ends += isinstance(node, ast.Return) and not last
                return

    def _note(self, strengths: Sequence[float], doubt: float, times: int | None = None) -> None:
        if doubt < math.inf:
            fresh = [s - doubt for s in strengths if s > 0] * max(0, self._times if times is None else times)
            self.unit.strengths += fresh[:_MOST_CASES]

    def _statement(self, node: ast.stmt, doubt: float) -> None:
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
            self._note(_atoms(node.test), doubt)
        elif isinstance(node, ast.Raise):
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if raised is None or _last(raised) not in _SKIPS:
                self._note([1.0], 0.0 if doubt < math.inf else doubt)
        self._expressions(node, doubt, asserted=isinstance(node, ast.Assert))

    def _if(self, node: ast.If, doubt: float) -> None:
        self._expressions(node.test, doubt)
        known = node.test.value if isinstance(node.test, ast.Constant) else None
        main = ast.unparse(node.test).replace("'", '"') == '__name__ == "__main__"'
        inner = doubt if main or known is not None else doubt + 0.5
        if isinstance(node.test, ast.Compare) and any(_rejects(part) for part in node.body):
            self._note(_denied(node.test), doubt)  # "if f(2) != 5: raise …" asserts what it compares
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
        caught = any(_catches(h.type) and not any(isinstance(s, ast.Raise) for s in h.body) for h in node.handlers)
        self.block(node.body, math.inf if caught else doubt)
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
                swallowed = swallowed or (
                    catching and any(_catches(a, wide=name == "suppress") for a in call.args)
                )
        self.block(node.body, math.inf if swallowed else doubt)

    def _expressions(self, node: ast.AST, doubt: float, *, asserted: bool = False) -> None:
        """Note assertions that are calls, tolerances, and what else is called."""
        for part in ast.walk(node):
            if isinstance(part, ast.Compare):
                self.unit.tolerances += _window(part)
            if not isinstance(part, ast.Call):
                continue
            self.unit.tolerances += _looseness(part)
            strengths = _asserting(part)
            if strengths is not None:
                if not asserted:
                    self._note(strengths, doubt)
            elif _root(part.func) not in _NOT_THE_PROGRAM:
                self.unit.calls += 1


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
