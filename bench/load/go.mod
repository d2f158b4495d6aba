module sse-gateway.dev/bench/load

go 1.22
