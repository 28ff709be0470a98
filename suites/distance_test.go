package suites_test

import (
	"cmp"
	"context"
	"io"
	"maps"
	"net"
	"net/url"
	"runtime"
	"sync"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites"
)

// roundTrip is what a way of distant adds to every answer.
const roundTrip = 50 * time.Millisecond

// BenchmarkDistance judges what a live run does unless more is allowed, at a target that
// is a round trip of 50 ms away: unpaced, and at fifty requests a second. Requests are
// all that were sent, controls too. x-bound is the time over that which issue 4 allows:
// one and a half times as many round trips, with eight at once, and a second; paced, 1.1
// times the requests by the pace, and two seconds. x-ideal is that over the same without
// what is allowed. MiB is the most the heap held, the target's own included.
func BenchmarkDistance(b *testing.B) {
	for name, pace := range map[string]float64{"unpaced": 0, "paced": 50} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				judgeFarAway(b, pace)
			}
		})
	}
}

func judgeFarAway(b *testing.B, pace float64) {
	started, err := stack.Start(b.Context(), stack.Spec{Runtime: stack.Embedded, Run: run.NewID()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = started.Stop(b.Context()) }()
	target := *started.Target
	target.Limit = harness.AuthFailures
	target.Faces = maps.Clone(target.Faces)
	for mode, face := range target.Faces {
		face.Connect = distant(b, face)
		target.Faces[mode] = face
	}
	const concurrency = 8
	engine := run.New(&target, run.Options{Concurrency: concurrency, Rate: pace, Burst: concurrency})
	defer engine.Close()
	began := time.Now()
	engine.All(b.Context(), suites.All(), nil)
	took, requests := time.Since(began).Seconds(), float64(engine.Sent())
	b.ReportMetric(requests, "requests")
	b.ReportMetric(took, "s")
	ideal := requests * roundTrip.Seconds() / concurrency
	bound := 1.5*ideal + 1
	if pace > 0 {
		ideal = requests / pace
		bound = 1.1*ideal + 2
	}
	b.ReportMetric(took/ideal, "x-ideal")
	b.ReportMetric(took/bound, "x-bound")
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	b.ReportMetric(float64(memory.HeapSys)/(1<<20), "MiB")
}

// distant is the address of a way to a face which is half a round trip long.
func distant(b *testing.B, face harness.Face) string {
	b.Helper()
	u, err := url.Parse(face.URL)
	if err != nil {
		b.Fatal(err)
	}
	to := cmp.Or(face.Connect, u.Host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go carry(b.Context(), near, to)
		}
	}()
	return l.Addr().String()
}

// carry carries bytes both ways, each half a round trip late, until either end.
func carry(ctx context.Context, near net.Conn, to string) {
	defer func() { _ = near.Close() }()
	far, err := (&net.Dialer{}).DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	var wait sync.WaitGroup
	wait.Go(func() { late(far, near) })
	wait.Go(func() { late(near, far) })
	wait.Wait()
}

// late copies what comes, each piece half a round trip after it came.
func late(to, from net.Conn) {
	type piece struct {
		at   time.Time
		data []byte
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		for {
			data := make([]byte, 32<<10)
			n, err := from.Read(data)
			pieces <- piece{time.Now(), data[:n]}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.at.Add(roundTrip / 2)))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
	for range pieces { // until the reader ends
	}
	_, _ = io.Copy(io.Discard, from)
}
