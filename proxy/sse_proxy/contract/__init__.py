"""Parts of the config contract, by concern. Everything is to be had from `sse_proxy.config`, which has the rules."""
