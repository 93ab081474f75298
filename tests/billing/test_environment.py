"""How settings read variables; what becomes of it in processes is in test_production.py."""

import pytest

from billing.settings import environment
from billing.settings.environment import Environment, Incomplete

HARD = "p@ss:w/o%rd#?&=+ \\'\"$`ü"


@pytest.fixture
def env():
    return Environment()


@pytest.mark.parametrize(
    ("method", "options", "given", "read"),
    [
        ("text", {}, HARD, HARD),
        ("text", {}, "$HOME", "$HOME"),
        ("flag", {"default": False}, "TRUE", True),
        ("flag", {"default": True}, "off", False),
        ("number", {"default": 5}, "7", 7),
        ("number", {"default": 5, "least": 0}, "0", 0),
        ("seconds", {"default": 5.0}, "0.5", 0.5),
        ("words", {}, "a.example, b.example,", ["a.example", "b.example"]),
        ("choice", {"default": "a", "among": {"a", "b"}}, "b", "b"),
        ("choices", {"default": ["a"], "among": {"a", "b"}}, "b,a", ["b", "a"]),
        ("mapping", {}, '{"a": {"b": 1}}', {"a": {"b": 1}}),
        ("mapping", {}, "", {}),
    ],
)
def test_what_is_possible_is_read(monkeypatch, env, method, options, given, read):
    monkeypatch.setenv("VARIABLE", given)
    assert getattr(env, method)("VARIABLE", **options) == read
    env.complete()


@pytest.mark.parametrize(
    ("method", "options", "given"),
    [
        ("flag", {"default": True}, "ture"),
        ("flag", {"default": True}, ""),
        ("flag", {"default": True}, "2"),
        *(("number", {"default": 5}, given) for given in ("0", "-1", "", "five", "1.5", "1_000", "٣", "9" * 5000)),
        ("number", {"default": 5, "most": 65535}, "65536"),
        *(("seconds", {"default": 5.0}, given) for given in ("0", "-1", "", "3s", "nan", "inf")),
        ("choice", {"default": "a", "among": {"a", "b"}}, "A"),
        ("choice", {"default": "a", "among": {"a", "b"}}, ""),
        ("choices", {"default": ["a"], "among": {"a", "b"}}, "a,c"),
        ("choices", {"default": ["a"], "among": {"a", "b"}}, ""),
        *(("mapping", {}, given) for given in ("[]", "null", "{", "[" * 100_000)),
    ],
)
def test_what_is_impossible_is_named_and_the_default_taken(monkeypatch, env, method, options, given):
    monkeypatch.setenv("VARIABLE", given)
    assert getattr(env, method)("VARIABLE", **options) == options.get("default", {})
    with pytest.raises(Incomplete) as refused:
        env.complete()
    assert list(env.problems) == ["VARIABLE"]
    assert len(given) < 3 or given not in str(refused.value)


def test_a_file_comes_before_the_variable(monkeypatch, env, tmp_path):
    (tmp_path / "secret").write_text(f"{HARD}\n", encoding="utf-8")
    monkeypatch.setenv("VARIABLE", "another")
    monkeypatch.setenv("VARIABLE_FILE", str(tmp_path / "secret"))
    assert env.text("VARIABLE") == HARD
    assert env.text("VARIABLE", exact=True) == f"{HARD}\n"


@pytest.mark.parametrize("content", [None, b"\xff"], ids=["no file", "not UTF-8"])
def test_a_file_that_cannot_be_read_is_not_passed_over(monkeypatch, env, tmp_path, content):
    if content:
        (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv("VARIABLE", "another")
    monkeypatch.setenv("VARIABLE_FILE", str(tmp_path / "secret"))
    assert env.needed("VARIABLE", "a variable") == ""
    assert env.problems == {"VARIABLE": environment.UNREADABLE}


def test_a_password_of_its_own_goes_into_the_address(monkeypatch, env):
    monkeypatch.setenv("URL", "mysql://billing@db.example.com:3306/billing?charset=utf8mb4")
    monkeypatch.setenv("PASSWORD", HARD)
    found = env.database("URL", "PASSWORD")
    assert (found["USER"], found["HOST"], found["PASSWORD"]) == ("billing", "db.example.com", HARD)
    monkeypatch.setenv("URL", "smtp+tls://billing@mail.example.com:587")
    assert env.mail("URL", "PASSWORD", missing="mail")["EMAIL_HOST_PASSWORD"] == HARD
    env.complete()


def test_an_address_with_its_password_stays_as_it_was(monkeypatch, env):
    monkeypatch.setenv("URL", "mysql://billing:p%40ss@db.example.com/billing")
    assert env.database("URL", "PASSWORD")["PASSWORD"] == "p@ss"
    monkeypatch.setenv("URL", "smtp+tls://billing:p%40ss@mail.example.com")
    assert env.mail("URL", "PASSWORD", missing="mail")["EMAIL_HOST_PASSWORD"] == "p@ss"
    env.complete()


def test_a_database_in_memory_has_no_password(monkeypatch, env):
    monkeypatch.setenv("URL", "sqlite://:memory:")
    assert env.database("URL", "PASSWORD") | {"NAME": ":memory:", "PASSWORD": ""} == env.database("URL", "PASSWORD")
    env.complete()


@pytest.mark.parametrize(
    "address",
    [
        "postgres://billing@db.example.com/billing",
        "mysql://db.example.com",
        "mysql://db.example.com/",
        "mysql://billing:a/b@db.example.com/billing",
        "db.example.com",
    ],
)
def test_an_address_of_no_database_that_we_know_is_refused(monkeypatch, env, address):
    monkeypatch.setenv("URL", address)
    assert env.database("URL", "PASSWORD") == {}
    assert env.problems == {"URL": environment.NO_DATABASE}


@pytest.mark.parametrize(
    "address",
    [
        "gopher://mail.example.com",
        # Codes for passwords would go over the network in clear, with the password of the user.
        "smtp://billing:hunter2@mail.example.com:25",
        # Into the log, into a file, nowhere: so would alarms.
        "consolemail://",
        "filemail:///tmp/mail",
        "memorymail://",
        "dummymail://",
        "smtp+tls://",
    ],
)
def test_mail_goes_to_a_server_with_tls_or_not_at_all(monkeypatch, env, address):
    monkeypatch.setenv("URL", address)
    assert env.mail("URL", "PASSWORD", missing="mail") == {}
    assert env.problems == {"URL": environment.NO_MAIL_SERVER}


@pytest.mark.parametrize("address", ["smtp+ssl://billing@mail.example.com:465", "smtp://127.0.0.1:25"])
def test_mail_goes_with_tls_from_the_start_or_to_a_relay_of_this_machine(monkeypatch, env, address):
    monkeypatch.setenv("URL", address)
    assert env.mail("URL", "PASSWORD", missing="mail")["EMAIL_HOST"]
    env.complete()


def test_what_is_missing_stands_before_what_is_impossible(env):
    env.refuse("A", environment.NOT_A_FLAG)
    env.needed("BILLING_NOWHERE", "an example")
    with pytest.raises(Incomplete) as refused:
        env.complete()
    said = ["BILLING_NOWHERE: missing; an example", f"A: {environment.NOT_A_FLAG}"]
    assert str(refused.value).splitlines() == [environment.HEADING, *said, environment.ENDING]
