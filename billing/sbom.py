"""The bill of materials (PCI DSS 6.3.2): CycloneDX 1.6, from the hashed lock and from what is installed.

The document is written here: a library would bring more packages into the application than it lists, for what is a
handful of names. A test holds it against the schema.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from vault.integrity import integrity

OTHER_VERSION: Final = "A package is installed in another version than the lock has."
OTHER_FILE: Final = "A vendored file is not the one in its manifest."

_LOCKED: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==([^\s;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_CLASSIFIER: Final = "License :: OSI Approved :: "
_LONGEST_LICENSE: Final = 60


@dataclass(frozen=True, slots=True)
class Bill:
    """The document, and sentences about what is not as it was locked."""

    document: dict[str, Any]
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Locked:
    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"


def bill_of_materials(root: Path | None = None) -> Bill:
    """Everything that the application is made of, by name and version, with hashes and licenses."""
    root = root or settings.BASE_DIR
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = list(_locked((root / "requirements.txt").read_text(encoding="utf-8")))
    vendored = root / "static" / "vendor"
    manifest = json.loads((vendored / "manifest.json").read_text(encoding="utf-8"))
    product = f"pkg:pypi/{project['name']}@{project['version']}"
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": timezone.now().isoformat(timespec="seconds"),
            "component": {
                "type": "application",
                "bom-ref": product,
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "purl": product,
            },
        },
        "components": [
            *(_package(each) for each in locked),
            *(_vendored(name, entry) for name, entry in sorted(manifest.items())),
        ],
        "dependencies": _dependencies(product, locked, manifest),
    }
    findings = []
    if any((version := _installed_version(each.name)) and version != each.version for each in locked):
        findings.append(OTHER_VERSION)
    if any(integrity((vendored / name).read_bytes()) != entry["integrity"] for name, entry in manifest.items()):
        findings.append(OTHER_FILE)
    return Bill(document, tuple(findings))


def _locked(lock: str) -> Iterator[_Locked]:
    """The packages of a lock, each with the digests of all files that it may be installed from."""
    name = version = ""
    hashes: list[str] = []
    for line in lock.splitlines():
        if match := _LOCKED.match(line):
            if name:
                yield _Locked(name, version, tuple(hashes))
            name, version, hashes = _normal(match[1]), match[2], []
        hashes += _HASH.findall(line)
    if name:
        yield _Locked(name, version, tuple(hashes))


def _normal(name: str) -> str:
    """A name as package URLs have it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _package(each: _Locked) -> dict[str, Any]:
    installed = _installed_version(each.name)
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": each.purl,
        "name": each.name,
        "version": each.version,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in sorted(set(each.hashes))],
        "purl": each.purl,
        "properties": [{"name": "billing:installed", "value": installed or "no"}],
    }
    if licenses := _licenses(each.name):
        component["licenses"] = licenses
    return component


def _installed_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _licenses(name: str) -> list[dict[str, Any]]:
    try:
        about: Any = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return []
    if expression := about.get("License-Expression"):
        return [{"expression": expression}]
    # Some packages have the whole text there.
    text = (about.get("License") or "").strip()
    if text and text != "UNKNOWN" and "\n" not in text and len(text) <= _LONGEST_LICENSE:
        return [{"license": {"name": text}}]
    named = [each.removeprefix(_CLASSIFIER) for each in about.get_all("Classifier") or [] if _CLASSIFIER in each]
    return [{"license": {"name": each}} for each in named]


def _vendored(name: str, entry: dict[str, str]) -> dict[str, Any]:
    algorithm, _, digest = entry["integrity"].partition("-")
    return {
        "type": "library",
        "bom-ref": _npm(entry),
        "name": entry["package"],
        "version": entry["version"],
        "hashes": [
            {
                "alg": f"SHA-{algorithm.removeprefix('sha')}",
                "content": binascii.hexlify(base64.b64decode(digest)).decode(),
            }
        ],
        "licenses": [{"license": {"id": entry["license"]}}],
        "purl": _npm(entry),
        "properties": [{"name": "billing:file", "value": f"static/vendor/{name}"}],
    }


def _npm(entry: dict[str, str]) -> str:
    return f"pkg:npm/{entry['package'].replace('@', '%40')}@{entry['version']}"


def _dependencies(product: str, locked: list[_Locked], manifest: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    """Which needs which, as far as what is installed says so; the application needs all."""
    refs = {each.name: each.purl for each in locked}
    needs = {each.purl: sorted({refs[name] for name in _needed(each.name) if name in refs}) for each in locked}
    needs[product] = sorted({*refs.values(), *(_npm(entry) for entry in manifest.values())})
    return [{"ref": ref, "dependsOn": needs[ref]} for ref in sorted(needs)]


def _needed(name: str) -> Iterator[str]:
    try:
        wanted = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for each in wanted:
        # What an extra alone wants is in the lock if somebody asked for the extra.
        yield _normal(re.split(r"[\s;\[<>=!~(]", each, maxsplit=1)[0])
