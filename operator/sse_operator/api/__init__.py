"""The SseApi and SseGateway resources, v1alpha1, as models; the CRDs are generated from them."""

GROUP = "sse-gateway.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
