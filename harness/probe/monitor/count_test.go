package monitor

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/probetest"
	"aegis.test/conformance/harness/wire/wiretest"
)

// labelled is a service whose counter has no series before it has refused, as a
// counter with labels of prometheus_client has none.
func labelled(t *testing.T, counts bool) *harness.Target {
	var refused atomic.Int64
	target := wiretest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			refused.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	target.Endpoints = []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict"}}
	target.Metrics = map[harness.Mode]string{harness.OIDC: wiretest.Page(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "# TYPE aegis_auth_failures_total counter\n")
		if n := refused.Load(); n > 0 && counts {
			_, _ = fmt.Fprintf(w, "aegis_auth_failures_total{reason=\"missing\"} %d\n", n)
		}
	})}
	return target
}

// TestAbsentUntilTheFirst: a counter that is not there is asked for again after a
// refusal, which is made for it.
func TestAbsentUntilTheFirst(t *testing.T) {
	for _, counts := range []bool{true, false} {
		trace, err := FirstScrape().Act(wiretest.Within(t, 20*time.Second), probetest.On(labelled(t, counts)))
		if err != nil || len(trace.Tallies) != 1 {
			t.Fatalf("%+v, %v", trace.Tallies, err)
		}
		if tally := trace.Tallies[0]; tally.Calls != 1 || len(tally.Before.Series) != 0 || (len(tally.After.Series) == 1) != counts {
			t.Errorf("counts %v: %+v", counts, tally)
		}
	}
}

// TestReadAgain: a page whose count is not what was done is read again.
func TestReadAgain(t *testing.T) {
	var asked atomic.Int64
	target := labelled(t, true)
	target.Metrics[harness.OIDC] = wiretest.Page(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "aegis_auth_failures_total %d\n", asked.Add(1)%2)
	})
	trace, err := Count(probe.NoCredential(harness.OIDC), 3).Act(wiretest.Within(t, 20*time.Second), probetest.On(target))
	if err != nil || len(trace.Tallies) != 1 || len(trace.Tallies[0].Again) != restless {
		t.Errorf("%+v, %v", trace.Tallies, err)
	}
}
