"""The demo buys and sells over HTTP as people would, and shows what became of each purchase."""
