"""The Kubernetes objects of one gateway, as plain dicts. Pure: no I/O, no clock, no randomness."""
