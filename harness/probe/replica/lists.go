package replica

import (
	"context"
	"errors"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/probe"
)

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
		Words: "start a replica in mode mtls " + words + ", and call it as the enrolled client, another and nobody until it has answered or " +
			"ended",
		Needs: []harness.Capability{harness.RestartService, harness.VaultWrite,
			harness.GivenClientCerts}, Effect: harness.Disruptive, Modes: probe.MTLSOnly,
		Starts: len(forms) + 1, OwnControl: true, // the sound start
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			var trace harness.Trace
			for _, form := range forms {
				seen, err := form.start(ctx, client)
				if err != nil {
					return trace, err
				}
				trace.Startups = append(trace.Startups, seen)
			}
			probe.Settle(ctx, client)
			control, err := In(harness.MTLS).Watch(ctx, client)
			control.Control = true
			trace.Startups = append(trace.Startups, control)
			return trace, err
		},
	}
}

// start starts a replica while the list is of a form.
func (f listForm) start(ctx context.Context, client harness.Client) (harness.Startup, error) {
	t := client.Target()
	start := Start{mode: harness.MTLS, words: "with " + f.name, outsider: true,
		secrets: func(fields map[string]string) map[string]string {
			delete(fields, probe.ListField)
			if value, present := f.list(t.Certs.EnrolledCN); present {
				fields[probe.ListField] = value
			}
			return fields
		}}
	restore, err := start.change(ctx, t)
	if err != nil {
		return harness.Startup{}, err
	}
	seen, err := start.Watch(ctx, client)
	return seen, errors.Join(err, restore())
}
