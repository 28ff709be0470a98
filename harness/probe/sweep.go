package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
)

// Get is a call without a credential to a path, as a call of the first
// endpoint.
func Get(t *harness.Target, mode harness.Mode, path string) harness.Request {
	r := Plain(t, mode, t.Endpoints[0])
	r.Path, r.Variant = path, "GET "+path
	bodied(&r, http.MethodGet)
	return r
}

// schemas are where a schema of the operations may be published.
var schemas = []string{"/openapi.json", "/swagger.json", "/v1/openapi.json", "/api/openapi.json", "/v3/api-docs", "/openapi.yaml"}

// Variants of the exchanges of SchemaSweep.
const (
	SchemaVariant    = "the schema"
	OperationVariant = "an operation of the schema"
)

// maxOperations bounds what a published schema makes us call.
const maxOperations = 200

// SchemaSweep asks for a schema of the operations, and calls each operation
// without a credential that is not one of the open paths (EPT-012).
func SchemaSweep() harness.Stimulus {
	return harness.Stimulus{Words: "ask for an OpenAPI schema, and call every operation it names without a credential",
		Modes: BothModes, Effect: harness.AuthFailures,
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			var trace harness.Trace
			t := client.Target()
			for _, mode := range ModesOf(t) {
				var asked []harness.Request
				for _, path := range schemas {
					r := Get(t, mode, path)
					r.Variant = SchemaVariant
					asked = append(asked, r)
				}
				published := client.SendAll(ctx, asked)
				trace.Exchanges = append(trace.Exchanges, published...)
				var calls []harness.Request
				for _, x := range published {
					if x.Observation.Status == http.StatusOK {
						calls = append(calls, operations(t, mode, x.Observation.Body)...)
					}
				}
				trace.Exchanges = append(trace.Exchanges, client.SendAll(ctx, calls[:min(len(calls), maxOperations)])...)
			}
			return trace, nil
		}}
}

// openPaths are those an operator leaves open: signs of life, and what
// documents the service itself.
var openPaths = regexp.MustCompile(`(?i)^/(health|healthz|readyz|ready|livez|live|ping|metrics|docs|redoc|openapi\.json|swagger.*)/?$`)

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// operations are the calls a schema names.
func operations(t *harness.Target, mode harness.Mode, schema []byte) []harness.Request {
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if json.Unmarshal(schema, &document) != nil {
		return nil
	}
	var calls []harness.Request
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		if openPaths.MatchString(path) || !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \r\n") {
			continue
		}
		for _, method := range slices.Sorted(maps.Keys(document.Paths[path])) {
			if !slices.Contains([]string{"get", "put", "post", "delete", "patch"}, method) {
				continue
			}
			r := Get(t, mode, placeholder.ReplaceAllString(path, "conformance"))
			r.Variant = OperationVariant
			r.Method = strings.ToUpper(method)
			if method == "put" || method == "post" || method == "patch" {
				r.Body = []byte(`{}`)
				r.Set("Content-Type", "application/json")
			}
			calls = append(calls, r)
		}
	}
	return calls
}

// DiagnosticPages are where services, frameworks and their tools tell of
// themselves.
var DiagnosticPages = []string{"/", "/docs", "/redoc", "/metrics", "/debug", "/debug/pprof/", "/debug/vars", "/env", "/config", "/actuator",
	"/actuator/env", "/actuator/configprops", "/health", "/healthz", "/readyz", "/status", "/info", "/version", "/.env", "/server-status"}

// Diagnostics asks for them without a credential, and tells, as a fact by path,
// which secrets of the stack's an answer holds: kinds, never values (EPT-013).
func Diagnostics() harness.Stimulus {
	return harness.Stimulus{Words: "ask for pages of diagnostics without a credential, and look for what they must not tell",
		Modes: BothModes, Effect: harness.AuthFailures,
		Tells: []harness.Key{harness.PageTells},
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			var trace harness.Trace
			t := client.Target()
			var requests []harness.Request
			for _, mode := range ModesOf(t) {
				for _, path := range DiagnosticPages {
					requests = append(requests, Get(t, mode, path))
				}
			}
			trace.Exchanges = client.SendAll(ctx, requests)
			known := secretsOf(ctx, t)
			for _, x := range trace.Exchanges {
				if told := toldIn(x.Observation, known); len(told) > 0 {
					trace.Facts = append(trace.Facts, harness.PageTells.Was(told...).Of(fmt.Sprintf("what %s tells in mode %s", x.Request.Path,
						x.Request.Mode)))
				}
			}
			return trace, nil
		}}
}

