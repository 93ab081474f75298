"""The leak scanner: every test is searched for the card numbers that went into it.

A test takes fresh numbers from the `canary` fixture; when it ends, whatever it wrote anywhere is searched for them in
any spelling. `canaries` draws the numbers, `needles` knows their spellings, `readings` undoes encodings, `sinks`
listens while the test runs, `remains` reads what it left behind, and `scanner` compares and reports.
"""

from tests.leaks.scanner import LeakFound, Scanner, Sink

__all__ = ["LeakFound", "Scanner", "Sink"]
