"""What the tests of this room share."""

from __future__ import annotations

import sys
from pathlib import Path

# The made-up exports are a plain module beside the tests, and tests are not a package.
sys.path.insert(0, str(Path(__file__).parent))
