"""The services, each a process of its own."""

import gc

GC_ALLOCATIONS = 20_000
"""Between two looks for cycles. A request or a batch makes hundreds of objects and hardly a cycle,
so Python's own 700 would look several times in each. Said here because a tenth of a service's start
goes into looking among what is being imported.
"""

gc.set_threshold(GC_ALLOCATIONS, 20, 50)
