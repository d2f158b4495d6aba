package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	stallPatience = 3 * time.Second
	slowRead      = 1024 // bytes that a slow reader takes at a time
	slowEvery     = 250 * time.Millisecond

	searchFactor  = 1.5
	searchSettle  = 0.14  // of -window, before each step
	searchWindow  = 0.3   // of -window, for each step
	searchLatency = 100.0 // ms, the 99th percentile up to which a rate counts as sustained
	searchStreams = 0.97  // part of the offered events that must arrive
	searchMost    = 14    // steps
)

// fleet is many clients that read one stream each.
type fleet struct {
	address, control   string
	count, routes      int
	rate               string
	interval           time.Duration // between two events of a stream; 0 when the rate is shared
	size               int
	slow, slowSize     int
	same               bool
	resuming, missed   int
	concurrency        int
	patience           time.Duration
	warm, measure      time.Duration
	searchFrom         float64
	connections        []net.Conn
	checkers           []*checker
	lastSeen           []atomic.Int64 // Unix nanoseconds
	events, bytes      atomic.Int64
	connected, failed  atomic.Int64
	cut                atomic.Int64
	closing            atomic.Bool
	since              atomic.Int64 // Unix nanoseconds: events written before are not in this window's latencies
	relay, head, first latencies
	reason             atomic.Pointer[string]
	returning          faults // of the clients that came back
}

// streams opens them all, measures, and closes them. The windows are `connect` (from the first dialling to the last
// response head), then `relay`, or with -search-from one `step` for each rate tried; `end` has the outcome.
func streams(arguments []string) error {
	f := &fleet{}
	flags := flag.NewFlagSet("streams", flag.ExitOnError)
	flags.StringVar(&f.address, "address", "", "host:port of the proxy")
	flags.StringVar(&f.control, "origin", "", "host:port of the origin, for -search-from")
	flags.IntVar(&f.count, "streams", 100, "how many")
	rate := flags.Float64("rate", 1, "events a second of each stream")
	flags.IntVar(&f.size, "size", 256, "bytes of an event")
	flags.IntVar(&f.slow, "slow", 0, "how many of the streams read slowly")
	flags.IntVar(&f.slowSize, "slow-size", 16*1024, "bytes of an event of theirs")
	flags.IntVar(&f.routes, "routes", 1, "how many routes the proxy has; streams are spread over them")
	flags.BoolVar(&f.same, "same", false, "all ask for the same stream, and may come while it is under way")
	flags.IntVar(&f.resuming, "resuming", 0, "then so many come back to that stream at once")
	flags.IntVar(&f.missed, "missed", 100, "events that each of them has missed")
	flags.IntVar(&f.concurrency, "concurrency", 64, "how many connect at a time")
	flags.DurationVar(&f.patience, "patience", 30*time.Second, "for all to be connected")
	flags.DurationVar(&f.warm, "warm", time.Second, "between connecting and measuring")
	flags.DurationVar(&f.measure, "window", 5*time.Second, "how long to measure")
	flags.Float64Var(&f.searchFrom, "search-from", 0, "search the most events a second in all, from here")
	_ = flags.Parse(arguments)
	if err := loopback(f.address); err != nil {
		return err
	}
	f.size = max(f.size, leastEventSize)
	f.rate = strconv.FormatFloat(*rate, 'g', -1, 64)
	f.interval = time.Duration(float64(time.Second) / *rate)
	if f.searchFrom > 0 {
		f.rate, f.interval = "shared", 0
		if err := f.setRate(f.searchFrom); err != nil {
			return err
		}
	}
	f.connections = make([]net.Conn, f.count)
	f.checkers = make([]*checker, f.count)
	f.lastSeen = make([]atomic.Int64, f.count)

	var readers sync.WaitGroup
	f.connect(&readers)
	time.Sleep(f.warm)
	if f.searchFrom > 0 {
		if err := f.search(); err != nil {
			return err
		}
	} else {
		f.window("relay", f.measure, float64(f.count-f.slow)/f.interval.Seconds())
		if f.resuming > 0 {
			f.resume()
		}
	}
	f.finish(&readers)
	return nil
}

func (f *fleet) connect(readers *sync.WaitGroup) {
	tell(window{Window: "connect", Begin: true})
	began := time.Now()
	deadline := began.Add(f.patience)
	slots := make(chan struct{}, f.concurrency)
	var heads sync.WaitGroup
	for i := range f.count {
		slots <- struct{}{}
		heads.Add(1)
		readers.Add(1)
		go func() {
			defer readers.Done()
			response, err := f.open(i, deadline)
			if err != nil {
				f.failed.Add(1)
				f.because(err)
			} else {
				f.connected.Add(1)
			}
			<-slots
			heads.Done()
			if err == nil {
				f.follow(i, response)
			}
		}()
	}
	heads.Wait()
	head := f.head.quantiles()
	tell(window{Window: "connect", Seconds: time.Since(began).Seconds(), Connected: f.connected.Load(), Head: &head})
}

