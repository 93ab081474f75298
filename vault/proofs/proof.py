from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Proof:
    """What there is to show, as JSON has it, and constant sentences about what is not as it should be."""

    data: Any
    findings: tuple[str, ...] = ()


def those_met(sentences: Mapping[str, object]) -> tuple[str, ...]:
    """The sentences beside which something true stands."""
    return tuple(sentence for sentence, is_met in sentences.items() if is_met)
