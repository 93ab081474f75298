import pytest


@pytest.fixture
def without_screening(settings):
    """What the middleware would refuse, should it ever be left out, is masked where it is kept."""
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith("RefuseCardDataMiddleware")]
