package probe

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe/probetest"
	"aegis.test/conformance/harness/wire/wiretest"
)

// TestPairwise: every two values of two factors meet in some row, in far fewer rows than
// all combinations, and the same seed gives the same rows.
func TestPairwise(t *testing.T) {
	for seed := range uint64(20) {
		sizes := []int{13, 6, 4, 4}
		rows := pairwise(seed, sizes...)
		met := map[[4]int]bool{}
		for _, row := range rows {
			for i := range row {
				if row[i] < 0 || row[i] >= sizes[i] {
					t.Fatalf("seed %d: %v is none of %v", seed, row, sizes)
				}
				for j := i + 1; j < len(row); j++ {
					met[[4]int{i, row[i], j, row[j]}] = true
				}
			}
		}
		if want := 13*6 + 13*4 + 13*4 + 6*4 + 6*4 + 4*4; len(met) != want {
			t.Errorf("seed %d: %d pairs meet, want %d", seed, len(met), want)
		}
		if len(rows) > 2*13*6 {
			t.Errorf("seed %d: %d rows for 78 pairs of the two largest factors", seed, len(rows))
		}
		if again := pairwise(seed, sizes...); !slices.EqualFunc(rows, again, slices.Equal) {
			t.Errorf("seed %d: two calls gave different rows", seed)
		}
	}
}

// TestRespelled: a path is respelled, and what is asked of it stays behind it.
func TestRespelled(t *testing.T) {
	for target, want := range map[string]string{
		"/predict": "//predict/", "/predict?a=b": "//predict/?a=b", "/predict?a=/b?": "//predict/?a=/b?",
	} {
		if got := respelled(target, func(p string) string { return "/" + p + "/" }); got != want {
			t.Errorf("%q became %q, want %q", target, got, want)
		}
	}
	if got := respelled("/predict?a=b", func(p string) string { return p + "?x" }); got != "/predict?x&a=b" {
		t.Errorf("a query became %q", got)
	}
}

// TestCrossings: every way is gone by every caller; what is served to one is served by that
// way alone.
func TestCrossings(t *testing.T) {
	var mu sync.Mutex
	served := map[string]bool{}
	target := wiretest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.RequestURI, "//predict") && r.Header.Get("X-Ssl-Client-Cn") == "aegis-client" {
			mu.Lock()
			served[r.Header.Get(harness.ProbeHeader)] = true
			mu.Unlock()
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	target.Endpoints = []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict", Body: []byte(`{}`)}}
	target.Tokens.Valid = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.c2lnbmF0dXJlLW9mLW5vYm9keQ"
	requests, _, err := crossed(target)
	if err != nil {
		t.Fatal(err)
	}
	callers := map[string]int{}
	for _, r := range requests {
		callers[r.Credential]++
		if !strings.HasPrefix(r.Variant, r.Credential+", ") {
			t.Errorf("variant %q does not begin with who calls, %q", r.Variant, r.Credential)
		}
	}
	kinds := wayKinds(target, harness.OIDC)
	ways := 0
	for _, kind := range kinds {
		ways += len(kind.ways)
	}
	if len(callers) < 2 {
		t.Errorf("called as %v", callers)
	}
	for who, n := range callers {
		if n < ways {
			t.Errorf("%s went %d ways of %d", who, n, ways)
		}
	}
	trace, err := Crossings().Act(wiretest.Within(t, time.Minute), probetest.On(target))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, x := range trace.Exchanges {
		ok := served[x.Request.Get(harness.ProbeHeader)]
		if ok {
			found++
		}
		if ok != (x.Observation.Status == http.StatusOK) {
			t.Errorf("%s: %d", x.Request.Variant, x.Observation.Status)
		}
	}
	if found == 0 {
		t.Error("what is served at //predict to who claims an identity was not found")
	}
	if !slices.ContainsFunc(trace.Notes, func(note string) bool { return strings.Contains(note, "seeded") }) {
		t.Errorf("notes %q do not name the seed", trace.Notes)
	}
}
