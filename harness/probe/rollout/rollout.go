// Package rollout deploys: debug replicas, broken and former releases, and the way back
// (runbook section 7).
package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
)

// None is AUTH_MODE=none: a debug service that serves everybody (runbook section
// 7).
const None harness.Mode = "none"

// defaultReplicas is how many replicas stand behind one address where none are
// declared, and missChance how likely it may be that one of them is never asked.
const (
	defaultReplicas = 3
	missChance      = 1e-6
)

// enough is how many new connections ask each of some replicas at least once, but
// for missChance, if each connection leads to any of them: forty at least.
func enough(replicas int) int {
	if replicas <= 0 {
		replicas = defaultReplicas
	}
	if replicas == 1 {
		return probe.FreshConnections
	}
	n := math.Ceil(math.Log(missChance) / math.Log(1-1/float64(replicas)))
	return max(int(n), probe.FreshConnections)
}

// deploying does something that may deploy, and puts back what was deployed.
func deploying(act func(context.Context, harness.Client, *harness.Trace) error) func(context.Context, harness.Client) (harness.Trace,
	error) {
	return func(ctx context.Context, client harness.Client) (harness.Trace, error) {
		var trace harness.Trace
		err := act(ctx, client, &trace)
		if deployed := client.Target().Control.Rollout; deployed != nil {
			if restoreErr := deployed.Restore(context.WithoutCancel(ctx)); restoreErr != nil {
				err = errors.Join(err, fmt.Errorf("putting the services in their places again: %w", restoreErr))
			}
		}
		return trace, err
	}
}

// debugged starts a debug replica of AUTH_MODE=none beside the services, sees
// that it serves a call without a credential, and does something meanwhile.
func debugged(ctx context.Context, client harness.Client, trace *harness.Trace, do func(harness.Replica) error) error {
	mode := probe.ModesOf(client.Target())[0]
	replica, err := probe.Launch(ctx, client, harness.Launch{Mode: mode, Env: map[string]string{"AUTH_MODE": string(None)}})
	if err != nil {
		return err
	}
	defer func() { _ = replica.Stop(context.WithoutCancel(ctx)) }()
	r := probe.At(client.Target(), mode, replica.URL(), client.Target().Endpoints[0])
	r.Variant = "no credential, to the debug replica"
	served := "serves nobody"
	if client.Target().Profile.Accepts(client.Send(ctx, r).Observation.Status) {
		served = "serves everybody"
	}
	trace.Facts = append(trace.Facts, harness.DebugServes.Was(served))
	return do(replica)
}

// DebugBeside calls without a credential on new connections while a debug replica
// stands beside the services (RBK-001).
func DebugBeside() harness.Stimulus {
	return harness.Stimulus{
		Words: fmt.Sprintf("start a replica with AUTH_MODE=none beside the services, and meanwhile call each face without a credential, and "+
			"as a client who is not enrolled, on so many new connections that one replica in a declared number is missed once in a million "+
			"runs (%d, where three are behind one address)", enough(defaultReplicas)),
		Needs: []harness.Capability{harness.RestartService, harness.GivenClientCerts},
		Modes: probe.BothModes, Effect: harness.Disruptive,
		Tells: []harness.Key{harness.DebugServes},
		Act: deploying(func(ctx context.Context, client harness.Client, trace *harness.Trace) error {
			return debugged(ctx, client, trace, func(harness.Replica) error {
				return fresh(ctx, client, trace, refusedSmoke)
			})
		}),
	}
}

// Smoke variants: what is called after a rollback, and how it must be answered.
const (
	SmokeValid      = "a valid credential"
	SmokeNone       = "no credential"
	SmokeExpired    = "an expired token"
	SmokeForged     = "a token whose signature does not verify"
	SmokeUnenrolled = "a client who is not enrolled"
	SmokeClaim      = "the enrolled client's identity header, and no certificate"
	SmokeSpoof      = "the enrolled client's identity header, by a client who is not enrolled"
)

// smoke are the calls of each mode: OIDC-001, 004 and 005, MTLS-001, 002 and 003,
// HDR-001 and 002.
var smoke = map[harness.Mode][]string{
	harness.OIDC: {SmokeValid, SmokeNone, SmokeExpired, SmokeForged},
	harness.MTLS: {SmokeValid, SmokeNone, SmokeUnenrolled, SmokeClaim, SmokeSpoof},
}

// refusedSmoke are those of them that nobody may be served on without a
// credential.
var refusedSmoke = map[harness.Mode][]string{harness.OIDC: {SmokeNone}, harness.MTLS: {SmokeNone, SmokeUnenrolled}}

