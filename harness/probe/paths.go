package probe

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/harness/wire"
)

// oversize is one byte more than the body that a service takes in at most, as
// services are usually set up: 1 MiB.
const oversize = 1<<20 + 1

// Mistakes are calls with a valid credential that fail for another reason: no
// such path, no such method, a body that is no JSON, and one that is too large.
func Mistakes() Calls {
	mistakes := []Change{
		Alter("a path that is none", func(_ *harness.Target, r *harness.Request) { r.Path = "/conformance-" + token.Random(6) }),
		Alter("a method that is none of its own", func(_ *harness.Target, r *harness.Request) { r.Method = http.MethodDelete }),
		Alter("a body that is no JSON", func(_ *harness.Target, r *harness.Request) { r.Body = []byte(`{"inputs":`) }),
		Alter("a body of 1 MiB and a byte", func(_ *harness.Target, r *harness.Request) { r.Body = bytes.Repeat([]byte(" "), oversize) }),
	}
	var variants []Variant
	needs := map[harness.Mode][]harness.Capability{harness.OIDC: token.Sound().Needs, harness.MTLS: clientcert.Enrolled().Needs}
	for _, mode := range BothModes {
		sound := Change{Needs: needs[mode], Prepare: func(t *harness.Target) (Edit, error) { return Credential(t, mode) }}
		for _, m := range mistakes {
			variants = append(variants, Variant{Change: sound.then(m, ""), Mode: mode})
		}
	}
	return Call("a valid credential and a path that is none, another method, a body that is no JSON, and one of 1 MiB and a byte",
		variants...).On("inference")
}

// Twisted calls without a credential, in both modes, with each change in turn.
func Twisted(words string, changes ...Change) Calls {
	words = "no credential, " + words
	both := In(harness.OIDC, words, changes...)
	both.variants = append(both.variants, In(harness.MTLS, words, changes...).variants...)
	return both
}

// Crossed is Twisted, and in mode mtls each change at the first endpoint by callers whom
// TLS lets in and nobody may serve: an ingress that demands certificates, or overwrites
// the identity header, under some spellings of a path only, passes on what they claim.
func Crossed(words string, changes ...Change) Calls {
	c := Twisted(words, changes...)
	claim := Alter("", func(t *harness.Target, r *harness.Request) {
		r.Set(t.Profile.Header(), clientcert.Claim(t, t.Certs.EnrolledCN))
	})
	nobody := Alter("", func(_ *harness.Target, r *harness.Request) { r.Credential = "identity header of the enrolled client" })
	for _, one := range changes {
		for _, caller := range []Change{
			nobody.named("with the enrolled client's identity header"),
			Certified(clientcert.Unenrolled()).named("by an unenrolled client with the enrolled one's identity header"),
		} {
			crossed := caller.then(claim, "").then(one, "").named(one.Name + ", " + caller.Name).once()
			crossed.Needs = nil // where there is a caller of that kind
			c.variants = append(c.variants, Variant{Change: crossed, Mode: harness.MTLS, Where: harness.GivenClientCerts})
		}
	}
	c.words += "; in mode mtls at the first endpoint also with the enrolled client's identity header, and by an unenrolled client with it"
	return c
}

// pathChange is a change of the path.
func pathChange(name string, form func(string) string) Change {
	return Alter(name, func(_ *harness.Target, r *harness.Request) { r.Path = respelled(r.Path, form) })
}

// elsewhere is a call to a path of its own.
func elsewhere(method, target string) Change {
	return Alter(method+" "+target, func(_ *harness.Target, r *harness.Request) {
		r.Path = target
		bodied(r, method)
	}).once()
}

// bodied gives the request a method, and a body where that method has one.
func bodied(r *harness.Request, method string) {
	if method != http.MethodPost && method != http.MethodPut {
		r.Body = nil
		r.Remove("Content-Type")
	}
	r.Method = method
}

// fieldChange is a change of one header field.
func fieldChange(name, value string) Change {
	return Alter(name+": "+value, func(_ *harness.Target, r *harness.Request) { r.Set(name, value) })
}

