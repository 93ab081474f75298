from typing import Literal

CardStatusEnum = Literal["active", "erased"]

CARD_STATUS_ENUM_VALUES: set[CardStatusEnum] = {
    "active",
    "erased",
}


def check_card_status_enum(value: str) -> CardStatusEnum:
    if value in CARD_STATUS_ENUM_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {CARD_STATUS_ENUM_VALUES!r}")
