from enum import StrEnum


class KeptRowStatusEnum(StrEnum):
    CREATED = "created"
    EXISTING = "existing"
    FAILED = "failed"
    UPDATED = "updated"

    def __str__(self) -> str:
        return str(self.value)
