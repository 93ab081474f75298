"""The forms of a page as a browser finds them: whatever a page asks for is found here, without a list of it."""

from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from urllib.parse import urljoin

BUTTONS = frozenset({"submit", "button", "image", "reset"})


@dataclass
class Form:
    """A form of a page: where it is sent, and what a browser sends if nobody types anything."""

    page: str
    action: str
    method: str
    values: dict[str, list[str]] = field(default_factory=dict)
    #: The names and kinds of its fields: `text`, `hidden`, `select`, `textarea`, ...
    kinds: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, ...]:
        """The same for the same form on another page."""
        return (self.method, self.action, *sorted(self.kinds))

    def add(self, name: str, value: str) -> None:
        self.values.setdefault(name, []).append(value)


class _Reader(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self._page = page
        self._by_id: dict[str, Form] = {}
        self._form: Form | None = None
        # The field whose options or text come next.
        self._open = ""

    def handle_starttag(self, tag, attrs):
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = urljoin(self._page, found.get("action") or self._page)
            self._form = Form(self._page, action, found.get("method", "get").lower())
            self._by_id[found.get("id", "")] = self._form
            self.forms.append(self._form)
        elif tag == "option":
            self._option(found)
        elif (form := self._by_id.get(found["form"]) if "form" in found else self._form) is not None:
            self._field(form, tag, found)

    def _option(self, found):
        if self._form is not None and self._open and "selected" in found:
            self._form.add(self._open, found.get("value", ""))

    def _field(self, form, tag, found):
        if "formaction" in found:
            self.forms.append(replace(form, action=urljoin(self._page, found["formaction"])))
        name = found.get("name", "")
        if not name or tag not in ("input", "button", "select", "textarea"):
            return
        kind = found.get("type", "text" if tag == "input" else "submit").lower() if tag in ("input", "button") else tag
        form.kinds[name] = kind
        if tag in ("select", "textarea"):
            self._open = name
        elif kind in ("radio", "checkbox"):
            if "checked" in found:
                form.add(name, found.get("value", "on"))
        elif kind not in BUTTONS and kind != "file":
            form.add(name, found.get("value", ""))

    def handle_data(self, data):
        if self._form is not None and self._form.kinds.get(self._open) == "textarea":
            self._form.add(self._open, data)

    def handle_endtag(self, tag):
        if tag == "form":
            self._form = None
        elif tag in ("select", "textarea"):
            self._open = ""


def forms_of(page: str, html: str) -> list[Form]:
    """Every form in the `html` of the address `page`."""
    reader = _Reader(page)
    reader.feed(html)
    reader.close()
    return reader.forms
