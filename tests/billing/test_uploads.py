"""Files that are sent to pages: none is written anywhere, whatever is in it."""

import tempfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.factories import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.either]
PAGES = ["/accounts/login/", "/orders/new/", "/admin/vault/exportrequest/ask/"]


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A folder for temporary files that is not there: whoever wants to write one fails."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))


def of_size(size, digits):
    return SimpleUploadedFile("cards.csv", (digits + "\n").encode() * (size // (len(digits) + 1)), "text/csv")


@pytest.mark.parametrize("page", PAGES)
def test_a_file_that_is_too_large_for_memory_is_refused_and_written_nowhere(client, nowhere, canary, page):
    client.force_login(make_user("ada", is_staff=True, is_superuser=True))
    answer = client.post(page, {"key_file": of_size(3 * 1024**2, canary("file"))})
    assert answer.status_code == 400


@pytest.mark.parametrize("page", PAGES)
def test_a_smaller_one_is_written_nowhere_either(client, nowhere, canary, page):
    client.force_login(make_user("ada", is_staff=True, is_superuser=True))
    answer = client.post(page, {"key_file": of_size(1000 * 1024, canary("file"))})
    assert answer.status_code in (200, 302, 403)
