"""Resources in, gateway config and verdicts out. Pure: no I/O, no clock, no randomness.

Read in this order: `attach` (which gateway an SseApi belongs to, and whether it may), `claims` (who holds which
context-path), `entries` (one SseApi to one config entry, defaults filled in), `gateway` (all of it for one gateway),
`revisions` (what of the config is new), `observed` (what proxies warn of), `reasons` and
`verdicts` (what the conditions say), `status` (the whole of it).
`targets` has the networks that upstream connections may not go to.
"""
