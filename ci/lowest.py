"""Print the lowest versions that pyproject.toml allows for the base install, as constraints for pip."""

import re
import tomllib
from pathlib import Path

pyproject = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8"))
for requirement in pyproject["project"]["dependencies"]:
    print(re.sub(r"^([\w-]+)>=([\d.]+).*", r"\1==\2", requirement))
