package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func body(stream int, numbers ...int) []byte {
	var text []byte
	for _, number := range numbers {
		text = appendEvent(text, stream, number, time.Unix(7, 0), 128)
	}
	return text
}

func TestCheckerJudges(t *testing.T) {
	changed := body(3, 1, 2)
	changed[200]++
	for _, test := range []struct {
		name   string
		body   []byte
		faults faults
	}{
		{"sound", body(3, 1, 2, 3), faults{}},
		{"lost", body(3, 1, 4), faults{Lost: 2}},
		{"duplicated", body(3, 1, 1, 2), faults{Duplicated: 1}},
		{"reordered", body(3, 1, 3, 2), faults{Reordered: 1}},
		{"of another stream", body(4, 1), faults{Corrupted: 1}},
		{"changed", changed, faults{Corrupted: 1}},
		{"shorter", append(body(3, 1)[:100], "\n\n"...), faults{Corrupted: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for step := range 140 { // however the bytes are cut
				c := checker{stream: 3, size: 128}
				for rest := test.body; len(rest) > 0; {
					cut := min(step+1, len(rest))
					c.feed(rest[:cut], func(at int64) {
						if at != 7e9 {
							t.Errorf("time stamp %d", at)
						}
					})
					rest = rest[cut:]
				}
				if c.faults != test.faults {
					t.Fatalf("in steps of %d: %+v, wanted %+v", step+1, c.faults, test.faults)
				}
			}
		})
	}
}

func readAll(t *testing.T, message string) (text string, keepAlive bool, err error) {
	t.Helper()
	buffered := bufio.NewReaderSize(iotest{strings.NewReader(message)}, 64)
	response, err := readHead(nil, buffered)
	if err != nil {
		return "", false, err
	}
	for {
		data, err := response.read()
		text += string(data)
		if err != nil {
			return text, response.keepAlive, err
		}
	}
}

// iotest gives a few bytes at a time.
type iotest struct{ from *strings.Reader }

func (r iotest) Read(into []byte) (int, error) { return r.from.Read(into[:min(len(into), 5)]) }

func TestResponseFraming(t *testing.T) {
	for _, test := range []struct {
		name, message, text string
		keepAlive           bool
		err                 error
	}{
		{"chunked", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n", "abc0123456789abcdef", true, io.EOF},
		{"cut in a chunk", "Transfer-Encoding: chunked\r\n\r\n5\r\nabc", "abc", true, io.ErrUnexpectedEOF},
		{"cut between chunks", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "abc", true, io.ErrUnexpectedEOF},
		{"counted", "Content-Length: 3\r\n\r\nabc", "abc", true, io.EOF},
		{"counted and cut", "Content-Length: 4\r\n\r\nabc", "abc", true, io.ErrUnexpectedEOF},
		{"until close", "\r\nabc", "abc", false, io.EOF},
		{"to be closed", "Connection: close\r\nContent-Length: 3\r\n\r\nabc", "abc", false, io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			text, keepAlive, err := readAll(t, "HTTP/1.1 200 OK\r\n"+test.message)
			if text != test.text || keepAlive != test.keepAlive || !errors.Is(err, test.err) {
				t.Errorf("%q, keep-alive %t, %v", text, keepAlive, err)
			}
		})
	}
	if _, _, err := readAll(t, "HTTP/1.1 502 Bad Gateway\r\n\r\n"); !errors.Is(err, errStatus) {
		t.Errorf("status 502: %v", err)
	}
}

func TestLatenciesAreWithinASixtyFourth(t *testing.T) {
	for _, microseconds := range []int64{0, 1, 63, 64, 127, 128, 1000, 123_456, 59_000_000} {
		var l latencies
		l.add(time.Duration(microseconds) * time.Microsecond)
		got := l.quantiles().P50 * 1000
		if got > float64(microseconds) || got < float64(microseconds)*63/64 {
			t.Errorf("%d µs reads as %g", microseconds, got)
		}
	}
}

func TestOnlyLoopback(t *testing.T) {
	for address, wanted := range map[string]bool{"127.0.0.1:80": true, "[::1]:80": true, "10.0.0.1:80": false, "example.com:80": false} {
		if got := loopback(address) == nil; got != wanted {
			t.Errorf("%s: %t", address, got)
		}
	}
}

func TestOriginAnswersOnAKeptConnection(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	go serve(server)
	c := crew{address: "127.0.0.1:1", routes: 1, events: 3, size: 128, rate: 1000, body: "{}"}
	buffered := bufio.NewReader(client)
	for range 2 {
		if !c.request(5, client, buffered) {
			t.Fatal("the connection was not kept")
		}
	}
	if c.seen.Load() != 6 || c.faults != (faults{}) {
		t.Errorf("%d events, %+v", c.seen.Load(), c.faults)
	}
}
