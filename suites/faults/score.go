package faults

import (
	"context"
	"fmt"
	"slices"
)

// Sound judges the plan's expectations on the reference: whatever fails there is a
// false alarm.
func (p Plan) Sound(ctx context.Context) Result { return p.one(ctx, Reference) }

// Score is what a matrix is worth.
type Score struct {
	Planted     int      `json:"planted"`
	Caught      int      `json:"caught"`
	Exact       int      `json:"exact"`
	Errors      int      `json:"errors"`
	FalseAlarms int      `json:"false_alarms"` // expectations that failed, or could not be told, on the reference
	InPart      []string `json:"caught_in_part"`
	Survived    []string `json:"survived"` // nothing that they name failed
	Again       int      `json:"again"`    // judged once more, alone: the first result was not exact
}

// Count scores a matrix.
func Count(sound Result, results []Result) Score {
	s := Score{Planted: len(results), FalseAlarms: len(sound.CaughtBy) + len(sound.Masked), InPart: []string{}, Survived: []string{}}
	for _, r := range slices.Concat([]Result{sound}, results) {
		if r.Error != "" {
			s.Errors++
		}
	}
	for _, r := range results {
		if r.First != "" {
			s.Again++
		}
		switch {
		case r.Exact:
			s.Caught++
			s.Exact++
		case r.Caught:
			s.Caught++
		case r.inPart():
			s.InPart = append(s.InPart, r.ID)
		default:
			s.Survived = append(s.Survived, r.ID)
		}
	}
	return s
}

// String is the score in one line.
func (s Score) String() string {
	line := fmt.Sprintf("%d of %d faults caught, %d of them by exactly what they name; %d caught in part, %d survived; %d false alarms on the reference; %d could not be planted",
		s.Caught, s.Planted, s.Exact, len(s.InPart), len(s.Survived), s.FalseAlarms, s.Errors)
	if s.Again > 0 {
		line += fmt.Sprintf("; %d judged once more, alone", s.Again)
	}
	return line
}
