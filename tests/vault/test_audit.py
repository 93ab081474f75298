import io
import json
import logging

import pytest

from vault.audit import Process, StdoutHandler, acting_for, audited
from vault.exceptions import AuditUnavailable, TokenNotFound


def events(text):
    return [json.loads(line) for line in text.splitlines()]


def test_intent_is_written_before_and_outcome_after(capsys):
    with audited("open", token="t") as outcome:
        (intent,) = events(capsys.readouterr().out)
        outcome["cards"] = 1
    (done,) = events(capsys.readouterr().out)
    assert (intent["operation"], intent["outcome"], intent["token"]) == ("open", "intent", "t")
    assert (done["outcome"], done["cards"], done["actor"]) == ("done", 1, "process")


@pytest.mark.parametrize(("error", "outcome"), [(TokenNotFound, "TokenNotFound"), (KeyError, "Interrupted")])
def test_a_failure_is_an_outcome(capsys, error, outcome):
    with pytest.raises(error), audited("open"):
        raise error
    assert [event["outcome"] for event in events(capsys.readouterr().out)] == ["intent", outcome]


def test_events_name_who_asked_from_where(capsys):
    with acting_for(Process(actor="7", source="10.0.0.1", request_id="r")), audited("open"):
        pass
    for event in events(capsys.readouterr().out):
        assert (event["actor"], event["source"], event["request_id"]) == ("7", "10.0.0.1", "r")


def test_an_operation_that_cannot_be_recorded_does_not_run(monkeypatch):
    ran = []
    monkeypatch.setattr("sys.stdout", io.StringIO())
    __import__("sys").stdout.close()
    with pytest.raises(AuditUnavailable), audited("open"):
        ran.append(1)
    assert not ran


def test_a_silenced_logger_is_a_failure():
    logging.disable(logging.CRITICAL)
    try:
        with pytest.raises(AuditUnavailable), audited("open"):
            pass
    finally:
        logging.disable(logging.NOTSET)


def test_a_full_disk_is_a_failure(monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("sys.stdout", Full())
    record = logging.LogRecord("vault.audit", logging.INFO, "", 0, "x", None, None)
    with pytest.raises(AuditUnavailable):
        StdoutHandler().emit(record)
