import ast

import pytest

from tests.docs.tables import cited, functions_of, problems, rows

HERE = "tests/docs/test_tables.py"
THIS = f"{HERE}::test_tests_that_are_there_are_no_problem"


def test_rows_are_those_of_tables_with_the_columns(tmp_path):
    (tmp_path / "a.md").write_text(
        "# A\n\n| id | tests |\n|---|:--:|\n| A1 | x \\| y |\n| A2 | z |\n\n| when | what |\n|---|---|\n| now | this |\n"
    )
    assert list(rows(tmp_path / "a.md", "id", "tests")) == [{"id": "A1", "tests": "x | y"}, {"id": "A2", "tests": "z"}]


def test_a_row_that_is_too_short_is_no_row(tmp_path):
    (tmp_path / "a.md").write_text("| id | tests |\n|---|---|\n| A1 |\n")
    with pytest.raises(AssertionError, match="another length"):
        list(rows(tmp_path / "a.md", "id"))


@pytest.mark.parametrize(
    "cell",
    [
        THIS,
        f"`{THIS}`",
        f"{THIS}<br>{THIS}",
        f"`{THIS}`, `{THIS}`",
        "No test: an account with AWS would be needed for that, and the operator has one.",
    ],
)
def test_tests_that_are_there_are_no_problem(cell):
    assert problems(cell) == []


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("", "no test"),
        ("No test:", "no reason"),
        ("No test: why?", "no reason"),
        ("see above", "not understood: seeabove"),
        ("tests/docs/test_nothing.py::test_x", "no such file: tests/docs/test_nothing.py"),
        (f"{HERE}::test_nothing", f"no such test: {HERE}::test_nothing"),
        (f"{THIS}<br>{HERE}::test_nothing", f"no such test: {HERE}::test_nothing"),
        (f"{THIS}[1]", "not understood: [1]"),
    ],
)
def test_what_is_wrong_is_said(cell, problem):
    assert problem in problems(cell)


def test_several_are_named_in_order():
    assert cited("tests/a.py::test_x<br>`tests/b/c.py::TestD::test_y`") == [
        ("tests/a.py", "test_x"),
        ("tests/b/c.py", "TestD::test_y"),
    ]


@pytest.mark.parametrize(
    ("source", "is_skipped"),
    [
        ("def test_a(): pass", False),
        ("@pytest.mark.skip\ndef test_a(): pass", True),
        ("@pytest.mark.skip(reason='x')\ndef test_a(): pass", True),
        ("@pytest.mark.skipif(True, reason='x')\ndef test_a(): pass", True),
        ("@pytest.mark.skipif(not has_mariadb(), reason='x')\ndef test_a(): pass", False),
        ("@pytest.mark.xfail(reason='x', run=False)\ndef test_a(): pass", True),
        ("def test_a():\n    pytest.skip('later')", True),
        ("def test_a():\n    if not there():\n        pytest.skip('not here')", False),
        ("pytestmark = pytest.mark.skip\ndef test_a(): pass", True),
        ("pytestmark = [pytest.mark.django_db, pytest.mark.skip(reason='x')]\ndef test_a(): pass", True),
        ("pytestmark = [pytest.mark.django_db]\ndef test_a(): pass", False),
        ("pytest.skip('no', allow_module_level=True)\ndef test_a(): pass", True),
    ],
)
def test_what_is_always_skipped_shows_nothing(source, is_skipped):
    assert functions_of(ast.parse(source)) == {"test_a": is_skipped}


def test_tests_of_a_class_are_found():
    source = "class TestA:\n    def test_a(self): pass\n    @pytest.mark.skip\n    def test_b(self): pass"
    assert functions_of(ast.parse(source)) == {"TestA::test_a": False, "TestA::test_b": True}
