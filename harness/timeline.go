package harness

import (
	"encoding/json"
	"time"
)

// Timeline is one change to a target, made under steady traffic: what was
// served, and whether rightly, moment by moment.
type Timeline struct {
	Change  string        // in words: "a client is taken from the list"
	Bound   time.Duration // how long the change may take to bite
	Window  time.Duration // how long was watched, from the first sample
	Marks   []Mark
	Samples []Sample
	Then    *Timeline // of a further change, made after it; nil where none was
}

// Mark is a moment of a timeline that has a name.
type Mark struct {
	AtMS  int64  `json:"at_ms"` // since the first sample
	Label string `json:"label"`
	// DoneMS is when what the mark is of had been done, where that took a while: a bound
	// counts from then. 0 is AtMS.
	DoneMS int64 `json:"done_ms,omitempty"`
}

// Done is when what a mark is of had been done, milliseconds.
func (m Mark) Done() int64 { return max(m.AtMS, m.DoneMS) }

// Sample is one call of a timeline.
type Sample struct {
	AtMS   int64  `json:"at_ms"` // since the first sample
	Class  string `json:"class"` // valid, expired, unenrolled
	Served bool   `json:"served"`
	Right  bool   `json:"right"` // whether serving it, or not, was right at that moment
}

// written is a timeline as a record holds it: durations in milliseconds.
type written struct {
	Change   string   `json:"change"`
	BoundMS  int64    `json:"bound_ms"`
	WindowMS int64    `json:"window_ms"`
	Marks    []Mark   `json:"marks"`
	Samples  []Sample `json:"samples"`

	Then *Timeline `json:"then,omitempty"`
}

// MarshalJSON writes durations in milliseconds, and no null.
func (t Timeline) MarshalJSON() ([]byte, error) {
	return json.Marshal(written{t.Change, t.Bound.Milliseconds(), t.Window.Milliseconds(),
		append([]Mark{}, t.Marks...), append([]Sample{}, t.Samples...), t.Then})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Timeline) UnmarshalJSON(data []byte) error {
	var w written
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*t = Timeline{
		w.Change,
		time.Duration(w.BoundMS) * time.Millisecond,
		time.Duration(w.WindowMS) * time.Millisecond,
		w.Marks,
		w.Samples,
		w.Then,
	}
	return nil
}
