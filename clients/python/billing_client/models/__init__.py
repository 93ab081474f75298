"""Contains all the data models used in inputs/outputs"""

from .brand_enum import BrandEnum
from .card import Card
from .card_status_enum import CardStatusEnum
from .certificate import Certificate
from .currency_enum import CurrencyEnum
from .detokenization_request import DetokenizationRequest
from .detokenizations_request import DetokenizationsRequest
from .erasure_request import ErasureRequest
from .kept_row import KeptRow
from .kept_row_status_enum import KeptRowStatusEnum
from .kept_rows import KeptRows
from .kept_token import KeptToken
from .kept_token_status_enum import KeptTokenStatusEnum
from .list_orders_brand import ListOrdersBrand
from .list_orders_currency import ListOrdersCurrency
from .list_orders_ordering import ListOrdersOrdering
from .list_orders_status import ListOrdersStatus
from .new_order_request import NewOrderRequest
from .new_token_request import NewTokenRequest
from .new_tokens_request import NewTokensRequest
from .order import Order
from .order_status_enum import OrderStatusEnum
from .paginated_order_list import PaginatedOrderList
from .pay_again_request import PayAgainRequest
from .problem import Problem
from .problem_error import ProblemError
from .problem_rows_item import ProblemRowsItem
from .revealed import Revealed
from .revealed_row import RevealedRow
from .revealed_row_status_enum import RevealedRowStatusEnum
from .revealed_rows import RevealedRows
from .row_problem import RowProblem
from .search_request import SearchRequest
from .token import Token

__all__ = (
    "BrandEnum",
    "Card",
    "CardStatusEnum",
    "Certificate",
    "CurrencyEnum",
    "DetokenizationRequest",
    "DetokenizationsRequest",
    "ErasureRequest",
    "KeptRow",
    "KeptRows",
    "KeptRowStatusEnum",
    "KeptToken",
    "KeptTokenStatusEnum",
    "ListOrdersBrand",
    "ListOrdersCurrency",
    "ListOrdersOrdering",
    "ListOrdersStatus",
    "NewOrderRequest",
    "NewTokenRequest",
    "NewTokensRequest",
    "Order",
    "OrderStatusEnum",
    "PaginatedOrderList",
    "PayAgainRequest",
    "Problem",
    "ProblemError",
    "ProblemRowsItem",
    "Revealed",
    "RevealedRow",
    "RevealedRows",
    "RevealedRowStatusEnum",
    "RowProblem",
    "SearchRequest",
    "Token",
)
