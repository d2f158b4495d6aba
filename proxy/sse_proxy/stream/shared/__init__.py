"""One upstream connection for all who ask for the same (`stream.mode: Shared`).

`key` (who asks for the same), `events` (upstream's bytes, cut into whole events), `hub` (what each client is written),
`member` (one client's connection), `stream` (the upstream connection, lost and found again), `registry` (which shared
streams there are, and who waits for one).
"""
