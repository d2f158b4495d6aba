package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

const originHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n" +
	"Transfer-Encoding: chunked\r\n\r\n"

// sharedInterval is the time between two events of each stream that asked for rate=shared, in nanoseconds.
var sharedInterval atomic.Int64

// origin serves whatever path it is asked for. The query decides:
//
//	stream=ID  the number in its events    size=BYTES  of an event    rate=PER_SECOND, or `shared`
//	events=N   end the response after so many; none means no end
//
// PUT /rate?rate=PER_SECOND sets the shared rate. The response head goes out at once, alone; the first event a random
// part of an interval later, so that streams are out of step. Every event is a chunk and a write of its own.
func origin(arguments []string) error {
	flags := flag.NewFlagSet("origin", flag.ExitOnError)
	address := flags.String("listen", "127.0.0.1:0", "address to listen on")
	_ = flags.Parse(arguments)
	if err := loopback(*address); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	fmt.Printf("{\"port\": %d}\n", listener.Addr().(*net.TCPAddr).Port)
	sharedInterval.Store(int64(time.Second))
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go serve(connection)
	}
}

func serve(connection net.Conn) {
	defer connection.Close()
	requests := bufio.NewReaderSize(connection, 4096)
	for {
		request, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		if _, err = io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		query := request.URL.Query()
		if request.Method == http.MethodPut {
			err = setSharedRate(connection, query)
		} else {
			err = answer(connection, query)
		}
		if err != nil {
			return
		}
	}
}

func setSharedRate(connection net.Conn, query url.Values) error {
	rate, err := strconv.ParseFloat(query.Get("rate"), 64)
	if err != nil {
		return err
	}
	sharedInterval.Store(int64(float64(time.Second) / rate))
	_, err = io.WriteString(connection, "HTTP/1.1 204 No Content\r\n\r\n")
	return err
}

func answer(connection net.Conn, query url.Values) error {
	stream, _ := strconv.Atoi(query.Get("stream"))
	size, _ := strconv.Atoi(query.Get("size"))
	events, _ := strconv.Atoi(query.Get("events"))
	rate, _ := strconv.ParseFloat(query.Get("rate"), 64)
	size = min(max(size, leastEventSize), len(padding))
	interval := func() time.Duration { return time.Duration(sharedInterval.Load()) }
	if rate > 0 {
		own := time.Duration(float64(time.Second) / rate)
		interval = func() time.Duration { return own }
	}
	if _, err := io.WriteString(connection, originHead); err != nil {
		return err
	}
	next := time.Now().Add(time.Duration(rand.Float64() * float64(interval())))
	buffer := make([]byte, 0, size+16)
	for number := 1; events == 0 || number <= events; number++ {
		time.Sleep(time.Until(next))
		now := time.Now()
		buffer = strconv.AppendInt(buffer[:0], int64(size), 16)
		buffer = append(buffer, "\r\n"...)
		buffer = appendEvent(buffer, stream, number, now, size)
		buffer = append(buffer, "\r\n"...)
		if _, err := connection.Write(buffer); err != nil {
			return err
		}
		if next = next.Add(interval()); time.Since(next) > time.Second { // held back: no burst of what was missed
			next = time.Now()
		}
	}
	_, err := io.WriteString(connection, "0\r\n\r\n")
	return err
}
