package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// crew is clients that send a request, read its short stream to the end, and send the next on the same connection.
type crew struct {
	address       string
	count, routes int
	events, size  int
	rate          float64
	body          string
	pause         time.Duration
	warm, measure time.Duration
	until         time.Time

	counting                    atomic.Bool
	requests, seen, failed, cut atomic.Int64
	head, first, relay          latencies
	reason                      atomic.Pointer[string]
	lock                        sync.Mutex
	faults                      faults
}

const postsGrace = 10 * time.Second // for requests that are under way when measuring has ended

// posts has one window, `relay`, and the `end`.
func posts(arguments []string) error {
	c := &crew{}
	flags := flag.NewFlagSet("posts", flag.ExitOnError)
	flags.StringVar(&c.address, "address", "", "host:port of the proxy")
	flags.IntVar(&c.count, "clients", 200, "how many at a time")
	flags.IntVar(&c.events, "events", 50, "events of an answer")
	flags.Float64Var(&c.rate, "rate", 50, "events a second of an answer")
	flags.IntVar(&c.size, "size", 256, "bytes of an event")
	flags.IntVar(&c.routes, "routes", 1, "how many routes the proxy has; requests are spread over them")
	body := flags.Int("body", 2048, "bytes of a request's body")
	flags.DurationVar(&c.pause, "pause", 0, "between two requests of a client, on average")
	flags.DurationVar(&c.warm, "warm", 1500*time.Millisecond, "before measuring")
	flags.DurationVar(&c.measure, "window", 5*time.Second, "how long to measure")
	_ = flags.Parse(arguments)
	if err := loopback(c.address); err != nil {
		return err
	}
	c.size = max(c.size, leastEventSize)
	c.body = strings.Repeat("x", *body)
	c.until = time.Now().Add(c.warm + c.measure)

	var clients sync.WaitGroup
	for i := range c.count {
		clients.Add(1)
		go func() {
			defer clients.Done()
			time.Sleep(time.Duration(rand.Float64() * float64(c.warm) / 2)) // out of step
			c.work(i)
		}()
	}
	time.Sleep(c.warm)
	tell(window{Window: "relay", Begin: true})
	began := time.Now()
	c.counting.Store(true)
	requests, seen := c.requests.Load(), c.seen.Load()
	time.Sleep(c.measure)
	c.counting.Store(false)
	head, first, relay := c.head.quantiles(), c.first.quantiles(), c.relay.quantiles()
	tell(window{
		Window: "relay", Seconds: time.Since(began).Seconds(), Events: c.seen.Load() - seen,
		Requests: c.requests.Load() - requests, Head: &head, First: &first, Relay: &relay,
	})
	clients.Wait()
	end := outcome{Failed: c.failed.Load(), Cut: c.cut.Load(), faults: c.faults}
	if reason := c.reason.Load(); reason != nil {
		end.Reason = *reason
	}
	tell(window{Window: "end", outcome: &end})
	return nil
}

func (c *crew) work(client int) {
	var connection net.Conn
	var buffered *bufio.Reader
	for time.Now().Before(c.until) {
		if connection == nil {
			var err error
			if connection, err = dial(c.address, postsGrace, 0); err != nil {
				c.fail(&c.failed, err)
				return
			}
			_ = connection.SetDeadline(c.until.Add(postsGrace))
			buffered = bufio.NewReaderSize(connection, 4096)
		}
		if !c.request(client, connection, buffered) {
			_ = connection.Close()
			connection = nil
		}
		time.Sleep(time.Duration(2 * rand.Float64() * float64(c.pause)))
	}
	if connection != nil {
		_ = connection.Close()
	}
}

// request tells whether the connection can take another one.
func (c *crew) request(client int, connection net.Conn, buffered *bufio.Reader) bool {
	checker := &checker{stream: client, size: c.size}
	began := time.Now()
	_, err := fmt.Fprintf(connection, "POST /api-%05d/events?stream=%d&size=%d&rate=%g&events=%d HTTP/1.1\r\n"+
		"Host: %s\r\nAccept: text/event-stream\r\nUser-Agent: sse-gateway-bench\r\nContent-Type: application/json\r\n"+
		"Authorization: Bearer bench\r\nContent-Length: %d\r\n\r\n%s",
		rand.IntN(c.routes), client, c.size, c.rate, c.events, c.address, len(c.body), c.body)
	if err != nil {
		c.fail(&c.failed, err)
		return false
	}
	response, err := readHead(connection, buffered)
	if err != nil {
		c.fail(&c.failed, err)
		return false
	}
	opened := time.Now()
	counted := c.counting.Load()
	if counted {
		c.head.add(opened.Sub(began))
	}
	for {
		data, err := response.read()
		now := time.Now()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			c.fail(&c.cut, err)
			return false
		}
		if counted && checker.last == 0 {
			c.first.add(now.Sub(opened))
		}
		checker.feed(data, func(at int64) {
			c.seen.Add(1)
			if counted {
				c.relay.add(time.Duration(now.UnixNano() - at))
			}
		})
	}
	checker.faults.Lost += c.events - checker.last
	c.requests.Add(1)
	c.lock.Lock()
	c.faults.add(checker.faults)
	c.lock.Unlock()
	return response.keepAlive
}

func (c *crew) fail(count *atomic.Int64, err error) {
	count.Add(1)
	text := err.Error()
	c.reason.CompareAndSwap(nil, &text)
}
