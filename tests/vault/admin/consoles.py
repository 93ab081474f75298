"""Who looks at the console, and what a page of it says."""

import re

from django.utils import timezone

from tests.factories import make_user
from tests.vault.admin.visitors import signed_in
from vault.audit.ledger import blank
from vault.models import AuditEvent

CONSOLE = "/admin/"


def staff(*rights, name="sam", **options):
    return signed_in(make_user(name, *(f"vault.{right}" for right in rights), is_staff=True, **options))


def counted(page):
    """The counts at the top of a page, and where each leads."""
    found = re.findall(r'<a href="([^"]+)"><strong>([^<]+)</strong> <span>([^<]+)</span>', page)
    return {label: (number, address.replace("&amp;", "&")) for address, number, label in found}


def listed(client, address):
    """How many rows a list in the admin has."""
    answer = client.get(address)
    assert answer.status_code == 200, address
    return len(answer.context["cl"].result_list)


def days(page, key):
    """The table of a chart of days, the newest day first."""
    section = page.partition(f'aria-labelledby="console-{key}"')[2].partition("</section>")[0]
    return [int(number) for number in re.findall(r'</th><td class="console-number">(\d+)</td>', section)]


def categories(page, key):
    section = page.partition(f'aria-labelledby="console-{key}"')[2].partition("</section>")[0]
    found = re.findall(
        r'<th scope="row">(?:<a [^>]+>)?([^<]+).*?<span class="console-number">(\d+)', section, re.DOTALL
    )
    return [(label, int(number)) for label, number in found]


def state_of(page, label):
    row = page.partition(f">{label}</a></th>")[2].partition("</tr>")[0]
    return re.search(r"console-state console-(\w+)", row).group(1)


def happened(number, operation, ago, **values):
    """An event of the past, which the audit log itself would not take."""
    place = {"chain": "past", "number": number, "previous": "", "digest": ""}
    content = blank(operation, **{"outcome": "done", "time": timezone.now() - ago} | values)
    AuditEvent(**content, **place).save(using="audit")
