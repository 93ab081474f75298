"""A stand-in for DynamoDB and KMS in a process of its own: every call takes as long as it is told, and is counted.

    python -m benchmarks.standin --latency 5

The latency is waited for without a thread: many calls wait side by side. Items lie in memory, and the keys of KMS are
made up at the start. It knows the calls that keep, find and open cards, with the one condition that is asked there,
that no item lies under a key. Every other is refused. Nothing here is fit for anything but benchmarks.

`GET /counts` says how often each operation was called since the last `POST /forget`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import marshal
import secrets
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_ROOT: Final = Path(__file__).parents[1]
_START_SECONDS: Final = 20
# Both say that no item lies under the key: every item has the attribute.
_CONDITIONS: Final = (None, "attribute_not_exists(#key)", "attribute_not_exists(schema_version)")


class Refused(Exception):
    """An error as AWS would answer it: its code, and more members of the answer."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.code, self.more = code, more


class KMS:
    """Data keys under one made-up key per name, with the encryption context as associated data."""

    def __init__(self) -> None:
        self._keys: dict[str, AESGCM] = {}

    def generate_data_key(self, asked: dict[str, Any]) -> dict[str, Any]:
        sizes = {"AES_256": 32, "AES_128": 16}
        plain = secrets.token_bytes(asked.get("NumberOfBytes") or sizes[asked["KeySpec"]])
        nonce = secrets.token_bytes(12)
        name = asked["KeyId"].encode()
        sealed = nonce + self._key(asked).encrypt(nonce, plain, _context(asked))
        blob = bytes([len(name)]) + name + sealed
        return {"KeyId": asked["KeyId"], "Plaintext": _text(plain), "CiphertextBlob": _text(blob)}

    def generate_data_key_without_plaintext(self, asked: dict[str, Any]) -> dict[str, Any]:
        answer = self.generate_data_key(asked)
        del answer["Plaintext"]
        return answer

    def decrypt(self, asked: dict[str, Any]) -> dict[str, Any]:
        blob = base64.b64decode(asked["CiphertextBlob"])
        name, sealed = blob[1 : 1 + blob[0]].decode(), blob[1 + blob[0] :]
        if asked.get("KeyId", name) != name:
            raise Refused("IncorrectKeyException")
        plain = self._key({"KeyId": name}).decrypt(sealed[:12], sealed[12:], _context(asked))
        return {"KeyId": name, "Plaintext": _text(plain)}

    def _key(self, asked: dict[str, Any]) -> AESGCM:
        return self._keys.setdefault(asked["KeyId"], AESGCM(AESGCM.generate_key(256)))


def _context(asked: dict[str, Any]) -> bytes:
    return json.dumps(asked.get("EncryptionContext", {}), sort_keys=True).encode()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


class DynamoDB:
    """Tables with one partition key, a text by the name of `token`.

    Items lie there packed: as dicts those of a million cards would take 5 GB.
    """

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, bytes]] = {}

    def describe_table(self, asked: dict[str, Any]) -> dict[str, Any]:
        schema = {"KeySchema": [{"AttributeName": "token", "KeyType": "HASH"}]}
        return {"Table": schema | {"TableName": asked["TableName"], "TableStatus": "ACTIVE"}}

    def get_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        item = self._table(asked).get(asked["Key"]["token"]["S"])
        return {"Item": _unpacked(item)} if item else {}

    def batch_get_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for name, wanted in asked["RequestItems"].items():
            table = self._tables.setdefault(name, {})
            keys = [key["token"]["S"] for key in wanted["Keys"]]
            found[name] = [_unpacked(table[key]) for key in keys if key in table]
        return {"Responses": found, "UnprocessedKeys": {}}

    def put_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        self._put(asked)
        return {}

    def transact_write_items(self, asked: dict[str, Any]) -> dict[str, Any]:
        puts = [action["Put"] for action in asked["TransactItems"]]
        if any(not self._is_free(put) for put in puts):
            reasons = [{"Code": "None" if self._is_free(put) else "ConditionalCheckFailed"} for put in puts]
            raise Refused("TransactionCanceledException", CancellationReasons=reasons)
        for put in puts:
            self._put(put)
        return {}

    def _put(self, asked: dict[str, Any]) -> None:
        if not self._is_free(asked):
            raise Refused("ConditionalCheckFailedException")
        self._table(asked)[asked["Item"]["token"]["S"]] = marshal.dumps(asked["Item"])

    def _is_free(self, asked: dict[str, Any]) -> bool:
        condition = asked.get("ConditionExpression")
        if condition not in _CONDITIONS:
            raise Refused("ValidationException")
        return condition is None or asked["Item"]["token"]["S"] not in self._table(asked)

    def _table(self, asked: dict[str, Any]) -> dict[str, bytes]:
        return self._tables.setdefault(asked["TableName"], {})


def _unpacked(item: bytes) -> dict[str, Any]:
    return dict(marshal.loads(item))  # noqa: S302 - what this process has packed


class Server:
    """Both services on one port, each call answered `latency` seconds after it came."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._services = {"TrentService": KMS(), "DynamoDB_20120810": DynamoDB()}
        self.counts: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept open for as many calls as come."""
        # Who goes in the middle of a call wants no answer.
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                request, *lines = head.decode("latin-1").split("\r\n")
                fields = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                arrived = time.monotonic()
                status, answer = self._answer(request, fields, body)
                if "x-amz-target" in fields:
                    # The work itself is part of what AWS would have taken.
                    await asyncio.sleep(max(0.0, arrived + self._latency - time.monotonic()))
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.0\r\n"
                    f"Content-Length: {len(answer)}\r\n\r\n".encode()
                    + answer
                )
                await writer.drain()
        writer.close()

    def _answer(self, request: str, fields: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if "x-amz-target" not in fields:
            if request.startswith("POST /forget"):
                self.counts.clear()
            return 200, json.dumps(self.counts).encode()
        target, _, operation = fields["x-amz-target"].partition(".")
        self.counts[operation] += 1
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).strip("_")
        run = getattr(self._services.get(target), name, _unknown)
        try:
            return 200, json.dumps(run(json.loads(body))).encode()
        except Refused as refused:
            return 400, json.dumps({"__type": refused.code, "message": "", **refused.more}).encode()


def _unknown(asked: dict[str, Any]) -> dict[str, Any]:
    raise Refused("UnknownOperationException")


class StandIn:
    """A running stand-in, as a benchmark sees it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def forget(self) -> None:
        """Count from nothing."""
        self._ask("POST", "/forget")

    def counts(self) -> Counter[str]:
        """How often each operation was called."""
        return Counter(self._ask("GET", "/counts"))

    def _ask(self, method: str, path: str) -> dict[str, int]:
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310 - of this machine
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - of this machine
            return dict(json.load(answer))


@contextlib.contextmanager
def running(latency: float) -> Iterator[StandIn]:
    """A stand-in in a process of its own; every call takes `latency` seconds."""
    command = [sys.executable, "-m", "benchmarks.standin", "--latency", str(latency * 1000)]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield StandIn(int(process.stdout.readline()))
        finally:
            process.terminate()


async def _serve(latency: float) -> None:
    server = await asyncio.start_server(Server(latency).serve, "127.0.0.1", 0, limit=2**24)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=5, help="milliseconds that a call takes")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args().latency / 1000))
