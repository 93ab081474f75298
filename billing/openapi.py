"""What the project adds to the description of its API: the examples, which have card numbers and so stand in docs/."""

from __future__ import annotations

import json
from typing import Any, Final

from django.conf import settings

#: By operation id: `request`, and `responses` by status; each with a name, a summary and a value.
EXAMPLES: Final = settings.BASE_DIR / "docs" / "api-examples.json"
_JSON: Final = "application/json"


def add_examples(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Put the examples where they belong. Raises `KeyError` for one of an operation or status that is not there."""
    operations = {
        operation["operationId"]: operation for path in result["paths"].values() for operation in path.values()
    }
    for name, examples in json.loads(EXAMPLES.read_text()).items():
        operation = operations[name]
        if "request" in examples:
            operation["requestBody"]["content"][_JSON]["examples"] = examples["request"]
        for status, answers in examples["responses"].items():
            operation["responses"][status]["content"][_JSON]["examples"] = answers
    return result
