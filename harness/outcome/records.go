package outcome

import (
	"fmt"

	"aegis.test/conformance/harness"
)

// OneEach wants a search to find nothing, and one record of each denial in the
// service's log, whatever the caller wrote: neither more nor none.
func (h Hidden) OneEach() harness.Outcome { return oneEach{h} }

type oneEach struct{ Hidden }

// Judge judges the search, and counts. Only records that give a reason count, as
// lines of access may stand beside them. That one must be there holds where the log
// told of the controls, and the service is known to have had the call: an ingress may
// have refused it (rulings A-27).
func (o oneEach) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	j := o.Hidden.Judge(p, t)
	told := tells(t)
	uncounted := 0
	for _, record := range t.Records {
		x := t.Exchanges[record.Exchange]
		status := x.Observation.Status
		if status != 401 && status != 403 {
			continue
		}
		count, reached := len(reasoned(record.Lines)), x.Observation.Reached
		if !told[x.Request.Mode] {
			j.Notes = add(j.Notes, fmt.Sprintf("records in mode %s were not counted: the log has none, by the call's ID, of a denial that "+
				"nobody disguised", x.Request.Mode))
			continue
		}
		if count == 0 && (reached == nil || reached.Seen == 0) {
			uncounted++
			continue
		}
		if count != 1 {
			problem := contract(fmt.Sprintf("%d records of the denial", count), "one record an event")
			problem.Exchange = record.Exchange
			j.Problems = append(j.Problems, *problem)
		}
	}
	if uncounted > 0 {
		j.Notes = append(j.Notes, fmt.Sprintf("denials without a record that the service is not known to have had: %d", uncounted))
	}
	return j
}

// tells are the modes in which every control that was refused has left a record of
// its denial.
func tells(t harness.Trace) map[harness.Mode]bool {
	told := map[harness.Mode]bool{}
	for _, record := range t.Records {
		r := t.Exchanges[record.Exchange].Request
		if !r.Control {
			continue
		}
		before, known := told[r.Mode]
		told[r.Mode] = len(reasoned(record.Lines)) > 0 && (before || !known)
	}
	return told
}
