"""The services, each a process of its own."""

import gc

GC_ALLOCATIONS = 20_000
"""Allocations between two runs of the cycle collector. A request or a batch makes hundreds of
objects and hardly a cycle, so Python's default of 700 would start several runs in each. It is set
here because a tenth of a service's start is spent on collections while modules are imported.
"""

gc.set_threshold(GC_ALLOCATIONS, 20, 50)
