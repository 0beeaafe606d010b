"""A setting that nothing reads does nothing, which is worse than none."""

import re
from pathlib import Path

import pytest

from millrace.settings import known_settings

SOURCE = Path(__file__).parents[2] / "src/millrace"
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))


@pytest.mark.parametrize("setting", known_settings(), ids=lambda setting: setting.name)
def test_a_setting_is_read_somewhere(setting):
    # `settings.hooks.queue`, or `hooks.queue` of a group that was taken out before; `self.host` is
    # read by a property of the settings themselves.
    group = setting.path[-2] if len(setting.path) > 1 else "(settings|self)"
    assert re.search(rf"\b{group}\.{setting.path[-1]}\b(?!\()", TEXT)
