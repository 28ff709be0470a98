package probe

import (
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// PastIngress calls the mtls service at its own address, as whoever reaches it
// there could: each form claims the enrolled identity (HDR-022).
func PastIngress(forms ...Form) Calls {
	past := Variant{Name: "past the ingress", Mode: harness.MTLS,
		Needs: []harness.Capability{harness.BackendPath, harness.GivenClientCerts},
		Prepare: shaped(func(t *harness.Target, r *harness.Request) {
			if face, ok := t.Backends[harness.MTLS]; ok {
				r.To(face)
			}
		})}
	return Call("no certificate, past the ingress at the service's own address", past).Adding(forms...)
}

// DirectClaims are ways to claim the enrolled identity past the ingress: by the
// header alone, by it and what an ingress might prove itself with.
func DirectClaims() []Form {
	return []Form{
		claims("the identity header", func(header, enrolled string) []harness.Field {
			return []harness.Field{{Name: header, Value: enrolled}}
		}),
		claims("the identity header and an empty proof", func(header, enrolled string) []harness.Field {
			return []harness.Field{{Name: header, Value: enrolled}, {Name: harness.ProxyHeader, Value: ""}}
		}),
		claims("the identity header and a guessed proof", func(header, enrolled string) []harness.Field {
			return []harness.Field{{Name: header, Value: enrolled}, {Name: harness.ProxyHeader, Value: token.Random(16)}}
		}),
		claims("the identity header, and the marks of a proxy", func(header, enrolled string) []harness.Field {
			return []harness.Field{{Name: header, Value: enrolled}, {Name: "X-Forwarded-For", Value: "127.0.0.1"},
				{Name: "X-Forwarded-Proto", Value: "https"}, {Name: "X-SSL-Client-Verify", Value: "SUCCESS"}}
		}),
	}
}
