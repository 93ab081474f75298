from enum import StrEnum


class OrderStatusEnum(StrEnum):
    CANCELLED = "cancelled"
    PLACED = "placed"

    def __str__(self) -> str:
        return str(self.value)
