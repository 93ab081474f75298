"""Durability, and many threads and processes on one directory. moto keeps memory only and does not lock."""

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.vault.embedded.sessions import (
    ABSENT,
    TABLE,
    code_of,
    create_table,
    embedded_session,
    item,
    key,
    put,
    scan,
)
from vault.embedded import database

SPAWN = multiprocessing.get_context("spawn")
ROOT = Path(__file__).parents[3]


def acknowledged_before_kill(directory, key_id, *, at_least):
    command = [sys.executable, "-m", "tests.vault.embedded.writer", str(directory), key_id]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writer:
        lines = [writer.stdout.readline() for _ in range(at_least)]
        writer.kill()
        lines += writer.stdout.readlines()
    return [line.decode().rstrip() for line in lines if line.endswith(b"\n")]


def test_acknowledged_writes_survive_sigkill(dynamodb, kms, key_id, directory):
    acknowledged = []
    for _ in range(3):
        acknowledged += acknowledged_before_kill(directory, key_id, at_least=40)
    assert len(acknowledged) >= 120
    for token in acknowledged:
        sealed = dynamodb.get_item(TableName=TABLE, Key=key(token))["Item"]["sealed"]["B"]
        assert kms.decrypt(CiphertextBlob=sealed, KeyId=key_id)["Plaintext"] == token.encode()


def meet(barrier):
    global together  # noqa: PLW0603 - the only way to hand a barrier to the workers of a pool
    together = barrier


def start(directory):
    session = embedded_session(directory)
    dynamodb, kms = session.client("dynamodb"), session.client("kms")
    together.wait()
    created = code_of(create_table, dynamodb=dynamodb)
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    return created, key_id, kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]


def test_processes_start_at_once_on_an_empty_directory(directory, kms):
    with ProcessPoolExecutor(8, SPAWN, meet, (SPAWN.Barrier(8, timeout=60),)) as pool:
        answers = list(pool.map(start, [directory] * 8))
    assert sorted(created for created, _, _ in answers) == ["ResourceInUseException"] * 7 + ["accepted"]
    opened = [kms.decrypt(KeyId=key_id, CiphertextBlob=blob)["Plaintext"] for _, key_id, blob in answers]
    assert opened == [b"x"] * 8
    assert sorted(path.name for path in directory.iterdir() if path.suffix == ".key") == ["master.key"]


def create_databases(parent):
    for number in range(40):
        together.wait()
        with database.Database(parent / f"{number}").write():
            pass


def test_processes_create_one_database(tmp_path):
    with ProcessPoolExecutor(8, SPAWN, meet, (SPAWN.Barrier(8, timeout=60),)) as pool:
        assert list(pool.map(create_databases, [tmp_path] * 8)) == [None] * 8
    assert len(list(tmp_path.iterdir())) == 40


def won(directory):
    dynamodb = embedded_session(directory).client("dynamodb")
    together.wait()
    names = [f"{number}" for number in range(100)]
    return sum(code_of(dynamodb.put_item, TableName=TABLE, Item=item(name), **ABSENT) == "accepted" for name in names)


def test_conditional_puts_of_processes_have_one_winner_each(dynamodb, directory):
    with ProcessPoolExecutor(4, SPAWN, meet, (SPAWN.Barrier(4, timeout=60),)) as pool:
        winners = list(pool.map(won, [directory] * 4))
    assert sum(winners) == 100
    assert len(scan(dynamodb)) == 100


def test_conditional_transactions_of_threads_have_one_winner_each(dynamodb):
    def write(number):
        name = f"{number % 20}"
        return code_of(dynamodb.transact_write_items, TransactItems=[put(name, **ABSENT), put(f"with {name}")])

    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(write, range(160)))
    assert codes.count("accepted") == 20
    assert codes.count("TransactionCanceledException") == 140
    assert len(scan(dynamodb)) == 40


def exit_code_of_child(function):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_fork_after_use(dynamodb):
    dynamodb.put_item(TableName=TABLE, Item=item("before"))
    code = exit_code_of_child(lambda: dynamodb.put_item(TableName=TABLE, Item=item("child")))
    dynamodb.put_item(TableName=TABLE, Item=item("after"))
    assert code == 0
    assert sorted(scan(dynamodb)) == ["after", "before", "child"]


def test_fork_amid_the_writes_of_other_threads(dynamodb, directory):
    def write(names):
        for name in names:
            dynamodb.put_item(TableName=TABLE, Item=item(name))

    threads = [threading.Thread(target=write, args=([f"{n}-{m}" for m in range(60)],)) for n in range(4)]
    for thread in threads:
        thread.start()
    codes = [exit_code_of_child(lambda name=f"child {n}": database_put(directory, name)) for n in range(4)]
    for thread in threads:
        thread.join()
    assert codes == [0] * 4
    assert len(scan(dynamodb)) == 4 * 60 + 4


