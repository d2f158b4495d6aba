"""The same compiler over files: `run`, `validate` and the demo source, without a cluster.

Read in this order: `yaml_documents` (bytes to documents with line numbers), `manifests` (files to SseApis and
SseGateways), `compilation` (those to gateway configs and faults), `gateway` (all of it served and kept current by
`watch`); `run`, `validate` and `demo_source` are the sub-commands.
"""
