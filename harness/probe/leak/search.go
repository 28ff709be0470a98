package leak

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
)

// signs tell a credential, whoever's it is.
var signs = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"a token", regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`)},
	{"a private key", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)},
	{"a token of Vault's", regexp.MustCompile(`\bhv[sbr]\.[A-Za-z0-9_-]{20,}`)},
}

// search looks for what must not show, in every form, and keeps the facts.
type search struct {
	sought harness.Sought
	facts  []harness.Fact
	urls   bool // what stands in URLs is looked at too
}

// queried is a token in the query of a URL, where stimuli of ours put it (SEC-009,
// BRR-007), of this run or of an earlier one: that it is logged is SEC-009's.
var queried = regexp.MustCompile(`(?i)access_token(=|%3d|\\u003d)[A-Za-z0-9_.~%+/=-]*`)

// in searches a text from a place.
func (s *search) in(place, text string) {
	if !s.urls {
		text = queried.ReplaceAllString(text, "access_token")
	}
	found := s.sought.In(text)
	for _, sign := range signs {
		if sign.pattern.MatchString(text) {
			found = append(found, sign.what)
		}
	}
	s.facts = append(s.facts, harness.Searched.At(place))
	s.found(place, found)
}

func (s *search) found(place string, what []string) {
	for _, one := range what {
		s.facts = append(s.facts, harness.Leaked.At(place, one))
	}
}

// public are the fields of aegis/runtime that tell nobody how to be served: who
// is enrolled, and how a signature is verified.
var public = []string{"oidc_jwks_uri", "model_signing_pubkey", probe.ListField}

// ofRuntime is the name that a field of aegis/runtime is sought by.
func ofRuntime(field string) string { return field + " of aegis/runtime" }

// heldBy is what the services of a target hold and must not show.
func heldBy(ctx context.Context, t *harness.Target) (harness.Sought, error) {
	sought := harness.Sought{"the ingress's secret": t.ProxySecret}
	maps.Copy(sought, t.Held)
	if !t.Grants(harness.VaultRead) {
		return sought, nil
	}
	fields, err := t.Control.Secrets.Read(ctx)
	for name, value := range fields {
		sought[ofRuntime(name)] = harness.Secret(value)
	}
	return sought, err
}

// confidential is heldBy without what is public.
func confidential(ctx context.Context, t *harness.Target) (harness.Sought, error) {
	sought, err := heldBy(ctx, t)
	for _, field := range public {
		delete(sought, ofRuntime(field))
	}
	return sought, err
}

// carry adds the credential of a request to what is sought. What is short is
// ordinary text.
func (s *search) carry(r harness.Request) {
	_, value, _ := strings.Cut(r.Get("Authorization"), " ")
	if _, query, ok := strings.Cut(r.Path, "access_token="); ok {
		value = query
	}
	if len(value) >= probe.Telling {
		s.sought[r.Credential] = harness.Secret(value)
	}
}

// components are the names, in the logs, of what stands before and behind a
// mode's face.
func components(mode harness.Mode) []string { return []string{serviceOf(mode), "ingress"} }

// serviceOf is the name, in the logs, of the service behind a mode's face.
func serviceOf(mode harness.Mode) string { return "service-" + string(mode) }

// refusedCall is a call to a mode's face that the service itself refuses: a control
// of what its log tells.
func refusedCall(t *harness.Target, mode harness.Mode, variant string) (harness.Request, error) {
	r := probe.Plain(t, mode, t.Endpoints[0])
	r.Control, r.Variant = true, variant
	if mode == harness.MTLS {
		stranger, err := clientcert.Unenrolled().Make(t)
		if err != nil {
			return r, err
		}
		probe.SetCertificate(&r, clientcert.Unenrolled().Name, stranger)
	}
	return r, nil
}

// heard is how long a log may take to tell of a call, and the ingress's whether
// it tells of calls by their ID at all.
var heard = map[string]time.Duration{"ingress": time.Second}

// overheard makes a call to each mode's face that the service refuses, and reads
// the logs of services and ingress once they tell of it: nothing that was written
// of earlier ones is on its way any more. Unheard are the services whose logs do
// not tell; of calls that are accepted they need not (MET-015).
func overheard(ctx context.Context, client harness.Client, trace *harness.Trace) (texts map[string]string, err error) {
	t := client.Target()
	texts = map[string]string{}
	for _, mode := range probe.ModesOf(t) {
		last, err := refusedCall(t, mode, "the last call, which is refused")
		if err != nil {
			return nil, err
		}
		trace.Exchanges = append(trace.Exchanges, client.Send(ctx, last))
		for _, name := range components(mode) {
			var readErr error
			told := false
			probe.Until(ctx, client, probe.Bound(heard[name], probe.LogBound), func() bool {
				texts[name], readErr = t.Control.Logs.Read(ctx, name)
				told = strings.Contains(texts[name], last.Get(harness.ProbeHeader))
				return readErr != nil || told
			})
			if readErr != nil {
				return nil, readErr
			}
			if !told && name != "ingress" {
				trace.Facts = append(trace.Facts, harness.Unheard.At(name))
			}
		}
	}
	return texts, nil
}

// searchLogs searches what services and ingress have written.
func (s *search) searchLogs(ctx context.Context, client harness.Client, trace *harness.Trace) error {
	texts, err := overheard(ctx, client, trace)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		s.in("the log of "+name, texts[name])
	}
	return err
}
