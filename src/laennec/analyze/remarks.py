"""What is repaired and noted on the way to an analysis."""

from dataclasses import dataclass, field


@dataclass
class Remarks:
    """What happens on the way; ends up in the analysis."""

    repairs: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
