from enum import StrEnum


class CardStatusEnum(StrEnum):
    ACTIVE = "active"
    ERASED = "erased"

    def __str__(self) -> str:
        return str(self.value)
