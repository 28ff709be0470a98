package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// Names that the clients of a changed list carry.
const (
	Member   = "member"
	Outsider = "client outside the list"
	Stranger = "client whose name only looks like a member"
)

// AddClient puts a new client on the list, beside the enrolled one (ENR-002).
func AddClient() harness.Stimulus {
	return enrolment("put a new client on the list", func(t *harness.Target) (string, []client, error) {
		added := "client-" + token.Random(4)
		return listed(t.Certs.EnrolledCN, added), []client{{Member, added}, {Member, t.Certs.EnrolledCN}}, nil
	})
}

// NewlineList makes the list one name a line, with each end of line there is,
// lines that are blank, and none at the end (ENR-004).
func NewlineList() harness.Stimulus {
	return enrolment("make the list one of lines: LF, CRLF, blank ones, no last LF", func(*harness.Target) (string, []client, error) {
		a, b, c := "client-"+token.Random(4), "client-"+token.Random(4), "client-"+token.Random(4)
		return a + "\n" + b + "\r\n\r\n\n" + c, []client{{Member, a}, {Member, b}, {Member, c}, {Outsider, "client-" + token.Random(4)}}, nil
	})
}

// MixedList makes the list one with members that are no texts (ENR-008).
func MixedList() harness.Stimulus {
	return enrolment("make the list one of a number, null, true and a name", func(*harness.Target) (string, []client, error) {
		a := "client-" + letters(token.Random(4)) // no 1 in it: a part of a name is ENR-014's
		list := fmt.Sprintf(`[1,null,true,%q]`, a)
		clients := []client{{Member, a}}
		for _, name := range []string{"1", "None", "null", "True", "true"} {
			clients = append(clients, client{Stranger, name})
		}
		return list, clients, nil
	})
}

// letters writes digits as letters.
func letters(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return c - '0' + 'g'
		}
		return c
	}, text)
}

// WildcardList makes the list one with a star on it (ENR-010).
func WildcardList() harness.Stimulus {
	return enrolment("make the list one with * on it", func(*harness.Target) (string, []client, error) {
		a := "client-" + token.Random(4)
		return fmt.Sprintf(`["*",%q]`, a), []client{{Member, a}, {Outsider, "client-" + token.Random(4)}, {Outsider, "x"}}, nil
	})
}

// PartsOfMember calls with parts of a member's name, and with what is a part of
// the list's text (ENR-014).
func PartsOfMember() harness.Stimulus {
	return enrolment("make the list one of a single name", func(*harness.Target) (string, []client, error) {
		a := "client-" + token.Random(4)
		return fmt.Sprintf(`[%q]`, a), []client{{Member, a}, {Stranger, a[:3]}, {Stranger, a[len(a)-3:]}, {Stranger, a + `"`}, {Stranger, `"`}, {Stranger, "-"}}, nil
	})
}

// listForm is something that the list must not be.
type listForm struct {
	name string
	list func(enrolled string) (value string, present bool)
}

// NoList starts a replica while there is no list (ENR-006).
func NoList() harness.Stimulus {
	return startListed("without a list", listForm{"no list", func(string) (string, bool) { return "", false }})
}

// MalformedLists starts one for each malformed list that holds the enrolled name
// (ENR-007).
func MalformedLists() harness.Stimulus {
	form := func(name, text string) listForm {
		return listForm{name, func(enrolled string) (string, bool) { return strings.ReplaceAll(text, "{}", enrolled), true }}
	}
	return startListed("with a malformed list",
		form("truncated JSON", `["{}","x"`), form("a JSON object", `{"allowed":"x,{},y"}`),
		form("a list in a list", `[["{}"]]`), form("a JSON string", `"{}"`),
	)
}

// startListed starts a replica in mtls mode for each form of the list, and then a sound
// one, and calls each as the enrolled client, as another and as nobody.
func startListed(words string, forms ...listForm) harness.Stimulus {
	return harness.Stimulus{
		Words: "start a replica in mode mtls " + words + ", and call it as the enrolled client, another and nobody until it has answered or ended",
		Needs: []harness.Capability{harness.RestartService, harness.VaultWrite, harness.GivenClientCerts}, Effect: harness.Disruptive, Modes: mtlsOnly,
		Starts: len(forms) + 1, OwnControl: true, // the sound start
		Act: func(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
			var trace harness.Trace
			for _, form := range forms {
				seen, err := form.start(ctx, hands)
				if err != nil {
					return trace, err
				}
				trace.Startups = append(trace.Startups, seen)
			}
			settle(ctx, hands)
			control, err := Replica(harness.MTLS).watch(ctx, hands)
			control.Control = true
			trace.Startups = append(trace.Startups, control)
			return trace, err
		},
	}
}

