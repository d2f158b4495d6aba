package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// returned is what a process of clients that came back says.
type returned struct {
	Seconds float64 `json:"seconds"` // until the last of them had what it missed
	outcome
}

// resume has many clients come back at once to the stream that the fleet is reading, each with the id of an event that
// so many came behind. The window `resume` ends when the last of them has what it missed; its latencies are those of
// the fleet meanwhile. What a client of these lost, or got twice, is among the fleet's faults.
//
// They are a process of their own that runs when nobody else wants the core. In the field they are other machines: where
// they share a core with the fleet as equals, what the fleet is seen to wait for is them, and not the proxy.
func (f *fleet) resume() {
	last := f.checkers[0].last - f.missed
	tell(window{Window: "resume", Begin: true})
	f.relay.reset()
	f.since.Store(time.Now().UnixNano())
	back, err := f.comeBackIdly(last)
	if err != nil {
		f.failed.Add(int64(f.resuming))
		f.because(err)
	}
	relay := f.relay.quantiles()
	tell(window{Window: "resume", Seconds: back.Seconds, Relay: &relay})
	f.failed.Add(back.Failed)
	f.returning.add(back.faults)
	if back.Reason != "" {
		f.reason.CompareAndSwap(nil, &back.Reason)
	}
}

func (f *fleet) comeBackIdly(last int) (back returned, err error) {
	program, err := os.Executable()
	if err != nil {
		return back, err
	}
	command := exec.Command(program, "return", "-address", f.address, "-clients", strconv.Itoa(f.resuming),
		"-last", strconv.Itoa(last), "-missed", strconv.Itoa(f.missed), "-size", strconv.Itoa(f.size),
		"-rate", f.rate, "-patience", f.patience.String())
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return back, err
	}
	if err = startIdly(command); err != nil {
		return back, err
	}
	err = json.NewDecoder(output).Decode(&back)
	if waited := command.Wait(); err == nil {
		err = waited
	}
	return back, err
}

// startIdly starts a process whose threads all have the policy SCHED_IDLE, which is inherited from the thread that
// starts it. That thread ends with its goroutine, since it stays locked.
func startIdly(command *exec.Cmd) error {
	const schedIdle = 5 // linux/sched.h
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		priority := int32(0)
		_, _, failure := syscall.RawSyscall(syscall.SYS_SCHED_SETSCHEDULER, 0, schedIdle,
			uintptr(unsafe.Pointer(&priority)))
		if failure != 0 {
			started <- fmt.Errorf("SCHED_IDLE: %w", failure)
			return
		}
		started <- command.Start()
	}()
	return <-started
}

// comeBack is that process: the clients come at once, and each reads until it has what it missed.
func comeBack(arguments []string) error {
	f := &fleet{}
	flags := flag.NewFlagSet("return", flag.ExitOnError)
	flags.StringVar(&f.address, "address", "", "host:port of the proxy")
	flags.IntVar(&f.count, "clients", 1, "how many")
	last := flags.Int("last", 0, "the event that each had last")
	flags.IntVar(&f.missed, "missed", 1, "how many each reads")
	flags.IntVar(&f.size, "size", leastEventSize, "bytes of an event")
	flags.StringVar(&f.rate, "rate", "1", "events a second of the stream")
	flags.DurationVar(&f.patience, "patience", 30*time.Second, "for all to have them")
	_ = flags.Parse(arguments)
	if err := loopback(f.address); err != nil {
		return err
	}
	began := time.Now()
	var all sync.WaitGroup
	checkers := make([]*checker, f.count)
	for i := range checkers {
		checkers[i] = &checker{stream: 0, size: f.size, last: *last}
		all.Add(1)
		go func() {
			defer all.Done()
			if err := f.readMissed(checkers[i], *last); err != nil {
				f.failed.Add(1)
				f.because(err)
			}
		}()
	}
	all.Wait()
	back := returned{Seconds: time.Since(began).Seconds(), outcome: outcome{Failed: f.failed.Load()}}
	for _, checker := range checkers {
		back.faults.add(checker.faults)
	}
	if reason := f.reason.Load(); reason != nil {
		back.Reason = *reason
	}
	return json.NewEncoder(os.Stdout).Encode(back)
}

// readMissed reads until what was missed when it began is there.
func (f *fleet) readMissed(checker *checker, last int) error {
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
