"""The streaming proxy: serves a compiled gateway config, knows nothing of Kubernetes."""
