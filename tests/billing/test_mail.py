import io

from django.core.mail import EmailMessage

from billing.mail import TerminalBackend


def test_the_terminal_shows_what_a_reader_would_see():
    stream = io.StringIO()
    message = EmailMessage("Your code for Billing", "ABCD-EFGH", "billing@localhost", ["ann@example.com"])
    assert TerminalBackend(stream=stream).send_messages([message]) == 1
    shown = stream.getvalue()
    assert "Mail to ann@example.com: Your code for Billing\n\nABCD-EFGH\n" in shown
    assert "Content-Type" not in shown


def test_it_keeps_out_of_the_stream_of_the_audit_log(capsys):
    TerminalBackend().send_messages([EmailMessage("Subject", "Body", None, ["ann@example.com"])])
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Body" in printed.err