// fresh makes some calls of each mode at its face, each on enough connections of
// its own.
func fresh(ctx context.Context, client harness.Client, trace *harness.Trace, which map[harness.Mode][]string) error {
	t := client.Target()
	var all []harness.Request
	for _, mode := range probe.ModesOf(t) {
		variants, err := smokeVariants(t, mode, which[mode])
		if err != nil {
			return err
		}
		for turn := range enough(t.Profile.Replicas) {
			all = append(all, smokeCalls(t, mode, variants, turn)...)
		}
	}
	trace.Exchanges = append(trace.Exchanges, client.SendAll(ctx, all)...)
	return nil
}

// smokeCalls are one call of each variant, at the endpoints in turn.
func smokeCalls(t *harness.Target, mode harness.Mode, variants []smokeVariant, turn int) []harness.Request {
	var calls []harness.Request
	for i, v := range variants {
		r := probe.Plain(t, mode, t.Endpoints[(turn+i)%len(t.Endpoints)])
		v.change(&r)
		r.Variant = v.name
		calls = append(calls, r)
	}
	return calls
}

// smokeVariant is a smoke variant whose credential is made.
type smokeVariant struct {
	name   string
	change probe.Edit
}

func smokeVariants(t *harness.Target, mode harness.Mode, names []string) ([]smokeVariant, error) {
	var made []smokeVariant
	for _, name := range names {
		change, err := smokeCredential(t, mode, name)
		if err != nil {
			return nil, fmt.Errorf("preparing %q: %w", name, err)
		}
		made = append(made, smokeVariant{name, change})
	}
	return made, nil
}

func smokeCredential(t *harness.Target, mode harness.Mode, name string) (probe.Edit, error) {
	claim := func(r *harness.Request) { r.Set(t.Profile.Header(), clientcert.Claim(t, t.Certs.EnrolledCN)) }
	switch name {
	case SmokeValid:
		return probe.Credential(t, mode)
	case SmokeExpired, SmokeForged:
		recipe := map[string]token.Recipe{SmokeExpired: token.Expired(time.Hour), SmokeForged: token.FlippedBit()}[name]
		value, err := recipe.Make(token.From(t))
		return func(r *harness.Request) { probe.SetToken(r, recipe.Name, value) }, err
	case SmokeUnenrolled, SmokeSpoof:
		certificate, err := clientcert.Unenrolled().Make(t)
		return func(r *harness.Request) {
			probe.SetCertificate(r, clientcert.Unenrolled().Name, certificate)
			if name == SmokeSpoof {
				claim(r)
			}
		}, err
	case SmokeClaim:
		return claim, nil
	default:
		return func(*harness.Request) {}, nil
	}
}

// Drill goes through the last resort and back: a debug replica, and then sound
// services in the place of those that stood, each of which is called (RBK-002).
func Drill() harness.Stimulus {
	return harness.Stimulus{
		Words: fmt.Sprintf("start a replica with AUTH_MODE=none and stop it again; deploy the services anew, and call each face with a "+
			"valid credential, with none, and with bad ones, on %d new connections each or more", probe.FreshConnections),
		Needs: []harness.Capability{harness.RestartService, harness.RollOut, harness.MintTokens, harness.GivenClientCerts},
		Modes: probe.BothModes, Effect: harness.Disruptive,
		Tells: []harness.Key{harness.DebugServes, harness.SoundRollout},
		Act: deploying(func(ctx context.Context, client harness.Client, trace *harness.Trace) error {
			if err := debugged(ctx, client, trace, func(harness.Replica) error { return nil }); err != nil {
				return err
			}
			return deployed(ctx, client, trace, harness.Launch{}, smoke)
		}),
	}
}

// BackToPrevious deploys the release before, and calls (RBK-006).
func BackToPrevious() harness.Stimulus {
	return harness.Stimulus{
		Words: fmt.Sprintf("deploy the release before in the place of the services, and call each face with a valid credential, with none, "+
			"and with bad ones, on %d new connections each or more", probe.FreshConnections),
		Needs: []harness.Capability{harness.RollOut, harness.PreviousRelease, harness.MintTokens, harness.GivenClientCerts},
		Modes: probe.BothModes, Effect: harness.Disruptive,
		Tells: []harness.Key{harness.SoundRollout},
		Act: deploying(func(ctx context.Context, client harness.Client, trace *harness.Trace) error {
			return deployed(ctx, client, trace, harness.Launch{Previous: true}, smoke)
		}),
	}
}

