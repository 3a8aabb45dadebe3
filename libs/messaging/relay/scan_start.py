"""Where claims begin to look for heads."""


class ScanStart:
    """Under an old snapshot (a dump running) deleted rows stay in the index, and each claim would
    walk over them all. So claims begin at `seq`: what the sweep before the last one found as the
    lowest head. A transaction has a second, from one sweep to the next, to commit a row with a
    number that others have passed; the sweep looks for later ones below.
    """

    def __init__(self) -> None:
        self.seq = 0
        self._found = 0
        self._claimed = 0

    def claimed(self, seq: int) -> None:
        """A claim took a head there."""
        self._claimed = max(self._claimed, seq)

    def sweep_found(self, lowest: int | None) -> None:
        """The lowest head at or above `seq`; None: there is none."""
        found = max(self.seq, self._claimed) if lowest is None else lowest
        self.seq, self._found = min(self._found, found), found

    def include(self, seq: int | None) -> None:
        """A row there may go."""
        if seq is not None:
            self.seq, self._found = min(self.seq, seq), min(self._found, seq)
