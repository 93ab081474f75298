"""Every setting stands in three places: in the code, in docs/settings.md and in .env.example."""

import ast
import re
from collections import defaultdict

import pytest

from billing.settings.environment import Environment
from tests.docs.tables import ROOT, rows

COLUMNS = ("variable", "what it does", "unit", "default", "production", "for")
#: Who a module reads for, as the cells of defaults call it; the others read for everybody.
PLACES = {
    "billing/settings/local.py": "laptop",
    "billing/settings/production.py": "production",
    "billing/gunicorn_conf.py": "gunicorn",
}
#: What people who set up an installation type; test.sh and the like are for those who change the product.
SCRIPTS = ("run.sh", "local.sh", "token.sh", "venv.sh", "python.sh")
READERS = {name for name in vars(Environment) if not name.startswith("_")} - {"refuse", "complete"}
DEMANDS = {"needed", "file", "mail"}
#: A default that the code computes, and that the document has in words.
COMPUTED = object()


def calls():
    """Each reading of a variable: its place, the name of the method, the call, and the name of the variable."""
    for path in sorted({*ROOT.glob("billing/**/*.py"), *ROOT.glob("vault/**/*.py"), *ROOT.glob("orders/**/*.py")}):
        place = PLACES.get(str(path.relative_to(ROOT)), "")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                yield place, "environ", node, node.slice
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner, method = ast.unparse(node.func.value), node.func.attr
                if owner == "env" and method in READERS:
                    yield place, method, node, node.args[0]
                    if method in {"database", "mail"}:
                        yield place, "text", ast.Call(node.func, [node.args[1]], []), node.args[1]
                elif owner == "os.environ" and method in {"get", "setdefault", "pop"}:
                    yield place, method, node, node.args[0]


def in_code():
    """Of each variable its defaults by place; none where it has to be given."""
    found = defaultdict(dict)
    for place, method, node, name in calls():
        # A name that is not written there could not be held against anything; the reader itself is given them.
        if not isinstance(name, ast.Constant):
            assert ast.unparse(name) in {"name", "f'{name}_FILE'"}
            continue
        options = {each.arg: each.value for each in getattr(node, "keywords", ())}
        if method in DEMANDS or "missing" in options:
            found[name.value][place] = None
        elif found[name.value].get(place, "") is None:
            continue
        elif method in READERS:
            found[name.value][place] = text_of(options["default"]) if "default" in options else ""
        elif method in {"setdefault", "get"} and len(node.args) > 1:
            found[name.value][place] = text_of(node.args[1])
        else:
            found[name.value].setdefault(place, COMPUTED)
    for script in SCRIPTS:
        text = (ROOT / "deploy/setup" / script).read_text(encoding="utf-8")
        for name in re.findall(r"\$\{([A-Z][A-Z_]+):?[-=]", text):
            found[name].setdefault("", COMPUTED)
    return found


def text_of(node):
    """A default as somebody would type it."""
    try:
        # Only what is written out: `24 * 3600` is, and `str(BASE_DIR)` is not.
        value = eval(compile(ast.Expression(node), "", "eval"), {"__builtins__": {}})  # noqa: S307 - our own sources
    except (NameError, TypeError, AttributeError):
        return COMPUTED
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(value) if isinstance(value, list) else str(value)


def in_document():
    return {re.fullmatch("`([A-Z_]+)`", row["variable"])[1]: row for row in rows("docs/settings.md", *COLUMNS)}


def in_example():
    """Of each variable the value of its line, and whether that is an example of something else than the default."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    found = [match.groups() for line in lines if (match := re.fullmatch("(#?)([A-Z][A-Z_]*)=(.*)", line))]
    # The comment that says how a file is named.
    found = [each for each in found if not each[1].endswith("_FILE")]
    assert len({name for _, name, _ in found}) == len(found)
    return {name: (value, bool(mark)) for mark, name, value in found}


def defaults_of(cell):
    """What a cell says: the default of production, and others by their place."""
    if cell.startswith("empty"):
        return {"": ""}
    found = dict(re.findall(r"(?:^|, )(laptop|gunicorn|elsewhere|)\s?`([^`]+)`", cell))
    return found or {"": COMPUTED}


CODE, DOCUMENT, EXAMPLE = in_code(), in_document(), in_example()


def test_the_three_places_have_the_same_names():
    assert sorted(CODE) == sorted(DOCUMENT) == sorted(EXAMPLE)


@pytest.mark.parametrize("name", sorted(CODE))
def test_a_default_is_what_the_document_says(name):
    places, said = CODE[name], defaults_of(DOCUMENT[name]["default"])
    wanted = {place: value for place, value in places.items() if value not in {None, COMPUTED}}
    if "production" in wanted:
        wanted |= {"": wanted["production"], "elsewhere": wanted.get("", "")}
        del wanted["production"]
    # What is read in one place alone, as by gunicorn, has one default; so has what is the same everywhere.
    main = wanted.get("", wanted.get("gunicorn") if "" not in places else None)
    wanted = {place: value for place, value in wanted.items() if place == "" or value != main}
    if main is not None:
        assert said == wanted | {"": main}


@pytest.mark.parametrize("name", sorted(CODE))
def test_what_production_needs_is_marked(name):
    is_needed = CODE[name].get("production", "") is None
    assert (DOCUMENT[name]["production"].startswith("required")) == (is_needed or name == "DJANGO_SETTINGS_MODULE")


@pytest.mark.parametrize("name", sorted(EXAMPLE))
def test_a_line_to_take_is_the_default_or_has_to_be_given(name):
    value, is_example = EXAMPLE[name]
    default = defaults_of(DOCUMENT[name]["default"])[""]
    if DOCUMENT[name]["production"]:
        # With a password in it, it would be a secret in a file that is committed.
        assert not re.search("//[^/@]*:[^/@]*@", value)
    elif is_example:
        assert value != default
    else:
        assert value == default
