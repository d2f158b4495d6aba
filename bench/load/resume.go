package main

import (
	"bufio"
	"fmt"
	"sync"
	"time"
)

// resume has many clients come back at once to the stream that the fleet is reading, each with the id of an event that
// so many came behind. The window `resume` ends when the last of them has what it missed; its latencies are those of
// the fleet meanwhile. What a client of these lost, or got twice, is among the fleet's faults.
func (f *fleet) resume() {
	last := f.checkers[0].last - f.missed
	tell(window{Window: "resume", Begin: true})
	began := time.Now()
	f.relay.reset()
	f.since.Store(began.UnixNano())
	var all sync.WaitGroup
	checkers := make([]*checker, f.resuming)
	for i := range checkers {
		checkers[i] = &checker{stream: 0, size: f.size, last: last}
		all.Add(1)
		go func() {
			defer all.Done()
			if err := f.comeBack(checkers[i], last); err != nil {
				f.failed.Add(1)
				f.because(err)
			}
		}()
	}
	all.Wait()
	relay := f.relay.quantiles()
	tell(window{Window: "resume", Seconds: time.Since(began).Seconds(), Relay: &relay})
	f.checkers = append(f.checkers, checkers...)
}

// comeBack reads until what was missed when it began is there.
func (f *fleet) comeBack(checker *checker, last int) error {
	connection, err := dial(f.address, f.patience, 0)
	if err != nil {
		return err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(f.patience))
	_, err = fmt.Fprintf(connection, "GET /api-00000/events?stream=0&size=%d&rate=%s HTTP/1.1\r\nHost: %s\r\n"+
		"Accept: text/event-stream\r\nUser-Agent: sse-gateway-bench\r\nLast-Event-ID: %d\r\n\r\n",
		f.size, f.rate, f.address, last)
	if err != nil {
		return err
	}
	response, err := readHead(connection, bufio.NewReaderSize(connection, 64*1024))
	if err != nil {
		return err
	}
	for checker.last < last+f.missed {
		data, err := response.read()
		if err != nil {
			return err
		}
		checker.feed(data, func(int64) {})
	}
	return nil
}
