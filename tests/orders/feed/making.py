from orders import services
from orders.feed import endpoints
from tests.factories import CONTENT
from vault.pan import PAN


def place(customer, digits, **changes):
    return services.place(**{"customer": customer, "card": PAN(digits), **CONTENT, **changes})


def make_endpoint(account, url, *types):
    return endpoints.add(account, url=url, types=types)
