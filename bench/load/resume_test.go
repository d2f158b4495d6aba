package main

import (
	"bytes"
	"os/exec"
	"testing"
)

func TestStartedIdly(t *testing.T) {
	for _, idle := range []bool{true, false} {
		command := exec.Command("cat", "/proc/self/stat")
		var output bytes.Buffer
		command.Stdout = &output
		start := command.Start
		if idle {
			start = func() error { return startIdly(command) }
		}
		if err := start(); err != nil {
			t.Fatal(err)
		}
		if err := command.Wait(); err != nil {
			t.Fatal(err)
		}
		behind := bytes.LastIndexByte(output.Bytes(), ')') // of the name; the state, field 3, follows: proc(5)
		policy := string(bytes.Fields(output.Bytes()[behind+1:])[41-3])
		if (policy == "5") != idle { // SCHED_IDLE
			t.Errorf("policy %s, idle: %v", policy, idle)
		}
	}
}
