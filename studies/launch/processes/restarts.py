"""How often a process is started again after it came to nothing, and the pause before each start."""

STARTS = 10  # failed starts in a row, after which another one is no use
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0


def pause_s(n_failed: int) -> float:
    """Return the seconds to wait after so many failed starts in a row."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (n_failed - 1)) if n_failed else 0.0