func deployed(ctx context.Context, client harness.Client, trace *harness.Trace, launch harness.Launch,
	which map[harness.Mode][]string) error {
	err := eachMode(client.Target(), trace, func(mode harness.Mode, trace *harness.Trace) error {
		launch := launch
		launch.Mode = mode
		return deploy(ctx, client, trace, harness.SoundRollout, launch)
	})
	if err != nil {
		return err
	}
	return fresh(ctx, client, trace, which)
}

// eachMode does something in every mode at once.
func eachMode(t *harness.Target, trace *harness.Trace, do func(harness.Mode, *harness.Trace) error) error {
	modes := probe.ModesOf(t)
	traces := make([]harness.Trace, len(modes))
	var group errgroup.Group
	for i, mode := range modes {
		group.Go(func() error { return do(mode, &traces[i]) })
	}
	err := group.Wait()
	for _, seen := range traces {
		trace.Exchanges = append(trace.Exchanges, seen.Exchanges...)
		trace.Facts = append(trace.Facts, seen.Facts...)
	}
	return err
}

func deploy(ctx context.Context, client harness.Client, trace *harness.Trace, what harness.StateOf, launch harness.Launch) error {
	ready, err := client.Target().Control.Rollout.Deploy(ctx, launch)
	if err != nil {
		return err
	}
	trace.Facts = append(trace.Facts, what.Was(readiness(ready)))
	return nil
}

func readiness(ready bool) string {
	if ready {
		return "became ready"
	}
	return "never became ready"
}

// BrokenDeploy rolls out a replica that cannot read its secrets, and then a sound
// one, and calls all the while (RBK-004).
func BrokenDeploy() harness.Stimulus {
	return harness.Stimulus{
		Words: "roll out a replica whose token Vault refuses, in each mode, and then a sound one; all the while, over and over, call each " +
			"face with a valid credential, with none, and with bad ones",
		Needs: []harness.Capability{harness.RollOut, harness.MintTokens, harness.GivenClientCerts},
		Modes: probe.BothModes, Effect: harness.Disruptive,
		Tells: []harness.Key{harness.BrokenRollout, harness.SoundRollout},
		Act: deploying(func(ctx context.Context, client harness.Client, trace *harness.Trace) error {
			return eachMode(client.Target(), trace, func(mode harness.Mode, trace *harness.Trace) error {
				for _, step := range []struct {
					what   harness.StateOf
					launch harness.Launch
				}{
					// #nosec G101 -- none
					{harness.BrokenRollout, harness.Launch{Mode: mode, Env: map[string]string{"VAULT_TOKEN": "conformance-no-token"}}},
					{harness.SoundRollout, harness.Launch{Mode: mode}},
				} {
					if err := meanwhile(ctx, client, trace, mode, func() error { return deploy(ctx, client, trace, step.what, step.launch) }); err != nil {
						return err
					}
				}
				return nil
			})
		}),
	}
}

// meanwhile calls a face while something is done, and once more after it.
func meanwhile(ctx context.Context, client harness.Client, trace *harness.Trace, mode harness.Mode, do func() error) error {
	variants, err := smokeVariants(client.Target(), mode, smoke[mode])
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- do() }()
	var calls []harness.Exchange
	for over := false; !over; {
		select {
		case err := <-ended:
			if err != nil {
				return err
			}
			over = true
		default:
		}
		round := smokeCalls(client.Target(), mode, variants, len(calls))
		answers := client.SendAll(ctx, round)
		if over || len(calls) < probe.MaxRounds*len(round) {
			calls = append(calls, answers...)
		}
		if !over && !probe.Pause(ctx, 20*time.Millisecond) {
			return <-ended
		}
	}
	trace.Exchanges = append(trace.Exchanges, calls...)
	return nil
}

