from typing import Literal

ListOrdersBrand = Literal["amex", "diners", "discover", "jcb", "maestro", "mastercard", "unionpay", "unknown", "visa"]

LIST_ORDERS_BRAND_VALUES: set[ListOrdersBrand] = {
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


def check_list_orders_brand(value: str) -> ListOrdersBrand:
    if value in LIST_ORDERS_BRAND_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {LIST_ORDERS_BRAND_VALUES!r}")
