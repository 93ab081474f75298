"""The queue of exports in a real browser: every column is whole beside the filter."""

import pytest

from tests.vault.exporting import ada, ask, bob, cleo, configured, digits, kept

__all__ = ["ada", "bob", "cleo", "configured", "digits", "kept"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


def test_every_column_of_the_queue_is_whole(kept, ada, bob, visit):
    page = visit(bob)
    asked = ask(ada)
    type(asked).objects.update(recipient="Payment Services International", ticket="OPS-2026-00417", state="running")
    page.goto("/admin/vault/exportrequest/")
    headings = [text.lower() for text in page.locator("#result_list thead .text").all_inner_texts()]
    assert headings == ["number", "recipient", "state", "purpose", "ticket", "requested"]
    right, edge = page.evaluate(
        """() => [document.querySelector('#result_list').getBoundingClientRect().right,
        document.querySelector('#changelist-filter').getBoundingClientRect().left]"""
    )
    assert right <= edge
