"""What the configuration of gunicorn sets for its workers; tests/faults/test_serving.py has the workers."""

import os
from types import SimpleNamespace

import pytest

from billing import gunicorn_conf


@pytest.fixture
def environment(monkeypatch):
    # Taken back afterwards, whatever is set there.
    monkeypatch.setattr(os, "environ", environment := {})
    return environment


def fork(threads):
    gunicorn_conf.post_fork(None, SimpleNamespace(cfg=SimpleNamespace(threads=threads)))


@pytest.mark.parametrize(("threads", "calls"), [(8, "7"), (4, "3"), (2, "1"), (1, "1")])
def test_calls_of_aws_leave_one_thread(environment, threads, calls):
    fork(threads)
    assert environment["VAULT_CALLS_AT_ONCE"] == calls


def test_what_the_operator_named_stays(environment):
    environment["VAULT_CALLS_AT_ONCE"] = "0"
    fork(4)
    assert environment["VAULT_CALLS_AT_ONCE"] == "0"
