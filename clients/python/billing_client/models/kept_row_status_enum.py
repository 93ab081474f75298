from typing import Literal

KeptRowStatusEnum = Literal["created", "existing", "failed", "updated"]

KEPT_ROW_STATUS_ENUM_VALUES: set[KeptRowStatusEnum] = {
    "created",
    "existing",
    "failed",
    "updated",
}


def check_kept_row_status_enum(value: str) -> KeptRowStatusEnum:
    if value in KEPT_ROW_STATUS_ENUM_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {KEPT_ROW_STATUS_ENUM_VALUES!r}")
