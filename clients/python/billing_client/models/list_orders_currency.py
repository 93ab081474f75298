from typing import Literal

ListOrdersCurrency = Literal["CHF", "EUR", "GBP", "JPY", "SEK", "USD"]

LIST_ORDERS_CURRENCY_VALUES: set[ListOrdersCurrency] = {
    "CHF",
    "EUR",
    "GBP",
    "JPY",
    "SEK",
    "USD",
}


def check_list_orders_currency(value: str) -> ListOrdersCurrency:
    if value in LIST_ORDERS_CURRENCY_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {LIST_ORDERS_CURRENCY_VALUES!r}")
