"""Very many orders and cards, written by MariaDB itself: a million through the models would take half an hour.

Rows are as the product writes them, but that no vault has the cards and no audit log their events.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.db import connection

# A transaction that is not too long for the log of InnoDB.
_AT_ONCE = 50_000
_SETTLE_SECONDS = 60
_FEW_PAGES = 50
#: One order in so many is of somebody else.
FOREIGN = 11


def make_cards(start: int, end: int) -> None:
    """Cards number `start` to `end`, without the last."""
    columns = (
        "token, brand, bin, last4, status, created_at, item_version, item_digest, sealed_at, is_external, used_at, "
        "retention, hold"
    )
    moment = "NOW(6) - INTERVAL 1 DAY"
    values = (
        f"{_token('seq')}, 'visa', '', {_last4('seq')}, 'active', {moment}, 1, SHA2(seq, 256), {moment}, 1, {moment}, "
        "'last-use', ''"
    )
    _insert("vault_card", columns, values, start, end)


def make_orders(start: int, end: int, *, customer: User, other: User, cards: int) -> None:
    """Orders number `start` to `end`, without the last, each a second younger than the one before.

    They were paid with the first `cards` cards, one after the other. One in `FOREIGN` is of the other customer.
    """
    columns = (
        "public_id, customer_id, name, description, amount, currency, status, card_brand, card_last4, card, placed_at"
    )
    card = f"(seq % {cards})"
    # Of the digits of a digest those that no public id has become letters.
    public_id = "LEFT(MD5(CONCAT('order ', seq)), 26)"
    for digit, letter in ("0g", "1h", "8i", "9j"):
        public_id = f"REPLACE({public_id}, '{digit}', '{letter}')"
    values = (
        f"CONCAT('ord_', {public_id}), IF(seq % {FOREIGN} = 0, {other.pk:d}, {customer.pk:d}), 'Milk jug', "
        f"'Half a liter', 24.90, 'EUR', IF(seq % 7 = 0, 'cancelled', 'placed'), 'visa', {_last4(card)}, "
        f"{_token(card)}, TIMESTAMP'2020-01-01 00:00:00' + INTERVAL seq SECOND"
    )
    _insert("orders_order", columns, values, start, end)


def give_memory() -> None:
    """Let MariaDB have the memory that a server with a million orders has; 128 MB is for a laptop."""
    with connection.cursor() as cursor:
        cursor.execute("SET GLOBAL innodb_buffer_pool_size = %s", [2 * 1024**3])


def settle() -> None:
    """Let MariaDB write to its files what was written, and know what is in the tables, as it does after a while."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE orders_order, vault_card")
        cursor.fetchall()
        cursor.execute("SELECT @@innodb_max_dirty_pages_pct")
        (usual,) = cursor.fetchone()
        cursor.execute("SET GLOBAL innodb_max_dirty_pages_pct = 0")
        deadline = time.monotonic() + _SETTLE_SECONDS
        while _dirty_pages(cursor) > _FEW_PAGES and time.monotonic() < deadline:
            time.sleep(0.2)
        cursor.execute("SET GLOBAL innodb_max_dirty_pages_pct = %s", [usual])


def _dirty_pages(cursor: Any) -> int:
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
    return int(cursor.fetchone()[1])


def grow(make: Callable[[int, int], None], start: int, end: int) -> None:
    """Call `make` for one part after the other."""
    for begin in range(start, end, _AT_ONCE):
        make(begin, min(begin + _AT_ONCE, end))


def _insert(table: str, columns: str, values: str, start: int, end: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({columns}) SELECT {values} FROM seq_{start:d}_to_{end - 1:d}")


def _token(number: str) -> str:
    digest = f"MD5(CONCAT('card ', {number}))"
    parts = ", '-', ".join(
        [
            f"LEFT({digest}, 8)",
            f"MID({digest}, 9, 4)",
            f"CONCAT('4', MID({digest}, 13, 3))",
            f"CONCAT('8', MID({digest}, 16, 3))",
            f"RIGHT({digest}, 12)",
        ]
    )
    return f"CONCAT('tok1_', {parts})"


def _last4(number: str) -> str:
    return f"LPAD({number} % 10000, 4, '0')"
