import pytest

from tests.hostile.visitors import prepare
from tests.test_every_page import scene

__all__ = ["scene"]


@pytest.fixture
def stage(scene, canary):
    """The scene of every page, with what else a form can be about."""
    return prepare(scene, canary)