// MethodOverrides ask for another method than the one of the call (EPT-003).
func MethodOverrides() []Change {
	var changes []Change
	for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		changes = append(changes,
			Alter("GET with "+name, func(_ *harness.Target, r *harness.Request) {
				r.Set(name, r.Method)
				bodied(r, http.MethodGet)
			}),
			Alter("POST with "+name+": GET", func(_ *harness.Target, r *harness.Request) {
				r.Set(name, http.MethodGet)
				bodied(r, http.MethodPost)
			}),
			Alter("the endpoint's method with "+name+": OPTIONS", func(_ *harness.Target, r *harness.Request) {
				r.Set(name, http.MethodOptions)
			}))
	}
	return append(changes,
		Alter("GET with _method in the query", func(_ *harness.Target, r *harness.Request) {
			r.Path += "?_method=" + r.Method
			bodied(r, http.MethodGet)
		}),
		Alter("_method in a form", func(_ *harness.Target, r *harness.Request) {
			bodied(r, http.MethodPost)
			r.Body = []byte("_method=" + r.Endpoint.Method)
			r.Set("Content-Type", "application/x-www-form-urlencoded")
		}))
}

// DotSegments are paths that are an endpoint's once they are normalised (RFC
// 3986 section 6.2.2; EPT-005).
func DotSegments() []Change {
	return []Change{
		pathChange("two slashes", func(p string) string { return "/" + p }),
		pathChange("a dot segment", func(p string) string { return "/." + p }),
		pathChange("a segment and back", func(p string) string { return "/x/.." + p }),
		pathChange("an empty parameter", func(p string) string { return "/;" + p }),
		pathChange("a dot with a parameter", func(p string) string { return "/.;" + p }),
		pathChange("slashes inside", func(p string) string { return strings.ReplaceAll(p, "/", "//") }),
		pathChange("a backslash", func(p string) string { return `/x\..` + p }),
	}
}

// PercentEncodings are paths that are an endpoint's once they are decoded (RFC
// 3986 section 6.2.2.2; EPT-006).
func PercentEncodings() []Change {
	return []Change{
		pathChange("the first letter encoded", func(p string) string { return "/" + escaped(p[1]) + p[2:] }),
		pathChange("the last letter encoded", func(p string) string { return p[:len(p)-1] + escaped(p[len(p)-1]) }),
		pathChange("an encoded dot segment", func(p string) string { return "/%2e" + p }),
		pathChange("an encoded slash at the end", func(p string) string { return p + "%2f" }),
		pathChange("an encoded way back", func(p string) string { return "/x%2f.." + strings.Replace(p, "/", "%2f", 1) }),
		pathChange("encoded twice", func(p string) string { return "/%25" + escaped(p[1])[1:] + p[2:] }),
		pathChange("an encoded slash, encoded again", func(p string) string { return p + "%252f" }),
	}
}

func escaped(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{'%', digits[c>>4], digits[c&15]})
}

// Suffixes are paths with something after an endpoint's (EPT-007).
func Suffixes() []Change {
	var changes []Change
	for _, suffix := range []string{";a=b", ".json", "%20", "%00", "%09", "..;/", ".", "%3b", ";/", "/..;/x", ".css", "~"} {
		changes = append(changes, pathChange("the path and "+suffix, func(p string) string { return p + suffix }))
	}
	return changes
}

// LetterCases are paths in other letters (EPT-008).
func LetterCases() []Change {
	return []Change{
		pathChange("capitals", strings.ToUpper),
		pathChange("a capital", func(p string) string { return p[:1] + strings.ToUpper(p[1:2]) + p[2:] }),
	}
}

// Delimiters are request targets with delimiters of a query or a fragment
// (RFC 9112 section 3.2, CVE-2023-45539; EPT-009).
func Delimiters() []Change {
	return []Change{
		pathChange("an empty query", func(p string) string { return p + "?" }),
		pathChange("a fragment", func(p string) string { return p + "#x" }),
		pathChange("a fragment that names a file", func(p string) string { return p + "#.png" }),
		pathChange("a query that names an open path", func(p string) string { return p + "?/health" }),
		pathChange("a query that names a probe", func(p string) string { return p + "?/../healthz" }),
		pathChange("an encoded question mark", func(p string) string { return p + "%3f" }),
		Alter("an open path, the endpoint's in the query", func(_ *harness.Target, r *harness.Request) {
			r.Path = "/health?/.." + r.Path
			bodied(r, http.MethodPost) // nobody's liveness check is a POST
		}),
	}
}

