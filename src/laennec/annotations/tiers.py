"""Tiers: what Praat and ELAN put labels in, where two of one tier may not overlap.

Events and breath phases have tiers of their own, each channel has, and what overlaps goes to the next:
``events``, ``events 2``, ``phases``, ``events channel 1``. Reading takes the layer from the label and the
channel from the tier's name.
"""

import re
from collections.abc import Iterable

from laennec.annotations.events import Boundary
from laennec.labels import PHASES

_CHANNEL = re.compile(r"\bchannel (\d{1,3})\b", re.IGNORECASE)
LAYERS = ("events", "phases")


def dealt(events: Iterable[Boundary]) -> dict[str, list[Boundary]]:
    """Return events by tier, in the order of time, none overlapping another of its tier."""
    tiers: dict[str, list[Boundary]] = {}
    for event in sorted(events, key=lambda each: (each.start_s, each.end_s)):
        base = LAYERS[event.annotated in PHASES]
        base += "" if event.channel is None else f" channel {event.channel}"
        number = 1
        while True:
            name = base if number == 1 else f"{base} {number}"
            own = tiers.setdefault(name, [])
            if not own or own[-1].end_s <= event.start_s:
                own.append(event)
                break
            number += 1
    return tiers


def channel_of(tier: str) -> int | None:
    """Return the channel that a tier's name says, None where it says none."""
    match = _CHANNEL.search(tier)
    return int(match[1]) if match else None
