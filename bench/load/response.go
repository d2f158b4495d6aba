package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// response reads one HTTP/1.1 response as it arrives: each call of read gives what one read of the socket brought,
// so that an event is seen at the moment it comes.
type response struct {
	connection net.Conn
	buffered   *bufio.Reader
	framing    framing
	left       int64 // bytes that are left of the chunk, or of the body
	keepAlive  bool
}

type framing int

const (
	untilClose framing = iota
	chunked
	counted
)

var errStatus = errors.New("status")

// readHead reads a response head; the body may be read when it returns.
func readHead(connection net.Conn, buffered *bufio.Reader) (*response, error) {
	line, err := buffered.ReadString('\n')
	if err != nil {
		return nil, err
	}
	result := &response{connection: connection, buffered: buffered, keepAlive: true}
	for {
		field, err := buffered.ReadString('\n')
		if err != nil {
			return nil, err
		}
		field = strings.TrimRight(field, "\r\n")
		if field == "" {
			break
		}
		name, value, _ := strings.Cut(field, ":")
		value = strings.TrimSpace(value)
		switch http.CanonicalHeaderKey(name) {
		case "Transfer-Encoding":
			result.framing = chunked
		case "Content-Length":
			result.framing = counted
			if result.left, err = strconv.ParseInt(value, 10, 64); err != nil {
				return nil, err
			}
		case "Connection":
			result.keepAlive = !strings.EqualFold(value, "close")
		}
	}
	if len(line) < 12 || line[9:12] != "200" {
		return nil, fmt.Errorf("%w %s", errStatus, strings.TrimSpace(line))
	}
	result.keepAlive = result.keepAlive && result.framing != untilClose
	return result, nil
}

// read gives the next bytes of the body, valid until the next call; io.EOF is its proper end and nothing else is.
func (r *response) read() ([]byte, error) {
	if r.framing == chunked && r.left == 0 {
		if err := r.nextChunk(); err != nil {
			return nil, err
		}
	}
	if r.framing == counted && r.left == 0 {
		return nil, io.EOF
	}
	if _, err := r.buffered.Peek(1); err != nil {
		if err == io.EOF && r.framing != untilClose {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	size := r.buffered.Buffered()
	if r.framing != untilClose && int64(size) > r.left {
		size = int(r.left)
	}
	data, err := r.buffered.Peek(size)
	if err != nil {
		return nil, err
	}
	_, err = r.buffered.Discard(size) // the bytes stay where they are until the buffer is filled again
	r.left -= int64(size)
	return data, err
}

// nextChunk reads a chunk's size, after the line end of the chunk before.
func (r *response) nextChunk() error {
	for {
		line, err := r.buffered.ReadSlice('\n')
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
			line = line[:len(line)-1]
		}
		if len(line) == 0 {
			continue
		}
		if r.left, err = strconv.ParseInt(string(line), 16, 64); err != nil {
			return err
		}
		if r.left > 0 {
			return nil
		}
		if line, err = r.buffered.ReadSlice('\n'); err != nil || len(line) > 2 {
			return fmt.Errorf("after the last chunk: %q %w", line, errors.Join(err))
		}
		return io.EOF
	}
}

// dial connects and never waits longer than patience. A receive buffer of 0 bytes leaves the system's default.
func dial(address string, patience time.Duration, receiveBuffer int) (net.Conn, error) {
	connection, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	if receiveBuffer > 0 {
		err = connection.(*net.TCPConn).SetReadBuffer(receiveBuffer)
	}
	return connection, err
}
