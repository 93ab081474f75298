"""The calls of AWS that keeping one new card takes, made by boto3 alone: what an order over HTTP is measured beside.

    python -m benchmarks.bare

For each line on standard input it makes them once and prints how many seconds they took. They are what the product
sent for a card of its own, byte for byte but for the keys, on clients with the same settings and without its handlers.
"""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import boto3
import django

#: The names of botocore's methods by what goes over the wire.
_METHODS = {
    "BatchGetItem": "batch_get_item",
    "GenerateDataKey": "generate_data_key",
    "TransactWriteItems": "transact_write_items",
}


class Peer:
    """A process that makes the bare calls when it is told to."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.bare"]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.seconds()

    def seconds(self) -> float:
        """What the calls took this time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()


def _sent(number: str) -> list[tuple[str, dict[str, Any]]]:
    """What the product asks of AWS to keep a card, in its order."""
    from vault.backend import current_vault
    from vault.pan import PAN

    vault = current_vault()
    calls: list[tuple[str, dict[str, Any]]] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        calls.append((model.name, copy.deepcopy(params)))

    # The first use asks for the fingerprint key besides.
    store = vault.store
    vault.session.botocore.register("provide-client-params", note)
    for client in (vault.session.dynamodb(), *vault.session._kms.values()):  # noqa: SLF001 - made before this listens
        client.meta.events.register("provide-client-params", note)
    store.keep([PAN(number)])
    return calls


def _calls(sent: list[tuple[str, dict[str, Any]]]) -> Callable[[], None]:
    """Make those calls with keys that are new each time."""
    from vault.backend import current_vault

    config = current_vault().session._config  # noqa: SLF001 - time-outs and the pool are to be the same
    url = current_vault().config.ENDPOINT_URL
    region = current_vault().config.REGION
    session = boto3.session.Session(region_name=region)
    services = {name: session.client(name, config=config, endpoint_url=url) for name in ("kms", "dynamodb")}
    methods = [
        (getattr(services["kms" if name == "GenerateDataKey" else "dynamodb"], _METHODS[name]), params)
        for name, params in sent
    ]
    count = 0

    def make() -> None:
        nonlocal count
        count += 1
        for method, params in methods:
            _renew(params, count)
            method(**params)

    return make


def _renew(params: dict[str, Any], count: int) -> None:
    """Other keys of the same length, so that each condition holds again."""
    for action in params.get("TransactItems", []):
        key = action["Put"]["Item"]["token"]
        key["S"] = f"{key['S'][:-12]}{count:012d}"
    for wanted in params.get("RequestItems", {}).values():
        for key in wanted["Keys"]:
            key["token"]["S"] = f"{key['token']['S'][:-12]}{count:012d}"


def main() -> None:
    from tests.cards import CANARY_BIN, with_check_digit
    from vault.stdout import taken

    # Of a BIN block that the requests do not use up.
    with taken():
        make = _calls(_sent(with_check_digit(f"{CANARY_BIN}9999999")))
    for _ in sys.stdin:
        began = time.perf_counter()
        make()
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    django.setup()
    main()
