package main

import (
	"encoding/json"
	"os"
)

// window is one line of a client's output. A line with Begin says that measuring starts now and has nothing else.
type window struct {
	Window string `json:"window"`
	Begin  bool   `json:"begin,omitempty"`

	Seconds  float64 `json:"seconds,omitempty"`
	Offered  float64 `json:"offered,omitempty"` // events a second that the origin was asked for
	Events   int64   `json:"events,omitempty"`
	Bytes    int64   `json:"bytes,omitempty"`
	Requests int64   `json:"requests,omitempty"` // answers that ended in the window

	Connected int64 `json:"connected,omitempty"`
	Sustained *bool `json:"sustained,omitempty"` // of a step of the search for saturation

	Relay *quantiles `json:"relay,omitempty"` // from the origin's write to the client's read of an event
	Head  *quantiles `json:"head,omitempty"`  // from the request (for streams: from dialling) to the response head
	First *quantiles `json:"first,omitempty"` // from the response head to the first event

	*outcome
}

// outcome is judged over a client's whole run, not over a window.
type outcome struct {
	Failed  int64  `json:"failed"`  // never got a response head of status 200
	Cut     int64  `json:"cut"`     // ended before their end
	Stalled int64  `json:"stalled"` // were silent for much longer than their rate allows
	Reason  string `json:"reason,omitempty"`
	faults
}

func tell(line window) {
	_ = json.NewEncoder(os.Stdout).Encode(line)
}