// ModesShown reads in which mode each service runs, and a debug replica; and
// whether clients are told (RBK-003).
func ModesShown() harness.Stimulus {
	return harness.Stimulus{
		Words: "read the metric of the mode of each service, and of a replica with AUTH_MODE=none, with its log; and look for the mode in " +
			"what clients are answered",
		Needs: []harness.Capability{harness.Metrics, harness.RestartService},
		Modes: probe.BothModes, Effect: harness.Disruptive,
		Tells: []harness.Key{harness.DebugServes, harness.DebugMode, harness.ModeTold, harness.ServiceMode(harness.OIDC),
			harness.ServiceMode(harness.MTLS)},
		Act: deploying(func(ctx context.Context, client harness.Client, trace *harness.Trace) error {
			t := client.Target()
			for _, mode := range probe.ModesOf(t) {
				page, err := client.Scrape(ctx, t.Metrics[mode])
				if err != nil {
					return err
				}
				trace.Facts = append(trace.Facts, harness.ServiceMode(mode).Was(modesOf(page, t.Profile.ModeMetric)...))
				variants, err := smokeVariants(t, mode, []string{SmokeNone, SmokeValid})
				if err != nil {
					return err
				}
				for _, x := range client.SendAll(ctx, smokeCalls(t, mode, variants, 0)) {
					if tellsMode(x.Observation) {
						trace.Facts = append(trace.Facts, harness.ModeTold.Was(x.Request.Variant))
					}
				}
			}
			return debugged(ctx, client, trace, func(replica harness.Replica) error {
				page, err := probe.ScrapeReplica(ctx, client, replica)
				seen := modesOf(page, t.Profile.ModeMetric)
				if modeNone.MatchString(replica.Log()) {
					seen = append(seen, "none")
				}
				trace.Facts = append(trace.Facts, harness.DebugMode.Was(seen...))
				return err
			})
		}),
	}
}

// modeNone is what a log says of a service that enforces nothing, in whatever form.
var modeNone = regexp.MustCompile(`(?i)mode\b["']?\s*[:=]?\s*["']?none\b`)

// modesOf are the modes that a page's metric shows to be in force.
func modesOf(page map[string]harness.Family, metric string) []string {
	var modes []string
	series := page[metric].Series
	for _, labels := range slices.Sorted(maps.Keys(series)) {
		for label := range strings.SplitSeq(labels, ",") {
			if mode, ok := strings.CutPrefix(label, "mode="); ok && series[labels] == 1 {
				modes = append(modes, mode)
			}
		}
	}
	return modes
}

// tellsMode reports whether an answer names AUTH_MODE, in its fields or its body.
func tellsMode(o harness.Observation) bool {
	told := strings.ToLower(string(o.Body))
	for name, values := range o.Header {
		told += "\n" + strings.ToLower(name+": "+strings.Join(values, " "))
	}
	return strings.Contains(told, "auth_mode") || strings.Contains(told, "auth-mode") || strings.Contains(told, "authmode")
}

// Situations of a secret that is rolled back.
const (
	WithChanged = "under the new version of the list"
	WithFormer  = "once its former version is the newest again"
)

// SecretBack makes the list one without the enrolled client, waits until that is
// in force, and makes its former version the newest again, as `vault kv rollback`
// does (RBK-005).
func SecretBack() harness.Stimulus {
	return harness.Stimulus{
		Words: "write a list without the enrolled client, wait until that is in force, make the former version the newest again, and call " +
			"as both that client and one of the new list until the former is in force",
		Needs: []harness.Capability{harness.VaultWrite, harness.ClientCAKey, harness.GivenClientCerts},
		Modes: probe.MTLSOnly, Effect: harness.Disruptive,
		Act: deploying(func(ctx context.Context, client harness.Client, trace *harness.Trace) error {
			t := client.Target()
			other := clientcert.Coin(t, "client-"+token.Random(4))
			clients := []probe.Client{{Name: "the client of the former list", CN: t.Certs.EnrolledCN}, {Name: "the client of the new list",
				CN: other}}
			certificates, err := probe.Issue(t, clients)
			if err != nil {
				return err
			}
			// Every endpoint is called once before the change, so that its control stands
			// before it too.
			if _, err := probe.CallAs(ctx, client, clients[:1], certificates[:1], t.Endpoints); err != nil {
				return err
			}
			restore, err := probe.Rewrite(ctx, t, probe.Enrolling(other))
			if err != nil {
				return err
			}
			calls := func(situation string, enrolled int) error {
				var seen []harness.Exchange
				probe.Until(ctx, client, probe.Bound(t.Profile.Propagation, harness.DefaultPropagation), func() bool {
					seen, err = probe.CallAs(ctx, client, clients, certificates, t.Endpoints)
					return err != nil || inForce(t, seen, clients[enrolled].Name)
				})
				for i := range seen {
					seen[i].Request.Variant += ", " + situation
				}
				trace.Exchanges = append(trace.Exchanges, seen...)
				return err
			}
			err = calls(WithChanged, 1)
			if restoreErr := restore(); err == nil {
				err = restoreErr
			}
			if err != nil {
				return err
			}
			return calls(WithFormer, 0)
		}),
	}
}

// inForce reports whether exactly one client is accepted.
func inForce(t *harness.Target, seen []harness.Exchange, enrolled string) bool {
	for _, x := range seen {
		if t.Profile.Accepts(x.Observation.Status) != (x.Request.Variant == enrolled) {
			return false
		}
	}
	return true
}
