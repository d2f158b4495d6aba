package main

import (
	"bytes"
	"strconv"
	"time"
)

// An event is
//
//	id: NUMBER
//	data: STREAM NUMBER NANOSECONDS PADDING
//
// and a blank line. NUMBER counts from 1 in each response, STREAM is what the client asked with, NANOSECONDS is the
// origin's clock just before it wrote the event: both ends run on one machine. PADDING makes the event as long as the
// client asked for and is the same everywhere, so that a changed byte is seen.

const leastEventSize = 96

var padding = bytes.Repeat([]byte("0123456789abcdef"), 16*1024)

// appendEvent writes one event of size bytes (at least leastEventSize) to the end of to.
func appendEvent(to []byte, stream, number int, at time.Time, size int) []byte {
	begin := len(to)
	to = append(to, "id: "...)
	to = strconv.AppendInt(to, int64(number), 10)
	to = append(to, "\ndata: "...)
	to = strconv.AppendInt(to, int64(stream), 10)
	to = append(to, ' ')
	to = strconv.AppendInt(to, int64(number), 10)
	to = append(to, ' ')
	to = strconv.AppendInt(to, at.UnixNano(), 10)
	to = append(to, ' ')
	to = append(to, padding[:size-(len(to)-begin)-2]...)
	return append(to, "\n\n"...)
}

// faults counts what a proxy must never do to a stream.
type faults struct {
	Lost       int `json:"lost"`
	Duplicated int `json:"duplicated"`
	Reordered  int `json:"reordered"`
	Corrupted  int `json:"corrupted"`
}

func (f *faults) add(other faults) {
	f.Lost += other.Lost
	f.Duplicated += other.Duplicated
	f.Reordered += other.Reordered
	f.Corrupted += other.Corrupted
}

// checker reads the body of one response and judges each event of it.
type checker struct {
	stream int
	size   int
	joins  bool // whether any event may be the first
	last   int  // number of the newest event seen
	faults faults
	part   []byte // an event whose end has not come yet
}

var blankLine = []byte("\n\n")

// feed takes the next bytes of the body and tells the time stamp of every whole event in them.
func (c *checker) feed(body []byte, seen func(nanoseconds int64)) {
	for {
		var event []byte
		if len(c.part) > 0 {
			joint := len(c.part)
			c.part = append(c.part, body...)
			end := bytes.Index(c.part[max(joint-1, 0):], blankLine)
			if end < 0 {
				return
			}
			end += max(joint-1, 0) + 2
			event, body = c.part[:end], body[end-joint:]
			c.part = c.part[:0]
		} else {
			end := bytes.Index(body, blankLine)
			if end < 0 {
				c.part = append(c.part, body...)
				return
			}
			event, body = body[:end+2], body[end+2:]
		}
		c.judge(event, seen)
		if len(body) == 0 {
			return
		}
	}
}

func (c *checker) judge(event []byte, seen func(nanoseconds int64)) {
	id, rest, _ := cutNumber(event, "id: ", '\n')
	stream, rest, _ := cutNumber(rest, "data: ", ' ')
	number, rest, _ := cutNumber(rest, "", ' ')
	at, rest, sound := cutNumber(rest, "", ' ')
	if !sound || id != number || int(stream) != c.stream || len(event) != c.size ||
		!bytes.Equal(rest[:len(rest)-2], padding[:len(rest)-2]) {
		c.faults.Corrupted++
		return
	}
	switch n := int(number); {
	case c.joins:
		c.joins, c.last = false, n
	case n > c.last:
		c.faults.Lost += n - c.last - 1
		c.last = n
	case n == c.last:
		c.faults.Duplicated++
	default: // it came after all, late
		c.faults.Reordered++
		c.faults.Lost--
	}
	seen(at)
}

// cutNumber reads `prefix`, a number and `end` from the front of text.
func cutNumber(text []byte, prefix string, end byte) (number int64, rest []byte, sound bool) {
	if !bytes.HasPrefix(text, []byte(prefix)) {
		return 0, nil, false
	}
	text = text[len(prefix):]
	for i, char := range text {
		switch {
		case char == end:
			return number, text[i+1:], i > 0
		case char < '0' || char > '9':
			return 0, nil, false
		}
		number = number*10 + int64(char-'0')
	}
	return 0, nil, false
}