// Hosts are ways to name another host (RFC 9112 sections 3.2 and 3.2.2; EPT-010).
func Hosts() []Change {
	host := func(name string, form func(string) string) Change {
		return Alter(name, func(_ *harness.Target, r *harness.Request) { r.Set("Host", form(r.Get("Host"))) })
	}
	return []Change{
		Alter("absolute form", func(_ *harness.Target, r *harness.Request) { r.Path = "https://" + r.Get("Host") + r.Path }),
		Alter("absolute form in the clear", func(_ *harness.Target, r *harness.Request) { r.Path = "http://" + r.Get("Host") + r.Path }),
		Alter("absolute form of another host", func(_ *harness.Target, r *harness.Request) { r.Path = "https://localhost" + r.Path }),
		Alter("two Host lines", func(_ *harness.Target, r *harness.Request) { r.Add("Host", "localhost") }),
		host("another host", func(string) string { return "other.example" }),
		host("this host by name", func(string) string { return "localhost" }),
		host("another port", func(h string) string { return strings.Split(h, ":")[0] + ":1" }),
		host("user information", func(h string) string { return "admin@" + h }),
		fieldChange("X-Forwarded-Host", "localhost"),
		fieldChange("Forwarded", "for=127.0.0.1;host=localhost;proto=http"),
	}
}

// Aliases are paths at which others serve what an endpoint does (API9:2023;
// EPT-011).
func Aliases() []Change {
	changes := []Change{
		pathChange("/v1 before", func(p string) string { return "/v1" + p }),
		pathChange("/api before", func(p string) string { return "/api" + p }),
		pathChange("/batch below", func(p string) string { return p + "/batch" }),
		pathChange("/stream below", func(p string) string { return p + "/stream" }),
	}
	for _, target := range []string{"/infer", "/enrollment", "/reviews", "/item/1/review", "/revoke", "/peers", "/internal/predict",
		"/admin"} {
		changes = append(changes, elsewhere(http.MethodPost, target))
	}
	for _, target := range []string{"/pending", "/item/1", "/peers", "/reviews", "/internal/reload"} {
		changes = append(changes, elsewhere(http.MethodGet, target))
	}
	return changes
}

// Internals are headers and parameters by which a proxy, a framework or a
// switch for tests says that a call is another one (EPT-020).
func Internals() []Change {
	changes := []Change{
		fieldChange("X-Middleware-Subrequest", "middleware:middleware:middleware:middleware:middleware"),
		fieldChange("X-PAN-AUTHCHECK", "off"), fieldChange("X-Envoy-Internal", "true"), fieldChange("X-Auth-Mode", "none"),
		fieldChange("X-Original-URL", "/healthz"), fieldChange("X-Rewrite-URL", "/healthz"), fieldChange("X-Forwarded-Prefix", "/healthz"),
		fieldChange("X-Forwarded-Uri", "/healthz"), fieldChange("X-Forwarded-For", "127.0.0.1"), fieldChange("X-Real-IP", "127.0.0.1"),
		fieldChange("X-Internal", "1"), fieldChange("X-Debug", "true"), fieldChange("Authorization-Mode", "none"),
		pathChange("?auth=none", func(p string) string { return p + "?auth=none" }),
		pathChange("?debug=true&auth_mode=none", func(p string) string { return p + "?debug=true&auth_mode=none" }),
	}
	for _, name := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri"} {
		changes = append(changes, Alter("another path with "+name, func(_ *harness.Target, r *harness.Request) {
			r.Set(name, r.Path)
			r.Path = "/" + token.Random(4)
		}))
	}
	return changes
}

// Protocols are calls that ask the same handler for another protocol (EPT-019).
func Protocols() []Change {
	socket := func(r *harness.Request) {
		bodied(r, http.MethodGet)
		r.Set("Connection", "Upgrade")
		r.Set("Upgrade", "websocket")
		r.Set("Sec-WebSocket-Version", "13")
		r.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	}
	return []Change{
		Alter("WebSocket", func(_ *harness.Target, r *harness.Request) { socket(r) }),
		Alter("WebSocket at /ws", func(_ *harness.Target, r *harness.Request) { r.Path = "/ws"; socket(r) }).once(),
		Alter("server-sent events", func(_ *harness.Target, r *harness.Request) { r.Set("Accept", "text/event-stream") }),
		Alter("gRPC", func(_ *harness.Target, r *harness.Request) { grpc(r, "application/grpc") }),
		Alter("gRPC-web", func(_ *harness.Target, r *harness.Request) { grpc(r, "application/grpc-web+proto") }),
		Alter("gRPC of a service", func(_ *harness.Target, r *harness.Request) {
			r.Path = "/aegis.Inference/Predict"
			grpc(r, "application/grpc")
		}).once(),
		Alter("GraphQL", func(_ *harness.Target, r *harness.Request) {
			r.Path, r.Body = "/graphql", []byte(`{"query":"{__typename}"}`)
		}).once(),
	}
}

