package report

import (
	"fmt"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report/reporttest"
	"aegis.test/conformance/harness/signoff"
)

// large is a record of 300 expectations on 5 endpoints, with a timeline, every
// row with as much evidence as a run keeps of a pass: 3 exchanges and a control
// of each side; a tenth failed, with an exchange of each endpoint.
func large() signoff.Record {
	r := reporttest.Sample()
	rows := r.Findings
	r.Findings = nil
	for i := range 300 {
		f := rows[0]
		if i%10 == 0 {
			f = rows[2]
		}
		if i == 1 {
			f.Timeline = reporttest.Revocation()
		}
		f.ID, f.Chapter = fmt.Sprintf("AREA-%03d", i), fmt.Sprintf("chapter%d", i/40)
		probes := 3
		if f.Verdict == harness.Fail {
			probes = 5
		}
		f.Evidence = nil
		for n := range probes {
			f.Evidence = append(f.Evidence, exchanged(i, n, rows[0].Evidence[1]))
		}
		f.Evidence = append(f.Evidence, rows[0].Evidence[0], rows[0].Evidence[0])
		r.Findings = append(r.Findings, f)
		for c := range r.Clauses[:2] {
			r.Clauses[c].Expectations = append(r.Clauses[c].Expectations, f.ID)
		}
	}
	r.Catalogue.Expectations, r.Selection.Of, r.Selection.Selected = 300, 300, 300
	reporttest.Retally(&r)
	return r
}

func exchanged(i, n int, e harness.Evidence) harness.Evidence {
	e.ProbeID = fmt.Sprintf("20261123-205514-0a4df6-%06d%06d", i, n)
	e.Request = fmt.Sprintf("POST /endpoint%d with a token that expired 600 s ago", n)
	e.Body = `{"error":"unauthorized","detail":"` + strings.Repeat("x", 40) + `"}`
	return e
}

// TestLargePageIsSmall holds the page of a large record, of which a tenth failed, and that of
// a real one, against 1 MiB (the sign-off's own bound).
func TestLargePageIsSmall(t *testing.T) {
	const bound = 1 << 20
	for name, r := range map[string]signoff.Record{"large": large(), "real": reporttest.Real(t, "."), "broken": reporttest.Broken(reporttest.Real(t, "."))} {
		if page := files(t, r)["signoff.html"]; len(page) > bound {
			t.Errorf("%s: %d bytes; want %d or less", name, len(page), bound)
		} else {
			t.Logf("%s: %d bytes", name, len(page))
		}
	}
}

// BenchmarkRender renders every format of a large record; 300 ms is the bound.
func BenchmarkRender(b *testing.B) {
	r := large()
	for b.Loop() {
		if _, err := Files(r); err != nil {
			b.Fatal(err)
		}
	}
}
