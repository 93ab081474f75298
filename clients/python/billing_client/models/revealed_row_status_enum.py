from typing import Literal

RevealedRowStatusEnum = Literal["failed", "read"]

REVEALED_ROW_STATUS_ENUM_VALUES: set[RevealedRowStatusEnum] = {
    "failed",
    "read",
}


def check_revealed_row_status_enum(value: str) -> RevealedRowStatusEnum:
    if value in REVEALED_ROW_STATUS_ENUM_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {REVEALED_ROW_STATUS_ENUM_VALUES!r}")
