import stat

import pytest

from vault import journals
from vault.exceptions import ExportFileInUse, ExportFileUnwritable, ForeignExportFile

HEADER = {"version": 1}


@pytest.fixture
def path(tmp_path):
    assert journals.create(tmp_path / "out", HEADER)
    return tmp_path / "out"


def entries(path):
    with journals.opened(path) as journal:
        return [entry["token"] for entry in journal.entries()]


def test_a_new_file_is_its_owners_alone_and_has_its_header(path, tmp_path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == '{"version":1}\n'
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_what_is_there_is_not_replaced(path):
    path.write_text("precious")
    assert not journals.create(path, HEADER)
    assert path.read_text() == "precious"


def test_a_draft_of_a_killed_process_with_the_same_number_is_in_nobodys_way(tmp_path, monkeypatch):
    def killed(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("os.link", killed)
        patch.setattr("pathlib.Path.unlink", killed)
        with pytest.raises(SystemExit):
            journals.create(tmp_path / "out", HEADER)
    # In a container that begins anew, every process has its old number again.
    assert journals.create(tmp_path / "out", HEADER)
    assert (tmp_path / "out").read_text() == '{"version":1}\n'


def test_half_a_line_is_dropped_and_the_rest_goes_on(path):
    with path.open("a") as file:
        file.write('{"token":"a"}\n{"token":"b"}\n{"tok')
    with journals.opened(path) as journal:
        assert [entry["token"] for entry in journal.entries()] == ["a", "b"]
        journal.append([{"token": "c"}])
    assert entries(path) == ["a", "b", "c"]


FOREIGN = {
    "empty": "",
    "half a header": '{"version"',
    "text": "precious\n",
    "list": "[]\n",
    "line without token": '{"version":1}\n{}\n',
    "twice the same": '{"version":1}\n{"token":"a"}\n{"token":"a"}\n',
    "disorder": '{"version":1}\n{"token":"b"}\n{"token":"a"}\n',
    "endless line": '{"version":1}\n' + "x" * 100_001,
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_other_files_are_left_alone(path, content):
    path.write_text(content)
    with pytest.raises(ForeignExportFile):
        entries(path)
    assert path.read_text() == content


def test_a_file_has_one_writer(path):
    with journals.opened(path), pytest.raises(ExportFileInUse):
        entries(path)


def test_a_link_is_not_followed(path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    assert not journals.create(tmp_path / "link", HEADER)
    with pytest.raises(ExportFileUnwritable):
        entries(tmp_path / "link")


def test_no_folder_no_file(tmp_path):
    with pytest.raises(ExportFileUnwritable):
        journals.create(tmp_path / "none" / "out", HEADER)
    with pytest.raises(ExportFileUnwritable):
        entries(tmp_path / "none")


def test_a_full_disk_says_so(path):
    with journals.opened(path) as journal:
        list(journal.entries())
        journal._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115, PTH123
        with journal._file, pytest.raises(ExportFileUnwritable):
            journal.append([{"token": "a"}])
