"""Tables of the documents whose rows name the tests that show them, and whether those are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: How a cell begins that says why no test can show its row.
NO_TEST = "No test:"
_CITED = re.compile(r"(tests/[\w/]+\.py)::((?:\w+::)?test_\w+)")
# Of a sentence that explains something.
_SHORTEST_REASON = 40


def rows(path: Path | str, *columns: str) -> Iterator[dict[str, str]]:
    """The rows of every table in a document that has these columns, each by the names in the head of its table."""
    head: list[str] = []
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
        cells = _cells(line)
        if not cells:
            head = []
        elif not head:
            head = cells
        elif set(columns) <= set(head) and not all(re.fullmatch(":?-+:?", cell) for cell in cells):
            assert len(cells) == len(head), f"{path}: a row of another length: {line[:80]}"
            yield dict(zip(head, cells, strict=True))


def _cells(line: str) -> list[str]:
    if not line.startswith("|") or not line.rstrip().endswith("|"):
        return []
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]


def cited(cell: str) -> list[tuple[str, str]]:
    """The tests that a cell names, as file and function. Between them stand spaces, commas or `<br>`."""
    return _CITED.findall(cell)


def problems(cell: str) -> list[str]:
    """What is wrong with a cell that has tests, or says why it has none: empty if nothing is."""
    if cell.startswith(NO_TEST):
        return [] if len(cell) >= _SHORTEST_REASON else ["no reason"]
    names = cited(cell)
    left = re.sub(r"<br>|[`,\s]", "", _CITED.sub("", cell))
    found = [f"not understood: {left}"] if left else []
    return found + (["no test"] if not names else [said for name in names if (said := _problem(*name))])


def _problem(file: str, function: str) -> str:
    if not (ROOT / file).exists():
        return f"no such file: {file}"
    functions = _functions(file)
    if function not in functions:
        return f"no such test: {file}::{function}"
    return f"always skipped: {file}::{function}" if functions[function] else ""


@cache
def _functions(file: str) -> dict[str, bool]:
    """The tests of a file, and whether each is always skipped."""
    return functions_of(ast.parse((ROOT / file).read_text(encoding="utf-8")))


def functions_of(module: ast.Module) -> dict[str, bool]:
    """The tests of a module, those of classes after the name of the class, and whether each is always skipped."""
    is_skipped = any(_sets_skip(each) for each in module.body)
    found = {}
    for each in module.body:
        if isinstance(each, ast.FunctionDef):
            found[each.name] = is_skipped or _is_skipped(each)
        elif isinstance(each, ast.ClassDef):
            of_class = is_skipped or any(map(_is_skip, each.decorator_list)) or any(map(_sets_skip, each.body))
            methods = (method for method in each.body if isinstance(method, ast.FunctionDef))
            found |= {f"{each.name}::{method.name}": of_class or _is_skipped(method) for method in methods}
    return found


def _sets_skip(statement: ast.stmt) -> bool:
    """True for `pytestmark = …` with a skip in it, and for `pytest.skip(allow_module_level=True)`."""
    if isinstance(statement, ast.Assign):
        names = [each.id for each in statement.targets if isinstance(each, ast.Name)]
        marks = statement.value.elts if isinstance(statement.value, ast.List | ast.Tuple) else [statement.value]
        return "pytestmark" in names and any(map(_is_skip, marks))
    return _calls_skip(statement)


def _is_skipped(function: ast.FunctionDef) -> bool:
    return any(map(_is_skip, function.decorator_list)) or any(map(_calls_skip, function.body))


def _is_skip(mark: ast.expr) -> bool:
    name = ast.unparse(mark)
    return bool(re.match(r"pytest\.mark\.(skip\b|skipif\(True\b|xfail\((?:run=False|.*run=False))", name))


def _calls_skip(statement: ast.stmt) -> bool:
    """True for a call that is made in any case: one within an `if` is not."""
    return isinstance(statement, ast.Expr) and bool(re.match(r"pytest\.(skip|xfail)\(", ast.unparse(statement)))
