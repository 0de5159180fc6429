"""How long tests wait for what another process or a browser does, and how: by looking again and again."""

import time
from collections.abc import Callable
from typing import Any

WAIT_S = 60.0  # a busy machine is no fault
LOOK_S = 0.02


def until(wanted: Callable[[], Any], timeout_s: float = WAIT_S) -> Any:
    """What `wanted` gives once that is true."""
    ends = time.monotonic() + timeout_s
    while not (found := wanted()):
        assert time.monotonic() < ends, "it did not come"
        time.sleep(LOOK_S)
    return found
