package main

import (
	"flag"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// reverseProxy is Go's own, as its documentation has it, flushing at once and keeping connections to the origin.
func reverseProxy(arguments []string) error {
	flags := flag.NewFlagSet("proxy", flag.ExitOnError)
	address := flags.String("listen", "127.0.0.1:0", "address to listen on")
	target := flags.String("target", "", "URL of the origin")
	_ = flags.Parse(arguments)
	if err := loopback(*address); err != nil {
		return err
	}
	base, err := url.Parse(*target)
	if err != nil {
		return err
	}
	handler := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(base)
			request.SetXForwarded()
		},
		FlushInterval: -1,
		Transport:     &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096, DisableCompression: true},
	}
	server := &http.Server{Addr: *address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	return server.ListenAndServe()
}
