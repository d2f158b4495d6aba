"""From a chosen entry to bytes of an upstream response.

`target` (what to ask for), `balancer` (which endpoint), `guard` (where connections may go), `pool` (connections),
`connection` (one of them), `response` (the heads that upstream sends).
"""
