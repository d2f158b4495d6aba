"""The operator: SseApi and SseGateway resources in, a compiled gateway config and Kubernetes objects out."""
