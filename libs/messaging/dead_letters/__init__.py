"""Dead letters are listed, redriven, reissued and discarded; events are replayed from
the archive.
"""