def database_put(directory, name):
    embedded_session(directory).client("dynamodb").put_item(TableName=TABLE, Item=item(name))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads the open files from /proc")
def test_a_fork_closes_every_connection(dynamodb, directory):
    def opened():
        links = [os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()]
        return [link for link in links if link.startswith(str(directory))]

    scan(dynamodb)
    assert opened() != []
    code = exit_code_of_child(lambda: pytest.fail("inherited") if opened() else None)
    assert code == 0


def test_files_are_the_owners_alone(dynamodb, key_id, directory):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {"aws.sqlite3", "master.key"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_commits_are_synced(directory):
    with database.Database(directory).write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_failed_transaction_is_undone(directory):
    store = database.Database(directory)

    def fail():
        with store.write() as connection:
            connection.execute("INSERT INTO aliases VALUES ('r', 'n', 'k', 0, 0)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with store.read() as connection:
        assert connection.execute("SELECT count(*) FROM aliases").fetchone() == (0,)


def test_files_of_another_version_are_refused(dynamodb, directory):
    connection = sqlite3.connect(directory / database.FILE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    other = embedded_session(directory).client("dynamodb")
    assert code_of(other.list_tables) == "InternalServerError"


def test_token_of_a_transaction_expires(dynamodb, directory):
    request = {"TransactItems": [put("a")], "ClientRequestToken": "t"}
    dynamodb.transact_write_items(**request)
    with database.Database(directory).write() as connection:
        connection.execute("UPDATE requests SET completed = ?", (time.time() - 601,))
    assert code_of(dynamodb.transact_write_items, **request | {"TransactItems": [put("b")]}) == "accepted"


def test_token_of_a_cancelled_transaction_stays_free(dynamodb):
    dynamodb.put_item(TableName=TABLE, Item=item("a"))
    request = {"TransactItems": [put("a", **ABSENT)], "ClientRequestToken": "t"}
    assert code_of(dynamodb.transact_write_items, **request) == "TransactionCanceledException"
    dynamodb.delete_item(TableName=TABLE, Key=key("a"))
    assert code_of(dynamodb.transact_write_items, **request) == "accepted"
    assert scan(dynamodb) == ["a"]


def test_large_batch_leaves_keys_unprocessed(dynamodb):
    keys = [key(f"{number}") for number in range(60)]
    for each in keys:
        dynamodb.put_item(TableName=TABLE, Item=each | {"sealed": {"S": "x" * 300_000}})
    answer = dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})
    left = answer["UnprocessedKeys"][TABLE]
    assert left["ConsistentRead"] is True
    assert [found["token"] for found in answer["Responses"][TABLE]] + [each["token"] for each in left["Keys"]] == [
        each["token"] for each in keys
    ]


def test_transaction_over_four_megabytes_is_refused(dynamodb):
    actions = [put(f"{number}") for number in range(20)]
    for action in actions:
        action["Put"]["Item"]["sealed"] = {"S": "x" * 300_000}
    assert code_of(dynamodb.transact_write_items, TransactItems=actions) == "ValidationException"
    assert scan(dynamodb) == []


def test_large_pages_end_at_a_megabyte(dynamodb):
    for number in range(6):
        dynamodb.put_item(TableName=TABLE, Item=key(f"{number}") | {"sealed": {"S": "x" * 300_000}})
    page = dynamodb.scan(TableName=TABLE)
    assert page["Count"] == 4
    assert len(scan(dynamodb)) == 6


SEGMENTS = [
    ("one of two numbers", {"Segment": 0}),
    ("past the last", {"Segment": 2, "TotalSegments": 2}),
    ("too many", {"Segment": 0, "TotalSegments": 1_000_001}),
]


@pytest.mark.parametrize("segment", [row[1] for row in SEGMENTS], ids=[row[0] for row in SEGMENTS])
def test_segment_that_breaks_a_rule_is_refused(dynamodb, segment):
    assert code_of(dynamodb.scan, TableName=TABLE, **segment) == "ValidationException"


def test_page_does_not_start_outside_its_segment(dynamodb):
    codes = [
        code_of(dynamodb.scan, TableName=TABLE, ExclusiveStartKey=key("a"), Segment=segment, TotalSegments=4)
        for segment in range(4)
    ]
    assert sorted(codes) == ["ValidationException"] * 3 + ["accepted"]


def test_scan_reads_along_its_index(directory):
    with database.Database(directory).read() as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT item FROM items WHERE table_id = 1"
            " AND (position, hash_key, range_key) > (1, x'00', x'00') AND position <= 9"
            " ORDER BY position, hash_key, range_key"
        ).fetchall()
    assert [step[3].split(" (")[0] for step in plan] == ["SEARCH items USING INDEX sqlite_autoindex_items_1"]
