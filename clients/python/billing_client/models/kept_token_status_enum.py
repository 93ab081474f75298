from enum import StrEnum


class KeptTokenStatusEnum(StrEnum):
    CREATED = "created"
    EXISTING = "existing"
    UPDATED = "updated"

    def __str__(self) -> str:
        return str(self.value)
