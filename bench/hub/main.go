// Command hub is a peer of `make bench` that does nothing but fan out: github.com/r3labs/sse, as its documentation has
// it, fed from one connection to the origin for each stream that clients ask for.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/r3labs/sse/v2"
)

func main() {
	listen := flag.String("listen", "", "address to listen on")
	target := flag.String("target", "", "URL of the origin")
	flag.Parse()
	if host, _, err := net.SplitHostPort(*listen); err != nil || !net.ParseIP(host).IsLoopback() {
		log.Fatal("the hub listens on a loopback address only")
	}
	hub := sse.New()
	hub.AutoReplay = false
	var fed sync.Map
	log.Fatal(http.ListenAndServe(*listen, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stream := r.URL.RequestURI()
		if _, known := fed.LoadOrStore(stream, true); !known {
			hub.CreateStream(stream)
			go feed(hub, stream, *target+stream)
		}
		r.URL.RawQuery = url.Values{"stream": {stream}}.Encode() // what the hub looks at
		hub.ServeHTTP(w, r)
	})))
}

// feed publishes what the origin says, an `id` and a `data` line for each event.
func feed(hub *sse.Server, stream, from string) {
	response, err := http.Get(from)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var id, data []byte
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Bytes()
		if value, found := bytes.CutPrefix(line, []byte("id: ")); found {
			id = bytes.Clone(value)
		} else if value, found := bytes.CutPrefix(line, []byte("data: ")); found {
			data = bytes.Clone(value)
		} else if len(line) == 0 {
			hub.Publish(stream, &sse.Event{ID: id, Data: data})
		}
	}
}
