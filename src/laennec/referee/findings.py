"""What a referee says: findings, each a sentence with its evidence."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# A fault: the figure does not say what a reader takes it to say. A caution: it may not. A note: what the
# reader should know, and nothing against the figure.
FAULT, CAUTION, NOTE = "fault", "caution", "note"
SEVERITIES = (FAULT, CAUTION, NOTE)
NAMED = 8  # names that a sentence lists; the JSON has all


@dataclass(frozen=True)
class Finding:
    """One thing found. `code` names its kind and never changes; `evidence` is ready for JSON."""

    severity: str
    code: str
    sentence: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def listed(names: Iterable[str], most: int = NAMED) -> str:
    """Return some names in their order, and how many more there are."""
    every = sorted(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
