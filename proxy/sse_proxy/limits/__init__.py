"""How much clients may ask for: `rate` has the token buckets, `admission` who may come in.

All of it counts what this process sees; no replica knows of another.
"""
