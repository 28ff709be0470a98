package harness

import "time"

// Late is a span in which the harness itself was late: what it had to do every few
// milliseconds it came to do only later.
type Late struct {
	From, To time.Time
	By       time.Duration // in all
}

// LateIn is how late the harness was in all between two moments.
func LateIn(spans []Late, from, to time.Time) (by time.Duration) {
	for _, s := range spans {
		if s.To.After(from) && s.From.Before(to) {
			by += s.By
		}
	}
	return by
}

// Overdue says that something had not come about by the bound of time that is put on it.
type Overdue struct {
	Since time.Time     // when its time began
	Bound time.Duration // how long it may take
	Until time.Time     // when it was last looked for
}
