package signoff

import (
	"slices"
	"strings"

	"aegis.test/conformance/harness"
)

// Layer is a part of a deployment that somebody owns.
type Layer string

// Layers of a deployment.
const (
	IdP        Layer = "idp"
	Ingress    Layer = "ingress"
	Service    Layer = "service"
	Vault      Layer = "vault"
	Monitoring Layer = "monitoring"
)

// owner is the layer that must change for a failure to end, as far as what was
// observed tells: who gave the answer, or let the request through.
func (f Finding) owner() Layer {
	needs := func(c harness.Capability) bool { return slices.Contains(f.Needs, c) }
	switch {
	case f.Verdict != harness.Fail:
		return ""
	case needs(harness.AlertsAPI):
		return Monitoring
	case needs(harness.RestartService):
		return Service // it started as it must not, or did not start
	case needs(harness.DeploymentRead):
		return Service // it was deployed as it must not
	case f.Exchanges == 0 && (needs(harness.VaultRead) || needs(harness.VaultWrite)):
		return Vault // what it holds or allows was read, and nobody was called
	case needs(harness.BackendPath):
		return Service // it was called behind the ingress
	}
	return f.answerer()
}

// unenrolled is the credential of a client who is not on the list, as evidence names it.
const unenrolled = "unenrolled certificate"

// answerer is the layer that answered the exchange that shows the failure.
func (f Finding) answerer() Layer {
	i := slices.IndexFunc(f.Evidence, func(e harness.Evidence) bool { return !e.Control })
	switch {
	case i >= 0 && f.Evidence[i].Reached == harness.NotReached:
		return Ingress
	case f.Chapter == "mtls" && f.Exchanges == 0:
		return Ingress // what clients were given was read: it would have to check revocation
	case i >= 0 && f.Bucket == harness.Security && strings.HasSuffix(f.Evidence[i].Request, " with "+unenrolled):
		return Service // his certificate verifies: it is the list that he is not on
	case f.Chapter == "mtls" && f.Bucket == harness.Security:
		return Ingress // a client it should not have let in (runbook section 3)
	case f.Chapter == "identity" && f.Bucket == harness.Security && strings.HasPrefix(f.ID, "HDR-"):
		return Ingress // it passed on an identity that it had not verified
	default:
		return Service
	}
}
