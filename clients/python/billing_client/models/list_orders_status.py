from enum import StrEnum


class ListOrdersStatus(StrEnum):
    CANCELLED = "cancelled"
    PLACED = "placed"

    def __str__(self) -> str:
        return str(self.value)
