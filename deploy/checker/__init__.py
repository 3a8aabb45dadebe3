"""The checker proves over all databases and queues that no purchase is half done."""
