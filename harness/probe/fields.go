package probe

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/harness/wire"
)

// PastIngress calls the mtls service at its own address, as whoever reaches it
// there could: each form claims the enrolled identity (HDR-022).
func PastIngress(forms ...Change) Calls {
	past := Alter("past the ingress", func(t *harness.Target, r *harness.Request) {
		if face, ok := t.Backends[harness.MTLS]; ok {
			r.To(face)
		}
	}).needing(harness.BackendPath, harness.GivenClientCerts)
	return In(harness.MTLS, "no certificate, past the ingress at the service's own address", past).Adding(forms...)
}

// DirectClaims are ways to claim the enrolled identity past the ingress: by the
// header alone, by it and what an ingress might prove itself with.
func DirectClaims() []Change {
	return []Change{
		claimBy("the identity header", func(header, enrolled string) []harness.Field {
			return []harness.Field{{Name: header, Value: enrolled}}
		}),
		claimBy("the identity header and an empty proof", func(header, enrolled string) []harness.Field {
			return []harness.Field{{Name: header, Value: enrolled}, {Name: harness.ProxyHeader, Value: ""}}
		}),
		claimBy("the identity header and a guessed proof", func(header, enrolled string) []harness.Field {
			return []harness.Field{{Name: header, Value: enrolled}, {Name: harness.ProxyHeader, Value: token.Random(16)}}
		}),
		claimBy("the identity header, and the marks of a proxy", func(header, enrolled string) []harness.Field {
			return []harness.Field{{Name: header, Value: enrolled}, {Name: "X-Forwarded-For", Value: "127.0.0.1"},
				{Name: "X-Forwarded-Proto", Value: "https"}, {Name: "X-SSL-Client-Verify", Value: "SUCCESS"}}
		}),
	}
}

// Sends is a change of one field whose value is known beforehand.
func Sends(name, value string) Change {
	return Fields(name+": "+value, func(*harness.Target) []harness.Field { return []harness.Field{{Name: name, Value: value}} })
}

// claimBy is a change of fields that name the enrolled client.
func claimBy(name string, fields func(header, enrolled string) []harness.Field) Change {
	return Fields(name, func(t *harness.Target) []harness.Field {
		return fields(t.Profile.Header(), clientcert.Claim(t, t.Certs.EnrolledCN))
	})
}

// spelled claims the enrolled identity under another spelling of the header.
func spelled(name string, spell func(header string) string) Change {
	return claimBy(name, func(header, enrolled string) []harness.Field {
		return []harness.Field{{Name: spell(header), Value: enrolled}}
	})
}

// OtherCases claim the enrolled identity under the header's name in other
// letters (HDR-005).
func OtherCases() []Change {
	return []Change{
		spelled("the header in capitals", strings.ToUpper),
		spelled("the header in mixed case", clientcert.Mixed),
		spelled("the header in title case", func(header string) string {
			words := strings.Split(header, "-")
			for i, w := range words {
				words[i] = strings.ToUpper(w[:min(1, len(w))]) + w[min(1, len(w)):]
			}
			return strings.Join(words, "-")
		}),
	}
}

// OtherCaseH2 has an unenrolled client claim it so in HTTP/2, where a name in
// capitals makes a message malformed (RFC 9113 section 8.2.1; HDR-005).
func OtherCaseH2() Calls {
	claim := Alter("the header in capitals, in HTTP/2", func(t *harness.Target, r *harness.Request) {
		r.Protocol = wire.H2
		r.Raw = wire.Framed(*r, []harness.Field{{Name: strings.ToUpper(t.Profile.Header()), Value: clientcert.Claim(t, t.Certs.EnrolledCN)}}, r.Body)
	}).needing(harness.GivenClientCerts)
	return In(harness.MTLS, "an unenrolled certificate with the header in capitals, in HTTP/2",
		Certified(clientcert.Unenrolled()).then(claim, " with "))
}

