"""What others wrote and we serve is what they published: static/vendor/manifest.json says what, from where, and its hash."""

import base64
import hashlib
import json

from django.conf import settings

FOLDER = settings.BASE_DIR / "static" / "vendor"


def test_every_vendored_file_is_in_the_manifest_with_its_hash():
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    files = {path.name for path in FOLDER.iterdir()} - {"manifest.json"}
    assert {name for name in files if not name.endswith("-LICENSE.md")} == set(manifest)
    for name, entry in manifest.items():
        digest = base64.b64encode(hashlib.sha384((FOLDER / name).read_bytes()).digest()).decode()
        assert entry["integrity"] == f"sha384-{digest}"
        assert {"package", "version", "file", "license"} <= set(entry)
        assert f"{name.removesuffix('.css')}-LICENSE.md" in files


def test_vendored_styles_ask_nothing_of_other_hosts():
    for path in FOLDER.glob("*.css"):
        assert "//" not in path.read_text().replace("http://www.w3.org/2000/svg", "").replace("https://picocss.com", "")
