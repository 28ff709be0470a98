package harness

import (
	"encoding/json"
	"time"
)

// Conduct is what a run met on its way that was not the target's verdict: what it
// waited for, and what it sent again.
type Conduct struct {
	Asked  int           // answers that asked for time (Retry-After)
	Waited time.Duration // for them
	Most   time.Duration // that was allowed for them
	Again  int           // requests that were answered when they were sent again
}

// met is a conduct as a record holds it: durations in milliseconds.
type met struct {
	Asked    int   `json:"asked"`
	WaitedMS int64 `json:"waited_ms"`
	MostMS   int64 `json:"most_ms"`
	Again    int   `json:"again"`
}

// Uneventful reports that there is nothing to tell.
func (c Conduct) Uneventful() bool { return c.Asked == 0 && c.Again == 0 }

// Plus is the conduct of two runs that are one.
func (c Conduct) Plus(other Conduct) Conduct {
	return Conduct{c.Asked + other.Asked, c.Waited + other.Waited, c.Most + other.Most, c.Again + other.Again}
}

// MarshalJSON writes durations in milliseconds.
func (c Conduct) MarshalJSON() ([]byte, error) {
	return json.Marshal(met{c.Asked, c.Waited.Milliseconds(), c.Most.Milliseconds(), c.Again})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Conduct) UnmarshalJSON(data []byte) error {
	var m met
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	*c = Conduct{m.Asked, time.Duration(m.WaitedMS) * time.Millisecond, time.Duration(m.MostMS) * time.Millisecond, m.Again}
	return nil
}
