"""The same request to several processes at once, and to another one after the first has died (trials A8, A10)."""

import json
import signal
import time
from functools import partial

import httpx
import pytest
from django.utils import timezone

from tests.leaks import Sink
from tests.processes import installation
from tests.servers import all_at_once, make_account, rows_of, serving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.killed]
__all__ = ["installation"]

ORDERS, TOKENS = "/api/v1/orders/", "/api/v1/tokens/"
CONTENT = {"name": "Milk jug", "amount": "24.90", "currency": "EUR"}
RIGHTS = ("orders.add_order", "vault.tokenize_pan")
LIMIT = 10
MANY = {"VAULT_API_LIMITS": json.dumps({"add_order": 1000, "tokenize_pan": LIMIT})}
ONE = {"orders": 1, "cards": 1, "records": 1}


def spread(servers, count, path, body, **options):
    """What `count` equal requests were answered, sent at once and dealt out to the servers."""
    return all_at_once([partial(servers[number % len(servers)].post, path, body, **options) for number in range(count)])


def search_logs(leaks, servers):
    for server in servers:
        leaks.record(Sink.SUBPROCESS, server.log.read_bytes(), "log of a server")


@pytest.mark.parametrize("installation", [MANY], indirect=True)
def test_sixteen_at_once_over_four_processes(installation, canary, leaks):
    """With one key they are one order; without a key sixteen; and a limit is one limit for all processes."""
    keyed, keyless = CONTENT | {"pan": canary("with key")}, CONTENT | {"pan": canary("without key")}
    tokens = [make_account(installation, f"shop{number}", *RIGHTS) for number in range(2)]
    with serving(installation, 4) as servers:
        one = {"token": tokens[0], "Idempotency-Key": "one-order"}
        answers = spread(servers, 16, ORDERS, keyed, **one)
        later = spread(servers, 16, ORDERS, keyed, **one)
        made_with_key = rows_of(installation)
        without = spread(servers, 16, ORDERS, keyless, token=tokens[0])
        made_without = rows_of(installation)
        limited = within_a_minute(lambda token: spread(servers, 40, TOKENS, {"pan": keyed["pan"]}, token=token), tokens)
        search_logs(leaks, servers)

    assert_one_order(answers, later)
    assert made_with_key == ONE
    assert {answer.status_code for answer in without} == {201}
    assert len({answer.json()["id"] for answer in without}) == 16
    assert made_without == {"orders": 17, "cards": 2, "records": 2}
    assert sorted(answer.status_code for answer in limited) == [200] * LIMIT + [429] * (40 - LIMIT)
    assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in limited if answer.status_code == 429)


def assert_one_order(answers, later):
    placed = [answer for answer in answers if answer.status_code == 201]
    others = [answer for answer in answers if answer.status_code != 201]
    assert len([answer for answer in placed if "Idempotency-Replayed" not in answer.headers]) == 1
    assert {(answer.status_code, answer.json()["code"]) for answer in others} <= {(409, "idempotency_in_progress")}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in others)
    assert {answer.status_code for answer in later} == {201}
    assert {answer.headers["Idempotency-Replayed"] for answer in later} == {"true"}
    assert len({answer.content for answer in placed + later}) == 1
    assert len({answer.headers["Location"] for answer in placed + later}) == 1


def within_a_minute(work, tokens):
    """What `work` gives, done within one minute of the clock: if that turns, it is done for the next account again."""
    for token in tokens:
        minute = timezone.now().minute
        done = work(token)
        if timezone.now().minute == minute:
            return done
    pytest.fail("It takes longer than a minute.")


# A server of the real application that kills itself at one moment of an order. Claims are short: nobody waits here.
DYING = """
import os, signal, sys
from datetime import timedelta
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from django.db.models.signals import post_save, pre_save
from orders.models import Order
from vault.api import idempotency
from vault.models import IdempotentRequest

port, moment = int(sys.argv[1]), sys.argv[2]
idempotency.CLAIM = timedelta(seconds=2)

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after_commit(*args, **kwargs):
    transaction.on_commit(die)

application = get_wsgi_application()

def answer_and_die(environ, start_response):
    application(environ, start_response)
    die()

if moment == "claimed":
    post_save.connect(die_after_commit, sender=IdempotentRequest)
elif moment == "card kept":
    pre_save.connect(die, sender=Order)
elif moment == "order placed":
    post_save.connect(die_after_commit, sender=Order)

server = ThreadedWSGIServer(("127.0.0.1", port), WSGIRequestHandler)
server.set_app(answer_and_die if moment == "answer kept" else application)
server.serve_forever()
"""
AT_DEATH = {
    "claimed": {"orders": 0, "cards": 0, "records": 0},
    "card kept": {"orders": 0, "cards": 1, "records": 1},
    "order placed": ONE,
    "answer kept": ONE,
}


def test_a_server_dies_in_the_middle_of_an_order_and_another_one_finishes_it(installation, canary, leaks):
    token = make_account(installation, "shop", *RIGHTS)
    made = dict.fromkeys(("orders", "cards", "records"), 0)
    with serving(installation, 1, script=DYING, arguments=("never",)) as [other]:
        for moment, at_death in AT_DEATH.items():
            body = CONTENT | {"pan": canary(moment)}
            request = {"token": token, "Idempotency-Key": moment.replace(" ", "-")}
            with serving(installation, 1, script=DYING, arguments=(moment,)) as [dying]:
                with pytest.raises(httpx.TransportError):
                    dying.post(ORDERS, body, **request)
                assert dying.process.wait(10) == -signal.SIGKILL
            assert rows_of(installation) == {name: made[name] + at_death[name] for name in made}

            answers = until_placed(other, body, request)
            made = {name: count + 1 for name, count in made.items()}
            assert rows_of(installation) == made
            assert other.post(ORDERS, body, **request).content == answers[-1].content
            search_logs(leaks, [dying, other])


def until_placed(server, body, request):
    """The answers to a request that is sent again as it is told to."""
    answers = [server.post(ORDERS, body, **request)]
    while answers[-1].status_code == 409:
        assert len(answers) < 10
        time.sleep(int(answers[-1].headers["Retry-After"]))
        answers.append(server.post(ORDERS, body, **request))
    assert answers[-1].status_code == 201
    return answers
