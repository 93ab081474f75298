"""The OpenAPI document as a page shows it: flat, with every reference followed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from drf_spectacular.generators import SchemaGenerator

_JSON = dict[str, Any]
_METHODS: Final = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Field:
    """Something that is sent or answered; `name` is its path, such as `card.token` or `rows[].status`."""

    name: str
    kind: str
    text: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Example:
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    text: str
    fields: list[Field]
    examples: list[Example]


@dataclass(frozen=True, slots=True)
class Operation:
    key: str
    method: str
    path: str
    title: str
    text: str
    parameters: list[Field]
    fields: list[Field]
    examples: list[Example]
    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Section:
    """The operations of one tag."""

    name: str
    text: str
    operations: list[Operation]


@cache
def reference() -> list[Section]:
    """Every operation of the API, in the order of the document. Made once in a process: it follows from the code."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    operations = [
        (operation["tags"][0], _Reader(document).operation(method, path, operation))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in _METHODS
    ]
    return [
        Section(tag["name"], tag["description"], [each for name, each in operations if name == tag["name"]])
        for tag in document["tags"]
    ]


class _Reader:
    def __init__(self, document: _JSON) -> None:
        self._document = document

    def operation(self, method: str, path: str, operation: _JSON) -> Operation:
        body = operation.get("requestBody", {})
        return Operation(
            key=operation["operationId"],
            method=method.upper(),
            path=path,
            title=operation["summary"],
            text=operation.get("description", ""),
            parameters=[self._parameter(self._followed(each)) for each in operation.get("parameters", ())],
            fields=list(self._fields(body)),
            examples=list(self._examples(body)),
            answers=[self._answer(status, self._followed(each)) for status, each in operation["responses"].items()],
        )

    def _parameter(self, parameter: _JSON) -> Field:
        return Field(
            parameter["name"],
            f"{parameter['in']}, {self._kind(parameter['schema'])}",
            parameter.get("description", ""),
            parameter.get("required", False),
        )

    def _answer(self, status: str, answer: _JSON) -> Answer:
        # All errors have one form, which has a page of its own.
        is_error = "application/problem+json" in answer.get("content", {})
        return Answer(
            status,
            answer.get("description", ""),
            [] if is_error else list(self._fields(answer)),
            [] if is_error else list(self._examples(answer)),
        )

    def _fields(self, carrier: _JSON) -> Iterator[Field]:
        for content in carrier.get("content", {}).values():
            yield from self._of_schema(content["schema"], "")

    def _of_schema(self, schema: _JSON, start: str) -> Iterator[Field]:
        schema = self._merged(schema)
        if "items" in schema:
            yield from self._of_schema(schema["items"], f"{start.removesuffix('.')}[].")
        for name, each in schema.get("properties", {}).items():
            merged = self._merged(each)
            is_required = name in schema.get("required", ())
            yield Field(f"{start}{name}", self._kind(merged), merged.get("description", ""), is_required)
            yield from self._of_schema(merged, f"{start}{name}.")

    def _kind(self, schema: _JSON) -> str:
        schema = self._merged(schema)
        if "enum" in schema:
            return " | ".join(str(each) for each in schema["enum"])
        kinds = schema.get("type", [])
        names = [kinds] if isinstance(kinds, str) else list(kinds)
        return ", ".join([*names, *([schema["format"]] if "format" in schema else [])]) or "any"

    def _examples(self, carrier: _JSON) -> Iterator[Example]:
        for content in carrier.get("content", {}).values():
            for each in content.get("examples", {}).values():
                example = self._followed(each)
                yield Example(example.get("summary", ""), json.dumps(example["value"], indent=2, ensure_ascii=False))

    def _merged(self, schema: _JSON) -> _JSON:
        """What the schema says, and what those say that it is made of."""
        schema = self._followed(schema)
        parts = [*schema.get("allOf", ()), *(part for part in schema.get("oneOf", ()) if part.get("type") != "null")]
        for part in parts:
            schema = {**self._merged(part), **schema}
        return schema

    def _followed(self, part: _JSON) -> _JSON:
        while "$ref" in part:
            found: Any = self._document
            for step in part["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            part = {**found, **{key: value for key, value in part.items() if key != "$ref"}}
        return part
