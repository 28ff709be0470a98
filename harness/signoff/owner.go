package signoff

import (
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// Layer is a part of a deployment that somebody owns.
type Layer = harness.Layer

// Layers of a deployment.
const (
	IdP        = harness.IdPLayer
	Ingress    = harness.IngressLayer
	Service    = harness.ServiceLayer
	Vault      = harness.VaultLayer
	Monitoring = harness.MonitoringLayer
)

// owner is the layer that must change for a failure to end, as far as what was
// observed tells: who gave the answer, or let the request through.
func (f Finding) owner() Layer {
	if f.Verdict != harness.Fail {
		return ""
	}
	for _, row := range harness.CapabilityTable {
		called := row.Owner == Vault && f.Exchanges > 0 // what Vault holds or allows is read, and nobody called
		if row.Owner != "" && !called && slices.Contains(f.Needs, row.Name) {
			return row.Owner
		}
	}
	return f.answerer()
}

// unenrolled is the credential of a client who is not on the list, as evidence names it.
const unenrolled = "unenrolled certificate"

// answerer is the layer that answered the exchange that shows the failure.
func (f Finding) answerer() Layer {
	i := slices.IndexFunc(f.Evidence, func(e harness.Evidence) bool { return !e.Control })
	area, _, _ := strings.Cut(f.ID, "-")
	switch {
	case i >= 0 && f.Evidence[i].Reached == harness.NotReached:
		return Ingress
	case f.Chapter == "mtls" && f.Exchanges == 0:
		return Ingress // what clients were given was read: it would have to check revocation
	case i >= 0 && f.Bucket == harness.Security && f.Evidence[i].Credential == unenrolled:
		return Service // his certificate verifies: it is the list that he is not on
	case f.Chapter == "mtls" && f.Bucket == harness.Security:
		return Ingress // a client it should not have let in (runbook section 3)
	case f.Chapter == "identity" && f.Bucket == harness.Security && area == "HDR":
		return Ingress // it passed on an identity that it had not verified
	default:
		return Service
	}
}
