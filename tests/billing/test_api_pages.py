"""Pages about the API; tests/test_api_docs_browser.py looks at them as people do."""

import pytest

from vault import problems


@pytest.mark.parametrize("kind", problems.kinds(), ids=lambda kind: kind.code)
def test_the_type_of_a_problem_leads_to_what_it_means(client, kind):
    page = client.get(kind.type)
    assert page.status_code == 200
    assert kind.code in page.text
    assert f"{kind.status.value} {kind.status.phrase}" in page.text
    assert "`" not in page.text


def test_all_kinds_are_listed_and_lead_to_their_pages(client):
    page = client.get("/api/problems/").text
    assert all(f'href="{kind.type}"' in page for kind in problems.kinds())


@pytest.mark.parametrize("address", ["/api/problems/nonsense", "/api/problems/invalid/", "/api/docs"])
def test_there_is_no_page_of_what_is_not_there(client, address):
    answer = client.get(address)
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("address", ["/api/docs/", "/api/problems/", "/api/problems/invalid", "/api/schema/"])
def test_what_is_said_about_the_api_is_public_and_under_the_policy(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert not answer.cookies


def test_the_description_leads_to_the_errors_and_the_document(client):
    page = client.get("/api/docs/").text
    assert 'href="/api/problems/"' in page
    assert 'href="/api/schema/"' in page
