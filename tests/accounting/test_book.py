"""Books: the last word on an operation counts, and a line that a kill cut off was never said."""

from tests.accounting import book


def test_the_last_word_counts(tmp_path):
    writing = book.Book(tmp_path / "0.jsonl")
    writing.intend(3, kind="read", label=7)
    writing.conclude(3, book.WRONG, what="another card")
    writing.conclude(3, book.DOUBTFUL)
    writing.conclude(3, book.ACKNOWLEDGED, order="ord")
    entry = book.read(tmp_path / "0.jsonl")[3]
    assert (entry.state, entry.get("order"), entry.get("label"), entry.wrongs) == (
        book.ACKNOWLEDGED,
        "ord",
        7,
        ["another card"],
    )
    assert not entry.is_open


def test_what_is_not_answered_is_open(tmp_path):
    writing = book.Book(tmp_path / "0.jsonl")
    writing.intend(0, kind="read")
    writing.intend(1, kind="read")
    writing.conclude(1, book.DOUBTFUL)
    assert [entry.is_open for entry in book.read(tmp_path / "0.jsonl").values()] == [True, True]


def test_a_torn_line_is_cut_off(tmp_path):
    path = tmp_path / "0.jsonl"
    book.Book(path).intend(0, kind="read")
    with path.open("ab") as file:
        file.write(b'{"number": 1, "int')
    assert list(book.read(path)) == [0]
    book.Book(path).intend(2, kind="read")
    assert list(book.read(path)) == [0, 2]
