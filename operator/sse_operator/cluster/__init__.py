"""The shell around the core in a cluster: watches, work queue, reconcile, writes, lease."""
