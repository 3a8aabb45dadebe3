"""One use case per file. None commits; the unit of work does, at the edge."""
