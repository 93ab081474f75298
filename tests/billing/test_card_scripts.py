"""The inventory of scripts on pages that have a card number, and what is found when something is not as in it."""

import json
import shutil
from http.cookiejar import Cookie, MozillaCookieJar
from io import StringIO

import pytest
from django.conf import settings as django_settings
from django.contrib.staticfiles import finders
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from billing.cardscripts import elements, inventory, live
from billing.cardscripts.inventory import CHANGED, MISSING, read
from tests.factories import make_order, make_saved_card, make_user, next_year
from tests.vault.admin.identity import FRESH

TEMPLATES = django_settings.BASE_DIR / "templates"


def checked(*arguments):
    """The code that the command ends with, and where it found what."""
    out = StringIO()
    try:
        call_command("card_scripts", *arguments, "--format=json", stdout=out)
    except CommandError as error:
        return error.returncode, json.loads(out.getvalue() or "[]") or str(error)
    return 0, json.loads(out.getvalue())


def problems(*arguments):
    code, found = checked(*arguments)
    assert code == 1, found
    return {(each["what"], each["problem"]) for each in found}


# --- Files ----------------------------------------------------------------------------------------------------------


def test_the_inventory_is_that_of_the_files():
    assert checked() == (0, [])


def test_every_script_and_page_of_it_says_what_it_is_for():
    found = read()
    assert all(each.purpose for each in found.scripts)
    assert all(found.pages.values())
    named = {page for each in found.scripts for page in (*each.pages, *each.sometimes)}
    assert named == set(found.pages)


@pytest.fixture
def own_static(settings, tmp_path):
    """A folder whose files are served instead of those of the same name."""
    folder = tmp_path / "own"
    folder.mkdir()
    settings.STATICFILES_DIRS = [folder, *django_settings.STATICFILES_DIRS]
    finders.get_finder.cache_clear()
    yield folder
    finders.get_finder.cache_clear()


def write(folder, path, text):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)


def test_a_changed_file_is_named(own_static):
    write(own_static, "vault/once.js", "fetch('/elsewhere')")
    assert problems() == {("vault/once.js", CHANGED)}


def test_a_file_that_is_gone_is_named(monkeypatch, tmp_path):
    written = json.loads(inventory.FILE.read_text())
    written["scripts"][0]["path"] = "vault/gone.js"
    (tmp_path / "inventory.json").write_text(json.dumps(written))
    found = list(inventory.drift_of_files(read(tmp_path / "inventory.json")))
    assert [(each.what, each.problem) for each in found] == [("vault/gone.js", MISSING)]


def test_a_renewed_inventory_keeps_what_people_wrote(own_static, tmp_path):
    write(own_static, "vault/once.js", "// A new version.")
    copy = tmp_path / "inventory.json"
    shutil.copy(inventory.FILE, copy)
    assert inventory.renew(copy) == ["vault/once.js"]
    assert list(inventory.drift_of_files(read(copy))) == []
    assert [each.purpose for each in read(copy).scripts] == [each.purpose for each in read().scripts]


# --- Elements -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "kind", "what"),
    [
        ("<script>go()</script>", "inline", "script"),
        ("<SCRIPT type='text/javascript'>go()</SCRIPT>", "inline", "script"),
        ("<script type=module>go()</script>", "inline", "script"),
        ("<svg><script>go()</script></svg>", "inline", "script"),
        ("<p onclick='go()'>", "handlers", "p onclick"),
        ("<img src=x ONERROR=go()>", "handlers", "img onerror"),
        ("<a href=' java\nscript:go()'>", "handlers", "a href"),
        ("<form action='javascript:go()'>", "handlers", "form action"),
        ("<iframe srcdoc='<script>'>", "handlers", "iframe srcdoc"),
        ("<iframe src=/x>", "foreign", "iframe"),
        ("<base href=https://evil.example>", "foreign", "base"),
        ("<object data=x>", "foreign", "object"),
        ("<link rel='modulepreload' href=/x.js>", "foreign", "link"),
    ],
)
def test_what_could_run_is_seen(html, kind, what):
    assert what in getattr(elements.runnable(f"<!DOCTYPE html><main>{html}</main>"), kind)


def test_what_cannot_run_is_not_reported():
    found = elements.runnable(
        '<script type="application/json">{}</script><a href="/on">on</a><link rel=stylesheet href=x>'
    )
    assert found == elements.Runnable()


@pytest.mark.parametrize(
    "html",
    [
        "<!-->{}-->",
        "<!--->{}-->",
        "<!-- --!>{}-->",
        "<![CDATA[>{}]]>",
        "<![CDATA[><!-->{}--> ]]>",
        '<script type="application/json">{{}}</script x>{}',
        '<title><p lang="</title>{}"></title>',
        "<textarea><!--</textarea>{}-->",
    ],
)
def test_a_script_that_a_browser_runs_is_not_hidden_by_what_stands_around_it(html):
    found = elements.runnable(html.format("<script src=/x.js></script>"))
    assert found.scripts or found.inline == ["hidden script"]


def test_a_handler_in_what_a_browser_takes_for_no_comment_is_seen():
    assert elements.runnable("<!--><img src=x onerror=go()>-->").handlers == ["img onerror"]


def test_the_first_of_two_addresses_counts_as_in_a_browser():
    found = elements.runnable('<script src="/static/a.js" src="/static/vault/once.js"></script>')
    assert [each.address for each in found.scripts] == ["/static/a.js"]


