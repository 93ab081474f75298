"""Bodies that nobody sends by mistake, to every operation of the API that takes one (trial B3)."""

import gzip
import json
import tracemalloc

import pytest

from orders.models import Order
from tests.contract.accounts import ALL_RIGHTS, API_RIGHTS, make_account
from tests.contract.stock import Stock
from tests.contract.test_wrong_places import OPERATIONS
from tests.factories import client_of, make_user
from vault.models import Card
from vault.policy import Right

pytestmark = [pytest.mark.django_db, pytest.mark.either]
TAKING = {name: each for name, each in OPERATIONS.items() if each[0] != "get"}
MIB = 1024 * 1024
DEEP = 10_000

BODIES = {
    "number": b"1",
    "float": b"1.5",
    "text": b'"pan"',
    "true": b"true",
    "null": b"null",
    "list": b"[]",
    "list of objects": b"[{}]",
    "deep list": b"[" * DEEP + b"]" * DEEP,
    "deep object": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep and open": b"[" * 50_000,
    "twice": b'{"x": 1, "x": 2}',
    "twice within": b'{"a": {"x": 1, "x": 2}}',
    "twice by escapes": b'{"x": 1, "\\u0078": 2}',
    "NaN": b'{"x": NaN}',
    "Infinity": b'{"x": -Infinity}',
    "a float without end": b'{"x": 1e400}',
    "a number of 5,000 digits": b'{"x": ' + b"9" * 5000 + b"}",
    "a float of 5,000 digits": b'{"x": 0.' + b"9" * 5000 + b"}",
    "byte-order mark": b'\xef\xbb\xbf{"x": 1}',
    "UTF-16": '{"x": 1}'.encode("utf-16"),
    "UTF-32": '{"x": 1}'.encode("utf-32-le"),
    "invalid UTF-8": b'{"x": "\xff"}',
    "overlong UTF-8": b'{"x": "\xc0\xb4"}',
    "surrogate in UTF-8": b'{"x": "\xed\xa0\x80"}',
    "lone surrogate": b'{"x": "\\ud800"}',
    "lone surrogate as a name": b'{"\\udfff": 1}',
    "NUL": b'{"x": "\\u0000"}',
    "NUL as a name": b'{"\\u0000": 1}',
    "bare control": b'{"x": "\x00"}',
    "two values": b"{} {}",
    "single quotes": b"{'x': 1}",
    "comment": b'{"x": 1} // x',
    "trailing comma": b'{"x": 1,}',
    "10,000 fields": json.dumps({f"a{number}": 0 for number in range(DEEP)}).encode(),
    "10,000 texts": json.dumps({"x": ["a"] * DEEP}).encode(),
    "not JSON": b"x=1",
    "zip": gzip.compress(b'{"x": 1}'),
    "spaces": b" " * 1000,
}
LIMITS = ["*", *(right.rpartition(".")[2] for right in API_RIGHTS), *(right.value for right in Right)]
# Sent as they are, but said to be something else.
HEADERS = {
    "gzip bomb": (gzip.compress(b" " * 50 * MIB), {"Content-Encoding": "gzip"}),
    "form": (b"x=1", {"Content-Type": "application/x-www-form-urlencoded"}),
    "multipart": (b"--b\r\n\r\n--b--", {"Content-Type": "multipart/form-data; boundary=b"}),
    "no type": (b'{"x": 1}', {"Content-Type": ""}),
    "XML": (b"<x/>", {"Content-Type": "application/xml"}),
    "another charset": (b'{"x": "\xe9"}', {"Content-Type": "application/json; charset=latin-1"}),
    "charset that is none": (b'{"x": "\xe9"}', {"Content-Type": "application/json; charset=nonsense"}),
    "in chunks": (b"", {"Transfer-Encoding": "chunked"}),
}
CASES = {name: (body, {}) for name, body in BODIES.items()} | HEADERS


def requests_of(name):
    """The account's client, and the address of the operation with something that is there."""
    account = make_account(ALL_RIGHTS)
    stock = Stock(account, make_user("somebody"))
    method, path, _ = TAKING[name]
    client = client_of(account)
    client.raise_request_exception = False
    return client, method, path.format(token=stock.tokens[0], public_id=stock.orders[0])


def send(client, method, address, body, headers):
    kind = headers.get("Content-Type", "application/json")
    rest = {name: value for name, value in headers.items() if name != "Content-Type"}
    return client.generic(method.upper(), address, body, content_type=kind, headers=rest)


def state():
    return (
        list(Card.objects.order_by("pk").values_list("pk", "status")),
        list(Order.objects.order_by("pk").values_list("pk", "status")),
    )


@pytest.mark.parametrize("name", TAKING)
def test_a_body_that_is_not_one_is_refused(settings, name):
    settings.VAULT = settings.VAULT | {"API_LIMITS": dict.fromkeys(LIMITS, 10_000)}
    client, method, address = requests_of(name)
    before, wrong = state(), []
    for case, (body, headers) in CASES.items():
        answer = send(client, method, address, body, headers)
        if answer.status_code not in (400, 413, 415) or answer["Content-Type"] != "application/problem+json":
            wrong.append(f"{case}: {answer.status_code}")
    assert wrong == []
    assert state() == before


LARGE = {
    "spaces": lambda size: b'{"x": 1' + b" " * size + b"}",
    "one text": lambda size: b'{"x": "' + b"a" * size + b'"}',
    "digits": lambda size: b'{"x": "' + b"4 " * (size // 2) + b'"}',
    "brackets": lambda size: b"[" * size,
    "fields": lambda size: json.dumps({f"a{number}": 0 for number in range(size // 12)}).encode(),
    "elements": lambda size: json.dumps({"x": ["4" * 15] * (size // 19)}).encode(),
    "gzip": lambda size: gzip.compress(b"1" * size * 100),
}


# What takes the most, and what takes the least; of the others it is asked with one kind.
MEASURED = [(name, kind) for name in ("tokenize_batch", "place_order") for kind in LARGE]
MEASURED += [(name, "brackets") for name in TAKING if name not in ("tokenize_batch", "place_order")]


@pytest.mark.parametrize(("name", "kind"), MEASURED)
def test_the_memory_is_flat_however_large_it_is(name, kind):
    client, method, address = requests_of(name)
    body = LARGE[kind](10 * MIB)
    headers = {"Content-Encoding": "gzip"} if kind == "gzip" else {}
    send(client, method, address, b"{", {})
    tracemalloc.start()
    answer = send(client, method, address, body, headers)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.status_code in (400, 413)
    # A batch reads a MiB, anything else 64 KiB; the rest of the ten is not read at all.
    assert peak < 16 * MIB