// Underscores claim it under names that a CGI-like gateway takes for the
// header's (CVE-2015-0219; HDR-006).
func Underscores() []Change {
	return []Change{
		spelled("underscores for hyphens", func(header string) string { return strings.ReplaceAll(header, "-", "_") }),
		spelled("one underscore", func(header string) string { return strings.Replace(header, "-", "_", 1) }),
		spelled("underscores in capitals", func(header string) string { return strings.ToUpper(strings.ReplaceAll(header, "-", "_")) }),
		spelled("an underscore at the end", func(header string) string {
			i := strings.LastIndex(header, "-")
			return header[:max(i, 0)] + "_" + header[i+1:]
		}),
	}
}

// MalformedNames claim it in lines that are none of HTTP (RFC 9112 sections 5.1
// and 5.2; HDR-007).
func MalformedNames() []Change {
	return []Change{
		spelled("a space before the colon", func(header string) string { return header + " " }),
		spelled("a tab before the colon", func(header string) string { return header + "\t" }),
		spelled("a NUL in the name", func(header string) string { return header + "\x00" }),
		spelled("a vertical tab in the name", func(header string) string { return header + "\x0b" }),
		spelled("a space before the name", func(header string) string { return " " + header }),
		claimBy("a folded line", func(header, enrolled string) []harness.Field {
			return []harness.Field{{Name: "X-Note", Value: "a\r\n " + header + ": " + enrolled}}
		}),
		claimBy("a folded value", func(header, enrolled string) []harness.Field {
			return []harness.Field{{Name: header, Value: "\r\n " + enrolled}}
		}),
		claimBy("a bare CR", func(header, enrolled string) []harness.Field {
			return []harness.Field{{Name: "X-Note", Value: "a\r" + header + ": " + enrolled}}
		}),
		claimBy("a bare LF", func(header, enrolled string) []harness.Field {
			return []harness.Field{{Name: "X-Note", Value: "a\n" + header + ": " + enrolled}}
		}),
	}
}

// HopByHop is a change that declares the identity header to be of this hop only
// (RFC 9110 section 7.6.1; HDR-008).
func HopByHop() Change {
	return claimBy("Connection: the identity header", func(header, _ string) []harness.Field {
		return []harness.Field{{Name: "Connection", Value: "close, " + header}}
	})
}

// HopByHopClaim is the same, beside a claim of the enrolled identity.
func HopByHopClaim() Change {
	return claimBy("a claim, and Connection: the identity header", func(header, enrolled string) []harness.Field {
		return []harness.Field{{Name: header, Value: enrolled}, {Name: "Connection", Value: "close, " + header}}
	})
}

// siblings are other headers that some ingress uses for an identity, and the
// values it would give the enrolled client (HDR-009).
var siblings = map[string]string{
	"X-Forwarded-Client-Cert":            `By=spiffe://cluster.local/ns/default/sa/aegis;Hash={hash};Subject="CN={cn}";URI=;DNS={cn}`,
	"ssl-client-subject-dn":              "CN={cn}",
	"ssl-client-verify":                  "SUCCESS",
	"X-SSL-Client-Verify":                "SUCCESS",
	"X-SSL-Verified":                     "1",
	"X-SSL-Client-DN":                    "CN={cn}",
	"X-SSL-Client-S-DN":                  "/CN={cn}",
	"ssl-client-cert":                    "{pem}",
	"X-SSL-Client-Cert":                  "{pem}",
	"X-Client-Cert":                      "{pem}",
	"Client-Cert":                        ":{der}:",
	"Client-Cert-Chain":                  ":{der}:",
	"X-Forwarded-Tls-Client-Cert":        "{der}",
	"X-Forwarded-Tls-Client-Cert-Info":   "Subject%3D%22CN%3D{cn}%22",
	"l5d-client-id":                      "{cn}",
	"X-Remote-User":                      "{cn}",
	"Remote-User":                        "{cn}",
	"X-Forwarded-User":                   "{cn}",
	"X-Auth-Request-User":                "{cn}",
	"X-ARR-ClientCert":                   "{der}",
	"X-Amzn-Mtls-Clientcert-Subject":     "CN={cn}",
	"X-Goog-Client-Cert-Subject-Dn":      "CN={cn}",
	"X-Client-Cert-Chain-Verified":       "true",
	"X-Amzn-Mtls-Clientcert-Leaf":        "{pem}",
	"Cf-Client-Cert-Der-Base64":          "{der}",
	"X-Client-Verify":                    "SUCCESS",
	"X-Ssl-Client-Cn-Verified":           "{cn}",
	"X-Forwarded-Client-Cn":              "{cn}",
	"X-Authenticated-User":               "{cn}",
	"X-Authenticated-Client-Common-Name": "{cn}",
}