# --- Live pages -----------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(live_server, settings, tmp_path, canary):
    """`shop("orders:new")` is what the command is given for that page, by somebody who may see it."""
    settings.VAULT = settings.VAULT | {"CONFIRM_IDENTITY": FRESH}
    user = make_user("carla", "vault.search_pan", "vault.view_card", is_staff=True)
    order = make_order(user, make_saved_card(user, canary("saved card"), expires=next_year()).card)
    client = Client()
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
    cookies = tmp_path / "cookies.txt"
    save(cookies, client.cookies[settings.SESSION_COOKIE_NAME])
    arguments = {"orders:pay_again": [order.public_id]}

    def given(name):
        return f"{live_server.url}{reverse(name, args=arguments.get(name))}", f"--cookies={cookies}"

    return given


def save(path, morsel):
    """A file of cookies as curl writes it."""
    jar = MozillaCookieJar(path)
    jar.set_cookie(
        Cookie(
            0,
            morsel.key,
            morsel.value,
            None,
            False,
            "localhost.local",
            True,
            False,
            "/",
            True,
            False,
            None,
            True,
            None,
            None,
            {},
        )
    )
    jar.save(ignore_discard=True, ignore_expires=True)


@pytest.fixture
def own_templates(settings, tmp_path):
    """`own_templates(name, extra)` puts something at the end of a page's scripts."""
    folder = tmp_path / "templates"

    def change(extra):
        text = (TEMPLATES / "orders/new.html").read_text()
        write(folder, "orders/new.html", text.replace("{{ form.media }}", "{{ form.media }}" + extra))

    (engine,) = settings.TEMPLATES
    settings.TEMPLATES = [engine | {"DIRS": [folder, *engine["DIRS"]]}]
    return change


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["orders:new", "orders:pay_again", "admin:vault_card_search"])
def test_a_page_as_it_is_committed_passes(shop, name):
    assert checked(*shop(name)) == (0, [])


@pytest.mark.django_db(transaction=True)
def test_a_script_that_was_changed_on_the_server_is_found(shop, own_static):
    write(own_static, "vault/card-typing.js", "addEventListener('input', send)")
    # Twice: the file of the installation, and what the page loads. The server made the integrity anew as well.
    assert problems(*shop("orders:new")) == {
        ("vault/card-typing.js", CHANGED),
        ("vault/card-typing.js", live.UNSEALED),
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("extra", "found"),
    [
        ("{% script 'js/print.js' %}", ("js/print.js", live.UNKNOWN)),
        ("<script src='https://evil.example/x.js'></script>", ("https://evil.example/x.js", live.FOREIGN_HOST)),
        ("<script src='/new/'></script>", ("/new/", live.UNKNOWN)),
        ("<script src='{% static 'vault/once.js' %}'></script>", ("vault/once.js", live.UNSEALED)),
        ("<script>go()</script>", ("script", live.INLINE)),
        ("<p onclick='go()'>Card</p>", ("p onclick", live.HANDLER)),
        ("<iframe src='/'></iframe>", ("iframe", live.FOREIGN)),
    ],
    ids=["of ours", "of another host", "no static file", "without integrity", "inline", "handler", "frame"],
)
def test_a_script_that_was_added_is_found(shop, own_templates, extra, found):
    own_templates("{% load static %}" + extra)
    assert problems(*shop("orders:new")) == {found}


@pytest.mark.django_db(transaction=True)
def test_a_script_that_was_taken_away_is_found(shop, settings, tmp_path, own_templates):
    own_templates("")
    page = tmp_path / "templates/orders/new.html"
    page.write_text(page.read_text().replace("{% script 'vault/once.js' %}", ""))
    assert problems(*shop("orders:new")) == {("vault/once.js", live.ABSENT)}


@pytest.mark.django_db(transaction=True)
def test_a_policy_that_was_loosened_is_found(shop, settings):
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": directives | {"script-src": ["'self'", "'unsafe-inline'"]}}
    assert problems(*shop("orders:new")) == {("Content-Security-Policy", live.HEADER)}


def test_what_a_page_says_of_itself_is_made_harmless(canary):
    digits = canary("address")
    shown = live._shown(f"https://evil.example/{digits}\x1b[2J" + "x" * 300)
    assert digits not in shown
    assert shown.isprintable()
    assert len(shown) <= 200


# --- What cannot be looked at ---------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_page_behind_a_sign_in_is_not_taken_for_one_that_passes(shop):
    url, _ = shop("orders:new")
    assert checked(url) == (2, live.LEADS_ELSEWHERE)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/accounts/login/",
        "ftp://127.0.0.1/new/",
        "http:///new/",
        "new",
        "http://[/new/",
        "http://a/nowhere",
    ],
)
def test_an_address_of_no_card_page_is_refused(url):
    assert checked(url) == (2, live.NO_ADDRESS)


def test_a_server_that_does_not_answer_is_said():
    assert checked(f"http://127.0.0.1:9{reverse('orders:new')}") == (2, live.NO_ANSWER)


def test_a_file_that_holds_no_cookies_is_not_quoted(tmp_path):
    (tmp_path / "cookies").write_text("sessionid=secret")
    assert checked("http://127.0.0.1:9/new/", f"--cookies={tmp_path / 'cookies'}") == (2, live.NO_COOKIES)