func (f *fleet) open(i int, deadline time.Time) (*response, error) {
	size, buffer, receiveBuffer := f.size, 4096, 0
	if f.size > buffer {
		buffer = 64 * 1024
	}
	if i < f.slow {
		size, buffer, receiveBuffer = f.slowSize, slowRead, 4096
	}
	stream := i
	if f.same {
		stream = 0
	}
	f.checkers[i] = &checker{stream: stream, size: size, joins: f.same}
	began := time.Now()
	connection, err := dial(f.address, time.Until(deadline), receiveBuffer)
	if err != nil {
		return nil, err
	}
	f.connections[i] = connection
	_ = connection.SetDeadline(deadline)
	_, err = fmt.Fprintf(connection, "GET /api-%05d/events?stream=%d&size=%d&rate=%s HTTP/1.1\r\nHost: %s\r\n"+
		"Accept: text/event-stream\r\nUser-Agent: sse-gateway-bench\r\n\r\n", i%f.routes, stream, size, f.rate, f.address)
	if err != nil {
		return nil, err
	}
	response, err := readHead(connection, bufio.NewReaderSize(connection, buffer))
	if err != nil {
		return nil, err
	}
	f.head.add(time.Since(began))
	f.lastSeen[i].Store(time.Now().UnixNano())
	return response, connection.SetDeadline(time.Time{})
}

// follow reads a stream until it ends, which is a fault unless this side ends it.
func (f *fleet) follow(i int, response *response) {
	checker := f.checkers[i]
	slow := i < f.slow
	opened := time.Now()
	for {
		data, err := response.read()
		if err != nil {
			if !f.closing.Load() {
				f.cut.Add(1)
				f.because(err)
			}
			return
		}
		now := time.Now()
		if checker.last == 0 {
			f.first.add(now.Sub(opened))
		}
		since := f.since.Load()
		seen := int64(0)
		checker.feed(data, func(at int64) {
			seen++
			if !slow && at >= since {
				f.relay.add(time.Duration(now.UnixNano() - at))
			}
		})
		f.lastSeen[i].Store(now.UnixNano())
		if slow {
			time.Sleep(slowEvery)
			continue
		}
		f.events.Add(seen)
		f.bytes.Add(int64(len(data)))
	}
}

func (f *fleet) because(err error) {
	text := err.Error()
	f.reason.CompareAndSwap(nil, &text)
}

func (f *fleet) window(name string, length time.Duration, offered float64) window {
	tell(window{Window: name, Begin: true})
	began := time.Now()
	f.relay.reset()
	f.since.Store(began.UnixNano())
	events, bytes := f.events.Load(), f.bytes.Load()
	time.Sleep(length)
	seconds := time.Since(began).Seconds()
	relay, head, first := f.relay.quantiles(), f.head.quantiles(), f.first.quantiles()
	line := window{
		Window: name, Seconds: seconds, Offered: offered, Events: f.events.Load() - events,
		Bytes: f.bytes.Load() - bytes, Connected: f.connected.Load(), Relay: &relay, Head: &head, First: &first,
	}
	if name == "step" {
		sustained := float64(line.Events) >= searchStreams*offered*seconds && relay.P99 <= searchLatency
		line.Sustained = &sustained
	}
	tell(line)
	return line
}

// search raises the rate until events no longer arrive as fast as the origin is to write them, then halves the step
// twice between the last rate that did and the first that did not.
func (f *fleet) search() error {
	settle := time.Duration(searchSettle * float64(f.measure))
	measured := time.Duration(searchWindow * float64(f.measure))
	good, bad := f.searchFrom, 0.0
	for rate, step, halvings := f.searchFrom, 0, 0; step < searchMost && halvings < 3; step++ {
		if err := f.setRate(rate); err != nil {
			return err
		}
		time.Sleep(settle)
		if *f.window("step", measured, rate).Sustained {
			good = rate
		} else {
			bad = rate
			if err := f.setRate(f.searchFrom / 2); err != nil { // to empty what has queued up
				return err
			}
			time.Sleep(2 * settle)
		}
		if bad == 0 {
			rate = good * searchFactor
		} else {
			rate = (good + bad) / 2
			halvings++
		}
	}
	return nil
}

func (f *fleet) setRate(inAll float64) error {
	request, err := http.NewRequest(http.MethodPut,
		fmt.Sprintf("http://%s/rate?rate=%g", f.control, inAll/float64(f.count)), nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	return errors.Join(answer.Body.Close())
}

func (f *fleet) finish(readers *sync.WaitGroup) {
	end := outcome{Failed: f.failed.Load(), Cut: f.cut.Load()}
	silence := max(stallPatience, 3*f.interval)
	for i := f.slow; i < f.count; i++ {
		if seen := f.lastSeen[i].Load(); seen > 0 && time.Since(time.Unix(0, seen)) > silence {
			end.Stalled++
		}
	}
	f.closing.Store(true)
	for _, i := range rand.Perm(f.count) {
		if f.connections[i] != nil {
			_ = f.connections[i].Close()
		}
	}
	readers.Wait()
	end.faults.add(f.returning)
	for _, checker := range f.checkers {
		end.faults.add(checker.faults)
	}
	if reason := f.reason.Load(); reason != nil {
		end.Reason = *reason
	}
	tell(window{Window: "end", outcome: &end})
}
