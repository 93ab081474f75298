from enum import StrEnum


class ListOrdersOrdering(StrEnum):
    PLACED_AT = "placed_at"
    VALUE_0 = "-placed_at"

    def __str__(self) -> str:
        return str(self.value)
