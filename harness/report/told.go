package report

import (
	"fmt"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// answer answers the question a sign-off is for: may this build go to
// production with authentication enforced?
func answer(r signoff.Record) string {
	switch {
	case r.Verdict == signoff.Failed:
		return "No: this must not go to production as it is."
	case r.Verdict == signoff.Invalid:
		return "No answer: this run gives no verdict on a release."
	case r.Kind == harness.Rehearsal:
		return "No answer: a rehearsal is no release evidence."
	case r.Verdict == signoff.Incomplete:
		return "Not yet: nothing failed, but not everything was seen."
	case r.Kind == harness.SelfTest:
		return "The harness and the reference service hold; no build of yours was judged."
	case r.Verdict == signoff.WithWaivers:
		return "Yes, under the waivers below, until the first of them expires."
	case r.Claim == signoff.CoreClaim:
		return "Yes, of what any staging can show: core was seen to hold. What only a stack can show is for the image's own run; conformance release makes the two one."
	default:
		return "Yes: every expectation that applies was seen to hold."
	}
}

// build says what was under test.
func build(r signoff.Record) string {
	b := r.Build
	if b == nil || b.Image == "" && b.ImageDigest == "" && b.Commit == "" {
		if at := r.Target.Start; at != nil && at.Version != "" {
			return "says it is " + clip(at.Version, 80)
		}
		return "not known"
	}
	text := b.Image
	if text == "" {
		text = "image not named"
	}
	if b.ImageDigest != "" {
		text += " " + clip(b.ImageDigest, len("sha256:")+13)
	}
	if b.Commit != "" {
		text += ", commit " + clip(b.Commit, 13)
	}
	return text
}

// clock says how far the target's clock was off.
func clock(r signoff.Record) string {
	c := r.Clock
	bound := time.Duration(c.BoundMS) * time.Millisecond
	if !c.Measured {
		return fmt.Sprintf("its offset was not measured; %s is the bound", bound)
	}
	return fmt.Sprintf("%s off, by its %s; %s is the bound", time.Duration(c.OffsetMS)*time.Millisecond, c.Source, bound)
}

// conduct says what the run met on its way; empty where there is nothing to tell.
func conduct(r signoff.Record) string {
	c := r.Conduct
	if c == nil {
		return ""
	}
	var words []string
	if c.Asked > 0 {
		words = append(words, fmt.Sprintf("the target asked for time %d times (429, Retry-After), and was given %s of %s", c.Asked, c.Waited.Round(time.Second), c.Most))
	}
	if c.Again > 0 {
		words = append(words, fmt.Sprintf("%d requests were sent again", c.Again))
	}
	return strings.Join(words, "; ")
}

// identity says what a target showed of itself.
func identity(i *signoff.Identity) string {
	if i == nil {
		return "not looked at"
	}
	text := fmt.Sprintf("version %s, server %s", or(i.Version, "unknown"), or(i.Server, "unknown"))
	if i.Certificate != "" {
		text += ", certificate " + i.Certificate
	}
	return text + ", at " + moment(i.At)
}

// waived says what leave there is for a failure; empty when there is none.
func waived(r signoff.Record, f signoff.Finding) string {
	w, ok := r.Waived(f)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s, by %s for %s, until %s (%s)", w.Reason, w.Approver, w.Owner, w.Expires, w.Ticket)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// owner says whose a failure is.
func owner(l signoff.Layer) string {
	switch l {
	case signoff.IdP:
		return "the IdP"
	case signoff.Ingress:
		return "the ingress or mesh"
	case signoff.Service:
		return "the service"
	case signoff.Vault:
		return "Vault: its policies or what it holds"
	case signoff.Monitoring:
		return "monitoring: its rules or its routes"
	default:
		return "nobody known"
	}
}
