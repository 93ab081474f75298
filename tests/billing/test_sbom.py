"""The bill of materials is CycloneDX by the official schema, and has what the lock has."""

import json
import re
import shutil
from io import StringIO

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from django.conf import settings
from django.core.management import CommandError, call_command

from billing.sbom import OTHER_FILE, OTHER_VERSION, bill_of_materials

NAMES = ("pyproject.toml", "requirements.txt", "static/vendor")


@pytest.fixture(scope="module")
def document():
    out = StringIO()
    call_command("sbom", stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def root(tmp_path):
    """A copy of what the bill is made from."""
    shutil.copytree(settings.BASE_DIR / "static/vendor", tmp_path / "static/vendor")
    for name in NAMES[:2]:
        shutil.copy(settings.BASE_DIR / name, tmp_path)
    return tmp_path


def test_it_is_valid_by_the_official_schema(document):
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None


def test_it_has_every_package_of_the_lock_with_its_hashes(document):
    lock = (settings.BASE_DIR / "requirements.txt").read_text()
    locked = re.findall(r"^([a-z0-9._-]+)(?:\[.*\])?==(\S+)", lock, re.MULTILINE | re.IGNORECASE)
    listed = {(each["name"], each["version"]): each for each in document["components"]}
    assert len(locked) > 30
    assert {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in locked} <= set(listed)
    hashes = {each["content"] for component in document["components"] for each in component["hashes"]}
    assert set(re.findall(r"sha256:([0-9a-f]{64})", lock)) <= hashes


def test_it_has_the_vendored_files_with_the_hashes_of_their_manifest(document):
    manifest = json.loads((settings.BASE_DIR / "static/vendor/manifest.json").read_text())
    vendored = {each["purl"]: each for each in document["components"] if each["purl"].startswith("pkg:npm/")}
    assert len(vendored) == len(manifest)
    assert vendored["pkg:npm/%40picocss/pico@2.1.1"]["licenses"] == [{"license": {"id": "MIT"}}]


def test_every_component_has_a_license_and_is_needed_by_something(document):
    assert [each["name"] for each in document["components"] if not each.get("licenses")] == []
    refs = {each["bom-ref"] for each in document["components"]}
    assert refs == {ref for each in document["dependencies"] for ref in each["dependsOn"]}
    django = next(each for each in document["dependencies"] if each["ref"].startswith("pkg:pypi/django@"))
    assert {ref.split("@")[0] for ref in django["dependsOn"]} == {"pkg:pypi/asgiref", "pkg:pypi/sqlparse"}


def test_another_version_than_the_locked_one_is_said(root):
    lock = root / "requirements.txt"
    lock.write_text(re.sub(r"^django==\S+", "django==1.0", lock.read_text(), flags=re.MULTILINE))
    assert bill_of_materials(root).findings == (OTHER_VERSION,)


def test_a_changed_vendored_file_is_said(root):
    with (root / "static/vendor/pico.css").open("a") as file:
        file.write("body{display:none}")
    assert bill_of_materials(root).findings == (OTHER_FILE,)


def test_the_command_ends_with_2_then(root, settings):
    settings.BASE_DIR = root
    (root / "static/vendor/pico.css").write_text("")
    out = StringIO()
    with pytest.raises(CommandError, match=OTHER_FILE) as ended:
        call_command("sbom", stdout=out)
    assert ended.value.returncode == 2
    assert json.loads(out.getvalue())["bomFormat"] == "CycloneDX"
