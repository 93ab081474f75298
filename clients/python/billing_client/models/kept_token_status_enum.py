from typing import Literal

KeptTokenStatusEnum = Literal["created", "existing", "updated"]

KEPT_TOKEN_STATUS_ENUM_VALUES: set[KeptTokenStatusEnum] = {
    "created",
    "existing",
    "updated",
}


def check_kept_token_status_enum(value: str) -> KeptTokenStatusEnum:
    if value in KEPT_TOKEN_STATUS_ENUM_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {KEPT_TOKEN_STATUS_ENUM_VALUES!r}")
