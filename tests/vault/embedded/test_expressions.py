import pytest
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

from vault.embedded.expressions import compile_condition
from vault.embedded.wire import AWSError

ITEM = {
    "s": {"S": "b"},
    "n": {"N": "10"},
    "b": {"B": "YQ=="},
    "l": {"L": [{"N": "1"}]},
    "t": {"BOOL": True},
    "long_name": {"S": "b"},
}
NAMES = {"#s": "s", "#n": "n", "#b": "b", "#l": "l", "#t": "t", "#x": "x"}
VALUES = {
    ":s": {"S": "b"},
    ":n": {"N": "1E1"},
    ":nine": {"N": "9"},
    ":b": {"B": "YQ=="},
    ":l": {"L": [{"N": "1.0"}]},
    ":t": {"BOOL": True},
}


def compiled(expression):
    def used(declared):
        return {
            name: declared[name] for name in declared if name in expression.replace("(", " ").replace(")", " ").split()
        }

    return compile_condition(
        {
            "ConditionExpression": expression,
            "ExpressionAttributeNames": used(NAMES),
            "ExpressionAttributeValues": used(VALUES),
        }
    )


ANSWERS = [
    ("#s = :s", True),
    ("#n = :n", True),  # numbers are equal whatever their spelling
    ("#n > :nine", True),  # and ordered as numbers, not as text
    ("#b >= :b", True),
    ("#l = :l", True),
    ("#t = :t", True),
    ("#n = :s", False),
    ("#n <> :s", True),
    ("#n < :s", False),
    ("#n > :s", False),
    ("#x = #x", False),  # a missing attribute equals nothing
    ("#x <> #s", True),
    ("#s = #s", True),
    ("NOT NOT #s = :s", True),
    ("NOT ( #s = :s AND #n = :s )", True),
    ("#s = :s OR #n = :s AND #n = :s", True),
    ("attribute_exists(long_name)", True),  # no word with an underscore is reserved
    ("attribute_not_exists(other_name)", True),
    ("long_name = :s", True),
]


@pytest.mark.parametrize(("expression", "answer"), ANSWERS, ids=[row[0] for row in ANSWERS])
def test_answer(expression, answer):
    assert compiled(expression)(ITEM) is answer


REFUSED = [
    "",
    "#s",
    "#s =",
    "= :s",
    "#s == :s",
    "#s = :s #n = :n",
    "( #s = :s",
    "#s = :s )",
    "token = :s",  # a bare name may be a reserved word
    "attribute_exists(token)",
    "long_name_ = :s",
    "LONG_NAME = :s",
    "#s.part = :s",
    "#s[0] = :s",
    "#undeclared = :s",
    "#s = :undeclared",
    "attribute_exists(:s)",
    "attribute_exists #s",
    "begins_with(#s, :s)",
    "size(#s) > :n",
    "#s BETWEEN :s AND :s",
    "#s IN (:s)",
    "NOT",
    "#s = :s AND",
    "#s = :s; DROP",
    "( " * 200 + "#s = :s" + " )" * 200,
]


@pytest.mark.parametrize("expression", REFUSED, ids=lambda expression: expression[:30] or "empty")
def test_expression_is_refused(expression):
    with pytest.raises(AWSError) as refused:
        compiled(expression)
    assert refused.value.code == "ValidationException"


def test_no_word_that_aws_reserves_has_an_underscore():
    words = ReservedKeywords.get_reserved_keywords()
    assert "TOKEN" in words
    assert not [word for word in words if "_" in word]


UNUSED = [
    {"ExpressionAttributeNames": {"#s": "s", "#n": "n"}},
    {"ExpressionAttributeValues": {":s": {"S": "b"}}},
]


@pytest.mark.parametrize("declared", UNUSED, ids=["name", "value"])
def test_unused_declaration_is_refused(declared):
    request = {"ConditionExpression": "attribute_exists(#s)", "ExpressionAttributeNames": {"#s": "s"}}
    with pytest.raises(AWSError):
        compile_condition(request | declared)


def test_declaration_without_expression_is_refused():
    with pytest.raises(AWSError):
        compile_condition({"ExpressionAttributeNames": {"#s": "s"}})


def test_value_without_order_is_refused():
    with pytest.raises(AWSError):
        compiled("#t < :t")(ITEM)
