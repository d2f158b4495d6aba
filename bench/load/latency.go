package main

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// latencies is a histogram of durations from 1 µs to an hour, within 1/64 of the true value. Safe for concurrent use.
type latencies struct {
	buckets [40 * 64]atomic.Int64
	most    atomic.Int64
}

func bucketOf(microseconds int64) int {
	if microseconds < 64 {
		return int(max(microseconds, 0))
	}
	octave := bits.Len64(uint64(microseconds)) - 7 // 0 for 64..127
	return 64 + octave*64 + int(microseconds>>octave) - 64
}

func lowerEdge(bucket int) float64 {
	if bucket < 128 {
		return float64(bucket)
	}
	octave := bucket/64 - 1
	return float64(int64(bucket%64+64) << octave)
}

func (l *latencies) add(duration time.Duration) {
	microseconds := duration.Microseconds()
	l.buckets[min(bucketOf(microseconds), len(l.buckets)-1)].Add(1)
	for {
		most := l.most.Load()
		if microseconds <= most || l.most.CompareAndSwap(most, microseconds) {
			return
		}
	}
}

// quantiles in milliseconds; all zero when nothing was added.
type quantiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func (l *latencies) quantiles() quantiles {
	var total int64
	for i := range l.buckets {
		total += l.buckets[i].Load()
	}
	at := func(fraction float64) float64 {
		left := int64(math.Ceil(fraction * float64(total)))
		for i := range l.buckets {
			if left -= l.buckets[i].Load(); left <= 0 {
				return lowerEdge(i) / 1000
			}
		}
		return 0
	}
	if total == 0 {
		return quantiles{}
	}
	return quantiles{at(0.5), at(0.9), at(0.99), at(0.999), float64(l.most.Load()) / 1000}
}

func (l *latencies) reset() {
	for i := range l.buckets {
		l.buckets[i].Store(0)
	}
	l.most.Store(0)
}
