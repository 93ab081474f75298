"""The version before, which is still running while this one is rolled out: see docs/upgrades.md."""

import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
#: What was released: a commit, the last migration of each app, the schema versions of items that it reads.
BASELINE: Final = tomllib.loads((Path(__file__).parent / "baseline.toml").read_text(encoding="utf-8"))
