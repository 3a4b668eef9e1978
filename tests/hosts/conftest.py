import pytest

from tests.hosts import postgres


@pytest.fixture(scope="session")
def cluster():
    """A PostgreSQL for all tests here."""
    if reason := postgres.why_not():
        pytest.skip(reason)
    with postgres.Cluster() as cluster:
        yield cluster