// start starts a replica while the list is of a form.
func (f listForm) start(ctx context.Context, hands harness.Hands) (harness.Startup, error) {
	t := hands.Target()
	start := Start{mode: harness.MTLS, words: "with " + f.name, outsider: true,
		secrets: func(fields map[string]string) map[string]string {
			delete(fields, ListField)
			if value, present := f.list(t.Certs.EnrolledCN); present {
				fields[ListField] = value
			}
			return fields
		}}
	restore, err := start.change(ctx, t)
	if err != nil {
		return harness.Startup{}, err
	}
	seen, err := start.watch(ctx, hands)
	return seen, errors.Join(err, restore())
}

// SelfEnrolment calls enrolment as a client who is not enrolled, for his own
// name, and then every endpoint (ENR-012); the name is also a marker that may
// not be found in the list afterwards (ENR-013).
func SelfEnrolment() harness.Stimulus {
	return harness.Stimulus{
		Words: "as a client who is not enrolled, and as nobody, enrol that client's own name; then call every critical endpoint, twice, and read the list",
		Needs: []harness.Capability{harness.ClientCAKey, harness.VaultRead}, Effect: harness.AuthFailures, Modes: mtlsOnly,
		Endpoints: []string{"enrollment"}, Act: selfEnrolment,
	}
}

func selfEnrolment(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	var trace harness.Trace
	t := hands.Target()
	name := marker()
	certificates, err := issue(t, []client{{Outsider, name}})
	if err != nil {
		return trace, err
	}
	for _, endpoint := range slices.Concat(t.Endpoints, t.Others) {
		if endpoint.Name != "enrollment" {
			continue
		}
		for _, text := range []string{`{"client":%q}`, `{"client":%q,"id":%[1]q,"allowed":[%[1]q]}`} {
			r := plain(t, harness.MTLS, endpoint)
			r.Variant, r.Body = Outsider, fmt.Appendf(nil, text, name)
			present(&r, Outsider, certificates[0])
			trace.Exchanges = append(trace.Exchanges, hands.Send(ctx, r))
		}
	}
	for range 2 {
		calls, err := callAs(ctx, hands, []client{{Outsider, name}}, certificates, t.Endpoints)
		if err != nil {
			return trace, err
		}
		trace.Exchanges = append(trace.Exchanges, calls...)
	}
	fields, err := t.Control.Secrets.Read(ctx)
	if err != nil {
		return trace, fmt.Errorf("reading the list: %w", err)
	}
	if strings.Contains(fields[ListField], name) {
		trace.Facts = append(trace.Facts, harness.Fact{Name: MarkerFound, Values: []string{name}})
	}
	return trace, nil
}

// MarkerFound is the fact that a denied enrolment is in the list.
const MarkerFound = "the list holds a name whose enrolment was denied"

// DeniedMarkers enrols a name of its own without a credential, and with one
// that is refused, in every mode, and reads the list (ENR-013).
func DeniedMarkers() harness.Stimulus {
	return harness.Stimulus{Words: "enrol a marker without a credential in each mode, and read the list",
		Needs: []harness.Capability{harness.VaultRead, harness.Logs}, Endpoints: []string{"enrollment"},
		Modes: bothModes, Effect: harness.AuthFailures,
		Act: func(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
			var trace harness.Trace
			t := hands.Target()
			name := marker()
			var requests []harness.Request
			for _, mode := range shown(t) {
				for _, endpoint := range slices.Concat(t.Endpoints, t.Others) {
					if endpoint.Name != "enrollment" {
						continue
					}
					r := plain(t, mode, endpoint)
					r.Variant, r.Body = "a marker, no credential", fmt.Appendf(nil, `{"client":%q}`, name)
					requests = append(requests, r)
				}
			}
			trace.Exchanges = hands.SendAll(ctx, requests)
			fields, err := t.Control.Secrets.Read(ctx)
			if err != nil {
				return trace, fmt.Errorf("reading the list: %w", err)
			}
			if strings.Contains(fields[ListField], name) {
				trace.Facts = append(trace.Facts, harness.Fact{Name: MarkerFound, Values: []string{name}})
			}
			return trace, nil
		}}
}
