"""Claims begin to look for heads at the scan start."""


class ScanStart:
    """Claims begin at `seq`, the lowest head that the sweep before the last one found. Otherwise
    each claim would walk over all deleted rows, which stay in the index while an old snapshot (of a
    dump, for example) needs them. A transaction has a second, from one sweep to the next, to commit
    a row whose number is lower than what claims have passed; the sweep also looks for such rows
    below `seq`.
    """

    def __init__(self) -> None:
        self.seq = 0
        self._found = 0
        self._claimed = 0

    def claimed(self, seq: int) -> None:
        """Note that a claim has taken the head `seq`."""
        self._claimed = max(self._claimed, seq)

    def sweep_found(self, lowest: int | None) -> None:
        """Note the lowest head at or above `seq`; None when there is none."""
        found = max(self.seq, self._claimed) if lowest is None else lowest
        self.seq, self._found = min(self._found, found), found

    def include(self, seq: int | None) -> None:
        """Note that the row `seq` may go: claims have to find it. None changes nothing."""
        if seq is not None:
            self.seq, self._found = min(self.seq, seq), min(self._found, seq)