// Siblings are those headers, all together and each by itself: what names a
// client may be believed only beside what says that it was verified.
func Siblings() []Change {
	all := Fields("every sibling of the identity header", func(t *harness.Target) []harness.Field {
		var fields []harness.Field
		for _, name := range slices.Sorted(maps.Keys(siblings)) {
			fields = append(fields, sibling(t, name))
		}
		return fields
	})
	named := Fields("every sibling of the identity header, with the name alone", func(t *harness.Target) []harness.Field {
		var fields []harness.Field
		for _, name := range slices.Sorted(maps.Keys(siblings)) {
			if strings.Contains(siblings[name], "{cn}") {
				fields = append(fields, harness.Field{Name: name, Value: t.Certs.EnrolledCN})
			}
		}
		return fields
	})
	changes := []Change{all, named}
	for _, name := range []string{"X-Forwarded-Client-Cert", "ssl-client-subject-dn", "Client-Cert", "X-Forwarded-User"} {
		changes = append(changes, Fields(name, func(t *harness.Target) []harness.Field { return []harness.Field{sibling(t, name)} }))
	}
	return changes
}

// elsewhereNamed are the names under which a service may look for a client beside the
// identity header.
var elsewhereNamed = []string{"client_cn", "cn", "client", "client_id", "user", "identity"}

// ClaimElsewhere has the enrolled identity claimed where a header does not stand: in the
// query, in cookies, and in the body, as a form and as JSON, each under many names.
func ClaimElsewhere() []Change {
	names := func(t *harness.Target) []string {
		header := strings.ToLower(t.Profile.Header())
		return append(slices.Clone(elsewhereNamed), header, strings.ReplaceAll(header, "-", "_"))
	}
	values := func(t *harness.Target) url.Values {
		all := url.Values{}
		for _, name := range names(t) {
			all.Set(name, t.Certs.EnrolledCN)
		}
		return all
	}
	return []Change{
		Alter("and the enrolled name in the query", func(t *harness.Target, r *harness.Request) { r.Path += "?" + values(t).Encode() }),
		Alter("and the enrolled name in cookies", func(t *harness.Target, r *harness.Request) {
			r.Set("Cookie", strings.ReplaceAll(values(t).Encode(), "&", "; "))
		}),
		Alter("and the enrolled name in a form", func(t *harness.Target, r *harness.Request) {
			r.Body = []byte(values(t).Encode())
			r.Set("Content-Type", "application/x-www-form-urlencoded")
		}),
		Alter("and the enrolled name in JSON", func(t *harness.Target, r *harness.Request) {
			members := map[string]any{}
			_ = json.Unmarshal(r.Body, &members) // what is no object is replaced by one
			for _, name := range names(t) {
				members[name] = t.Certs.EnrolledCN
			}
			r.Body, _ = json.Marshal(members) // of JSON and texts
			r.Set("Content-Type", "application/json")
		}),
	}
}

func sibling(t *harness.Target, name string) harness.Field {
	var der []byte
	chain := t.Certs.Enrolled.Chain
	if block, _ := pem.Decode(chain); block != nil {
		der, chain = block.Bytes, pem.EncodeToMemory(block)
	}
	return harness.Field{Name: name, Value: strings.NewReplacer(
		"{cn}", t.Certs.EnrolledCN, "{pem}", url.QueryEscape(string(chain)), "{der}", base64.StdEncoding.EncodeToString(der),
		"{hash}", fmt.Sprintf("%064x", len(der)),
	).Replace(siblings[name])}
}
