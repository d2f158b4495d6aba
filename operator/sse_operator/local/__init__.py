"""The shell around the core without a cluster: the same compiler over files."""
