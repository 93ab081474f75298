from typing import Literal

ListOrdersOrdering = Literal["-placed_at", "placed_at"]

LIST_ORDERS_ORDERING_VALUES: set[ListOrdersOrdering] = {
    "-placed_at",
    "placed_at",
}


def check_list_orders_ordering(value: str) -> ListOrdersOrdering:
    if value in LIST_ORDERS_ORDERING_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {LIST_ORDERS_ORDERING_VALUES!r}")
