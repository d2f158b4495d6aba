"""The Kubernetes objects of one gateway, as plain dicts. Pure: no I/O, no clock, no randomness.

Read in this order: `names` (what the objects are called and labelled, who owns them), `config_maps` (the compiled
config as objects and back), `deployment` and its small neighbours, `workload` (all of it).

What changes when only the config changes are the ConfigMaps, never the pod template.
"""