func grpc(r *harness.Request, kind string) {
	r.Method, r.Body = http.MethodPost, []byte{0, 0, 0, 0, 0}
	r.Set("Content-Type", kind)
	r.Set("TE", "trailers")
}

// Upgrades ask for a tunnel (RFC 9110 section 7.8; HDR-024).
func Upgrades() []Change {
	upgrade := func(to string) Change {
		return Alter("Upgrade: "+to, func(t *harness.Target, r *harness.Request) {
			bodied(r, http.MethodGet)
			r.Set("Connection", "Upgrade, HTTP2-Settings")
			r.Set("Upgrade", to)
			r.Set("HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")
			r.Set(t.Profile.Header(), clientcert.Claim(t, t.Certs.EnrolledCN))
		})
	}
	return []Change{upgrade("h2c"), upgrade("websocket"), upgrade("TLS/1.0, HTTP/1.1")}
}

// Unfit are bodies that a schema refuses, in sound JSON (EPT-014).
func Unfit() []Change {
	return []Change{
		bodyChange("an object of other members", "application/json", `{"unexpected":{"deep":[true]}}`),
		bodyChange("a list", "application/json", `[1,2,3]`),
		bodyChange("null", "application/json", `null`),
	}
}

// Broken are bodies that are no JSON (EPT-015).
func Broken() []Change {
	return []Change{
		bodyChange("broken JSON", "application/json", `{"inputs":[1,`),
		bodyChange("another content type", "text/plain", `inputs`),
		bodyChange("no body", "application/json", ``),
	}
}

func bodyChange(name, kind, text string) Change {
	return Alter(name, func(_ *harness.Target, r *harness.Request) {
		if r.Method == http.MethodGet {
			return
		}
		r.Body = []byte(text)
		r.Set("Content-Type", kind)
		if text == "" {
			r.Set("Content-Length", "0")
		}
	})
}

// Framings are ways to send a body (RFC 9112 section 7; EPT-018).
func Framings() []Change {
	return []Change{
		Alter("chunked", func(_ *harness.Target, r *harness.Request) {
			r.Raw = wire.Message(*r, []harness.Field{{Name: "Transfer-Encoding", Value: "chunked"}, wire.Closing}, wire.Chunked(r.Body))
		}),
		Alter("gzip", func(_ *harness.Target, r *harness.Request) {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write(r.Body)
			_ = w.Close()
			r.Body = b.Bytes()
			r.Set("Content-Encoding", "gzip")
		}),
		Alter("multipart", func(_ *harness.Target, r *harness.Request) {
			r.Set("Content-Type", "multipart/form-data; boundary=b")
			r.Body = []byte("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.json\"\r\n\r\n" + string(r.Body) + "\r\n--b--\r\n")
		}),
		Alter("no length", func(_ *harness.Target, r *harness.Request) { r.Body = nil; r.Set("Content-Length", "0") }),
	}
}

// Huge is a body of 10 MB.
func Huge() Change {
	return Alter(hugeName, func(_ *harness.Target, r *harness.Request) {
		size := harness.Field{Name: "Content-Length", Value: strconv.Itoa(hugeSize)}
		r.Raw = wire.Message(*r, []harness.Field{size, wire.Closing}, strings.Repeat(" ", hugeSize))
	}).once()
}

const (
	hugeName = "a body of 10 MB"
	hugeSize = 10 << 20 // bytes
)

// Preflight is a browser's question whether it may call, and the call itself
// (Fetch standard; EPT-021).
func Preflight() []Change {
	const origin = "https://app.example"
	return []Change{
		Alter(PreflightName, func(_ *harness.Target, r *harness.Request) {
			r.Set("Origin", origin)
			r.Set("Access-Control-Request-Method", r.Method)
			r.Set("Access-Control-Request-Headers", "authorization, content-type")
			bodied(r, http.MethodOptions)
		}),
		Alter(CrossOriginName, func(_ *harness.Target, r *harness.Request) { r.Set("Origin", origin) }),
	}
}

// Names of the changes of Preflight.
const (
	PreflightName   = "a preflight"
	CrossOriginName = "the call after the preflight"
)
