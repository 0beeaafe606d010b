"""What holds for every test, wherever it lies."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Tests run in any order: what one of them does to logging must not silence another."""
    root = logging.getLogger()
    level, threshold = root.level, root.manager.disable
    for logger in list(root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.disabled = False
    yield
    root.setLevel(level)
    logging.disable(threshold)
