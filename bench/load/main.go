// Command load is the origin, the clients and one of the peers of `make bench`.
//
//	load origin   serves streams of numbered, time-stamped events
//	load streams  opens many streams and checks every event of them
//	load return   is clients that come back to a stream; `streams` starts it
//	load posts    sends short requests, one after another, on connections that are kept
//	load proxy    relays with net/http/httputil.ReverseProxy
//
// Clients write JSON lines to standard output: one when a measured window begins, one with its figures when it ends.
// Whoever started them takes the CPU time of the proxy at both. All of it talks to loopback addresses only, and is
// bounded in time.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
)

var commands = map[string]func(arguments []string) error{
	"origin":  origin,
	"streams": streams,
	"return":  comeBack,
	"posts":   posts,
	"proxy":   reverseProxy,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: load origin|streams|return|posts|proxy (each with -h)")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "load %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

// loopback refuses every address but this machine's own.
func loopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return errors.New(address + " is not a loopback address")
	}
	return nil
}
