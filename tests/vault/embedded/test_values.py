import pytest

from vault.embedded.values import canonical_item, canonical_value
from vault.embedded.wire import AWSError

CANONICAL = [
    ({"N": "1.0"}, {"N": "1"}),
    ({"N": "-0"}, {"N": "0"}),
    ({"N": "1E2"}, {"N": "100"}),
    ({"N": "00.50"}, {"N": "0.5"}),
    ({"N": "9" * 38}, {"N": "9" * 38}),
    ({"NS": ["2", "1.0"]}, {"NS": ["1", "2"]}),
    ({"SS": ["b", "a"]}, {"SS": ["a", "b"]}),
    ({"B": "YR=="}, {"B": "YQ=="}),
    ({"L": [{"M": {"n": {"N": "1.0"}}}]}, {"L": [{"M": {"n": {"N": "1"}}}]}),
]


@pytest.mark.parametrize(("value", "canonical"), CANONICAL, ids=[str(value) for value, _ in CANONICAL])
def test_equal_values_have_one_form(value, canonical):
    assert canonical_value(value) == canonical
    assert canonical_value(canonical) == canonical


def nested(depth):
    return {"L": [nested(depth - 1)]} if depth else {"S": ""}


REFUSED = [
    ("no kind", {}),
    ("two kinds", {"S": "a", "N": "1"}),
    ("unknown kind", {"X": "a"}),
    ("not a mapping", "a"),
    ("string", {"S": 1}),
    ("number as number", {"N": 1}),
    ("number as text", {"N": "one"}),
    ("number with underscore", {"N": "1_0"}),
    ("number in full width", {"N": "１"}),
    ("not a number", {"N": "NaN"}),
    ("39 digits", {"N": "9" * 39}),
    ("too large", {"N": "1E126"}),
    ("too small", {"N": "1E-131"}),
    ("binary", {"B": "?"}),
    ("boolean", {"BOOL": "true"}),
    ("null", {"NULL": False}),
    ("empty set", {"SS": []}),
    ("set with a duplicate", {"NS": ["1", "1.0"]}),
    ("list", {"L": {}}),
    ("map", {"M": []}),
    ("nested too deep", nested(33)),
]


@pytest.mark.parametrize("value", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_value_is_refused(value):
    with pytest.raises(AWSError) as refused:
        canonical_value(value)
    assert refused.value.code == "ValidationException"


def test_value_nested_to_the_limit_is_accepted():
    assert canonical_value(nested(32)) == nested(32)


SIZES = [
    ({"S": "é"}, 3),
    ({"B": "AAAA"}, 4),
    ({"BOOL": True}, 2),
    ({"N": "1234"}, 4),
    ({"SS": ["a", "b"]}, 3),
    ({"L": [{"S": "a"}]}, 6),
    ({"M": {"k": {"S": "a"}}}, 7),
]


@pytest.mark.parametrize(("value", "size"), SIZES, ids=[str(value) for value, _ in SIZES])
def test_size_counts_names_and_values(value, size):
    assert canonical_item({"n": value})[1] == size


def test_item_name_may_not_be_empty():
    with pytest.raises(AWSError):
        canonical_item({"": {"S": "a"}})
