package report

import (
	"slices"

	"aegis.test/conformance/harness/signoff"
)

// timings is where a run's time went.
type timings struct {
	Wall     string
	Requests int
	Chapters []lasting
	Slowest  []lasting
}

// lasting is one thing with the time it took.
type lasting struct {
	Name     string
	N        int
	Requests int
	Millis   int64
	Share    int64 // of the longest, percent
}

// slowest is how many expectations are shown by time.
const slowest = 10

func timed(r signoff.Record) timings {
	t := timings{Wall: duration(r)}
	for _, c := range chapters(r) {
		row := lasting{Name: c.Name, N: len(c.Findings)}
		for _, f := range c.Findings {
			row.Requests += f.Requests
			row.Millis += f.Millis
			t.Slowest = append(t.Slowest, lasting{Name: f.ID, N: 1, Requests: f.Requests, Millis: f.Millis})
		}
		t.Requests += row.Requests
		t.Chapters = append(t.Chapters, row)
	}
	slices.SortStableFunc(t.Slowest, func(a, b lasting) int { return int(b.Millis - a.Millis) })
	t.Slowest = t.Slowest[:min(slowest, len(t.Slowest))]
	share(t.Chapters)
	share(t.Slowest)
	return t
}

func share(rows []lasting) {
	longest := int64(1)
	for _, row := range rows {
		longest = max(longest, row.Millis)
	}
	for i := range rows {
		rows[i].Share = 100 * rows[i].Millis / longest
	}
}
