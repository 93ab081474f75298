"""Pages lead to files and headings that are there."""

import re

import pytest

from tests.docs.tables import ROOT

PAGES = sorted(page for folder in ("", "docs", "docs/adr") for page in (ROOT / folder).glob("*.md"))


def anchors(page):
    """The headings of a page, as GitHub and others name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        # Elsewhere, or an address of the product.
        if ":" in target or target.startswith("/"):
            continue
        file = page.parent / target if target else page
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link
