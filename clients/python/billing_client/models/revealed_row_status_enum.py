from enum import StrEnum


class RevealedRowStatusEnum(StrEnum):
    FAILED = "failed"
    READ = "read"

    def __str__(self) -> str:
        return str(self.value)
