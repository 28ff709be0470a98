package endpoints

import (
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/probe/edge"
	"aegis.test/conformance/harness/token"
)

// Ingress are the expectations on every other way to the critical endpoints:
// around the ingress, beside it, and through it while it changes.
var Ingress = []Expectation{
	{
		ID: "ING-001", Title: "Backend not reachable around the ingress", Clauses: []string{"G.2", "3.5"},
		Source: "RFC 9440 section 4; runbook section 3", Level: MUST,
		Rule:     Says("The service's own address serves nobody without a credential, nor one who merely claims the enrolled identity there, or it is not reachable."),
		Stimulus: edge.Around(), Outcome: outcome.Elsewhere{},
	},
	{
		ID: "ING-002", Title: "Sibling ports", Clauses: []string{"G.2", "3.5"},
		Source: "OWASP API8:2023; Envoy, administration interface", Level: MUST,
		Rule:     Says("No further address of the ingress serves a critical endpoint, or the ingress's administration, to a caller without a credential."),
		Stimulus: edge.Beside(), Outcome: outcome.Elsewhere{},
	},
	{
		ID: "ING-003", Title: "Plain HTTP", Clauses: []string{"3.2"},
		Source: "ASVS 4.1.2, 12.2.1", Level: MUST,
		Rule:     Says("The port of plain HTTP hands no call on, with or without a credential: it redirects to https, or refuses."),
		Stimulus: edge.InPlainHTTP(), Outcome: outcome.Elsewhere{},
	},
	{
		ID: "ING-004", Title: "Every address", Clauses: []string{"3.2", "3.5"},
		Source: "runbook section 3", Level: MUST, Tier: Core,
		Rule:     Says("Every address at which the face is served gives the same denial, asked by name and by address."),
		Stimulus: edge.EveryAddress(), Outcome: outcome.Elsewhere{Same: true},
	},
	{
		ID: "ING-005", Title: "Other virtual hosts", Clauses: []string{"G.2", "3.5"},
		Source: "ingress-nginx, client certificate authentication is per host; CVE-2026-48491", Level: MUST, Tier: Core,
		Rule:     Says("No other name at the face's address leads to a critical endpoint without a credential."),
		Stimulus: edge.OtherHosts(), Outcome: outcome.Elsewhere{},
	},
	{
		ID: "ING-006", Title: "Failed verification never reaches the backend", Clauses: []string{"3.5"},
		Source: "runbook section 3", Level: MUST,
		Rule:     Says("A call whose certificate does not verify leaves no line in the service's request log."),
		Stimulus: probe.Presenting(clientcert.Untrusted(), clientcert.SelfSigned()).Needing(Logs),
		Outcome:  outcome.Unauthenticated().Blocked(),
	},
	{
		ID: "ING-007", Title: "HTTP/3 enforces as TCP does", Clauses: []string{"3.2"},
		Source: "CVE-2026-53622; RFC 9114 sections 3.1.1 and 3.3", Level: MUST,
		Rule:     Says("Where HTTP/3 is spoken, announced or not, who has the right is served by it too, and who has none is refused as by TCP."),
		Stimulus: probe.NoCredential(MTLS).And(probe.Presenting(clientcert.Untrusted()), probe.Presenting(clientcert.Enrolled()).Once(), probe.ByHTTP3()),
		Outcome:  outcome.ByHTTP3{Outcome: byHTTP3()},
	},
	{
		ID: "ING-008", Title: "Outage of the external authorizer", Clauses: []string{"3.5"},
		Source: "Envoy, failure_mode_allow; Istio, CVE-2021-21378; ASVS 16.5.3", Level: MUST,
		Rule:     Says("While the external authorizer that the ingress asks does not answer, no call is served."),
		Stimulus: edge.WithoutAuthorizer(), Outcome: outcome.FailsClosed{}, Unless: noAuthorizer,
	},
	{
		ID: "ING-009", Title: "No open window on reload", Clauses: []string{"3.2", "3.5"},
		Source: "ASVS 16.5.3; runbook section 7", Level: MUST,
		Rule:     Says("While the ingress is reloaded, no call without a certificate is served."),
		Stimulus: edge.WhileReloading(3), Outcome: outcome.Through{Outcome: outcome.Unauthenticated()},
	},
	{
		ID: "ING-010", Title: "The hop to the backend is protected", Clauses: []string{"3.5"},
		Source: "RFC 9440 section 4; ASVS 12.3.3, 12.3.5", Level: MUST,
		Rule:     Says("A neighbour of the ingress gets nothing out of the service by plain HTTP at the service's own address."),
		Stimulus: edge.AsPeer(), Outcome: outcome.Elsewhere{},
	},
	{
		ID: "ING-011", Title: "The mesh's default is not permissive", Clauses: []string{"3.2", "3.5"},
		Source: "Linkerd, defaultInboundPolicy; Istio, PERMISSIVE", Level: MUST,
		Rule:     Says("In a mesh, a call in the clear from outside of it is refused."),
		Stimulus: edge.AsPeer(), Outcome: outcome.Elsewhere{}, Unless: noMesh,
	},
}

func noMesh(p Profile) string {
	if p.Mesh {
		return ""
	}
	return "the profile declares no service mesh"
}

func noAuthorizer(p Profile) string {
	if p.Authorizer {
		return ""
	}
	return "the profile declares no external authorizer"
}

// byHTTP3 are the answers by TCP and by HTTP/3.
func byHTTP3() outcome.PerVariant {
	answers := outcome.PerVariant{
		"no credential" + probe.InHTTP3:              outcome.Unauthenticated(),
		probe.ClaimEnrolled().Name + probe.InHTTP3:   outcome.Unauthenticated(),
		clientcert.Unenrolled().Name + probe.InHTTP3: outcome.Forbidden(),
		"no credential": outcome.Unauthenticated(),
	}
	for name, want := range map[string]Outcome{
		clientcert.Enrolled().Name: outcome.Accepted(), clientcert.Untrusted().Name: outcome.Unauthenticated(), token.Sound().Name: outcome.Accepted(),
	} {
		answers[name], answers[name+probe.InHTTP3] = want, want
	}
	return answers
}
