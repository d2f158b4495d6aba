// Command events asks for event streams with a client library and prints what it was given:
//
//	events CLIENT BASE... -- NAME CASE [NAME CASE]...
//
// prints one JSON line for each case below each base URL. A client reconnects until it gets the event `done`, or a
// connection that gives it no event.
package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/r3labs/sse/v2"
	gosse "github.com/tmaxmax/go-sse"
	"gopkg.in/cenkalti/backoff.v1"
)

const (
	largestEvent = 1 << 20
	patience     = 20 * time.Second
)

type got [][]any

var clients = map[string]func(ctx context.Context, done func(), url string, got *got){
	"r3labs":  askR3labs,
	"tmaxmax": askTmaxmax,
}

func main() {
	ask := clients[os.Args[1]]
	middle := slices.Index(os.Args, "--")
	bases, cases := os.Args[2:middle], os.Args[middle+1:]
	printed := json.NewEncoder(os.Stdout)
	for base, url := range bases {
		for at := 0; at < len(cases); at += 2 {
			answer := got{}
			ctx, done := context.WithTimeout(context.Background(), patience)
			ask(ctx, done, url+cases[at+1], &answer)
			done()
			_ = printed.Encode(map[string]any{"base": base, "case": cases[at], "got": answer})
		}
	}
}

func askR3labs(ctx context.Context, done func(), url string, got *got) {
	client := sse.NewClient(url, sse.ClientMaxBufferSize(largestEvent))
	client.ReconnectStrategy = backoff.WithContext(backoff.NewConstantBackOff(20*time.Millisecond), ctx)
	events := 0
	client.ReconnectNotify = func(err error, _ time.Duration) {
		if ctx.Err() != nil {
			return
		}
		*got = append(*got, []any{"error", plain(err, url)})
		if events == 0 {
			done()
		}
		events = 0
	}
	// It takes the end of a stream for the end of all, and only what breaks for a reason to ask again.
	for ctx.Err() == nil {
		err := client.SubscribeRawWithContext(ctx, func(event *sse.Event) {
			events++
			*got = append(*got, []any{"event", string(event.Event), string(event.Data), string(event.ID)})
			if string(event.Event) == "done" {
				done()
			}
		})
		if ctx.Err() != nil {
			return
		}
		*got = append(*got, []any{"end"})
		if err != nil || events == 0 {
			return
		}
		events = 0
	}
}

func askTmaxmax(ctx context.Context, done func(), url string, got *got) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		panic(err)
	}
	events := 0
	client := gosse.Client{
		Backoff: gosse.Backoff{InitialInterval: 20 * time.Millisecond, Multiplier: 1, Jitter: -1},
		OnRetry: func(err error, _ time.Duration) {
			if ctx.Err() != nil {
				return
			}
			*got = append(*got, []any{"error", plain(err, url)})
			if events == 0 {
				done()
			}
			events = 0
		},
	}
	connection := client.NewConnection(request)
	connection.Buffer(nil, largestEvent)
	connection.SubscribeToAll(func(event gosse.Event) {
		events++
		*got = append(*got, []any{"event", event.Type, event.Data, event.LastEventID})
		if event.Type == "done" {
			done()
		}
	})
	if err := connection.Connect(); ctx.Err() == nil {
		*got = append(*got, []any{"error", plain(err, url)})
	}
}

// plain is an error's text without the URL, by which the bases differ.
func plain(err error, url string) string {
	if err == nil {
		return "end"
	}
	return strings.ReplaceAll(err.Error(), url, "URL")
}
