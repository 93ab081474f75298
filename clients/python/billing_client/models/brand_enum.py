from typing import Literal

BrandEnum = Literal["amex", "diners", "discover", "jcb", "maestro", "mastercard", "unionpay", "unknown", "visa"]

BRAND_ENUM_VALUES: set[BrandEnum] = {
    "amex",
    "diners",
    "discover",
    "jcb",
    "maestro",
    "mastercard",
    "unionpay",
    "unknown",
    "visa",
}


def check_brand_enum(value: str) -> BrandEnum:
    if value in BRAND_ENUM_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {BRAND_ENUM_VALUES!r}")