// secretsOf are texts that no open page may hold, by kind.
func secretsOf(ctx context.Context, t *harness.Target) map[string]string {
	known := map[string]string{
		"the enrolled client's name": t.Certs.EnrolledCN, "a token": t.Tokens.Valid.Reveal(),
		"the ingress's secret": t.ProxySecret.Reveal(), "a client's key": t.Certs.Enrolled.Key.Reveal(),
	}
	if t.Grants(harness.VaultRead) {
		if fields, err := t.Control.Secrets.Read(ctx); err == nil {
			known["the enrolment list"] = fields[ListField]
		}
	}
	return known
}

func toldIn(o harness.Observation, known map[string]string) []string {
	var told []string
	for _, kind := range slices.Sorted(maps.Keys(known)) {
		if len(known[kind]) > 6 && bytes.Contains(o.Body, []byte(known[kind])) {
			told = append(told, kind)
		}
	}
	return told
}

// How many calls are denied between two readings of counters of work.
const (
	deniedPredicts   = 100
	deniedEnrolments = 20
)

// DeniedWork calls inference a hundred times and enrolment twenty times with
// nothing a caller may be served for, between two readings of the counters of
// work that was done. A sound call before it shows that they count (EPT-016).
func DeniedWork() harness.Stimulus {
	return harness.Stimulus{Words: fmt.Sprintf("read the counters of work that was done, call inference %d times and enrolment %d times "+
		"unauthorised, and read them again", deniedPredicts, deniedEnrolments),
		Needs: []harness.Capability{harness.Metrics}, Alone: true, OwnControl: true, Modes: BothModes, Effect: harness.AuthFailures,
		Act: deniedWork}
}

func deniedWork(ctx context.Context, client harness.Client) (harness.Trace, error) {
	var trace harness.Trace
	t := client.Target()
	handled := t.Profile.HandledMetric
	for _, mode := range ModesOf(t) {
		if t.Metrics[mode] == "" {
			continue
		}
		sound, err := Sound(t, mode, t.Endpoints[0])
		if err != nil {
			return trace, err
		}
		idle, err := client.Scrape(ctx, t.Metrics[mode])
		if err != nil {
			return trace, err
		}
		control := client.Send(ctx, sound)
		before, err := client.Scrape(ctx, t.Metrics[mode])
		if err != nil {
			return trace, err
		}
		trace.Tallies = append(trace.Tallies, harness.Tally{Mode: mode, Name: handled, Fresh: true, Before: idle[handled],
			After: before[handled], Calls: 1})
		denied, err := unauthorised(ctx, client, mode)
		if err != nil {
			return trace, err
		}
		after, err := client.Scrape(ctx, t.Metrics[mode])
		if err != nil {
			return trace, err
		}
		control.Request.Variant = "control"
		trace.Exchanges = append(append(trace.Exchanges, control), denied...)
		for _, name := range []string{handled, t.Profile.EnrollmentMetric} {
			if name == "" {
				continue
			}
			trace.Tallies = append(trace.Tallies, harness.Tally{Mode: mode, Name: name, Before: before[name], After: after[name],
				Calls: len(denied)})
		}
	}
	return trace, nil
}

// unauthorised are the denied calls of DeniedWork, a few connections at once:
// in mtls mode of a client who is not enrolled, so that they reach the service.
func unauthorised(ctx context.Context, client harness.Client, mode harness.Mode) ([]harness.Exchange, error) {
	t := client.Target()
	change := func(*harness.Request) {}
	if mode == harness.MTLS && t.Grants(harness.GivenClientCerts) {
		pair, err := clientcert.Unenrolled().Make(t)
		if err != nil {
			return nil, err
		}
		change = func(r *harness.Request) { SetCertificate(r, clientcert.Unenrolled().Name, pair) }
	}
	var requests []harness.Request
	for i, endpoint := range t.Endpoints[:min(2, len(t.Endpoints))] {
		for range []int{deniedPredicts, deniedEnrolments}[i] {
			r := Plain(t, mode, endpoint)
			r.Variant = "denied " + endpoint.Name
			change(&r)
			requests = append(requests, r)
		}
	}
	const together = 10
	return SendLots(ctx, client, slices.Collect(slices.Chunk(requests, together))), nil
}

// FreshConnections is how many connections are opened for EveryReplica: of three replicas
// behind one address, one that is open is missed once in 10 million runs.
const FreshConnections = 40

// EveryReplica calls without a credential on new connections, one call each
// (EPT-022).
func EveryReplica() harness.Stimulus {
	return harness.Stimulus{Words: fmt.Sprintf("call without a credential on %d new connections in each mode", FreshConnections),
		Modes: BothModes, Effect: harness.AuthFailures,
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			t := client.Target()
			var requests []harness.Request
			for _, mode := range ModesOf(t) {
				for i := range FreshConnections {
					r := Plain(t, mode, t.Endpoints[i%len(t.Endpoints)])
					r.Variant = "no credential, a connection of its own"
					requests = append(requests, r)
				}
			}
			return harness.Trace{Exchanges: client.SendAll(ctx, requests)}, nil
		}}
}
