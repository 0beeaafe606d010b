import pytest

from millrace import practice as service


@pytest.fixture
async def practice():
    async with await service.start() as running:
        yield running
