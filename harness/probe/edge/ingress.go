// Package edge acts on the ingress: it calls around and beside it, and while it changes.
package edge

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/harness/wire"
)

// place is a change of where a call goes: an address, and the names it is asked for by.
// Host is the mode's own where it is ""; sni is as in harness.Request.
func place(name string, face harness.Face, host, sni string) probe.Change {
	return probe.Alter(name, func(_ *harness.Target, r *harness.Request) {
		r.Face, r.SNI = &face, sni
		if host != "" {
			r.Set("Host", host)
		}
	})
}

// itself is the face of the mode.
func itself(name string) probe.Change {
	return probe.Alter(name, func(*harness.Target, *harness.Request) {})
}

// caller is what a call presents, in the modes where it is something.
type caller struct {
	probe.Change
	modes []harness.Mode
}

var (
	nothing = caller{itself("no credential"), probe.BothModes}
	// claimed claims the enrolled identity, and to be the ingress.
	claimed = caller{func() probe.Change {
		c := probe.Alter("identity header of the enrolled client", func(t *harness.Target, r *harness.Request) {
			r.Set(t.Profile.Header(), clientcert.Claim(t, t.Certs.EnrolledCN))
			r.Set(harness.ProxyHeader, token.Random(16))
			r.Set("X-Forwarded-Proto", "https")
			r.Set("X-Ssl-Client-Verify", "SUCCESS")
		})
		c.Needs = []harness.Capability{harness.GivenClientCerts}
		return c
	}(), probe.MTLSOnly}
	// untrusted has a certificate that does not verify.
	untrusted = caller{probe.Certified(clientcert.Untrusted()), probe.MTLSOnly}
	// holding has a token that is valid.
	holding = caller{probe.Change{Name: token.Sound().Name, Needs: token.Sound().Needs,
		Prepare: func(t *harness.Target) (probe.Edit, error) { return probe.Credential(t, harness.OIDC) }}, probe.OIDCOnly}
)

// placesOf gives where the calls of a mode go.
type placesOf func(ctx context.Context, t *harness.Target, mode harness.Mode) ([]probe.Change, error)

// around calls the critical endpoints at other places than a mode's face: each place as
// each of some callers. Calls without a credential to the face itself go with them, and
// accepted ones around them all.
func around(words string, needs []harness.Capability, modes []harness.Mode, at placesOf, callers ...caller) harness.Stimulus {
	var names []string
	for _, c := range callers {
		names = append(names, c.Name)
		needs = probe.Union(needs, c.Needs)
	}
	return harness.Stimulus{
		Words: fmt.Sprintf("call every critical endpoint at %s, with %s", words, strings.Join(names, "; ")),
		Needs: needs, Effect: harness.AuthFailures, Modes: modes,
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			var requests []harness.Request
			for _, mode := range modes {
				if !client.Target().Shows(mode) {
					continue
				}
				more, err := aroundOf(ctx, client.Target(), mode, at, callers)
				if err != nil {
					return harness.Trace{}, err
				}
				requests = append(requests, more...)
			}
			return harness.Trace{Exchanges: client.SendAll(ctx, requests)}, nil
		},
	}
}

// aroundOf are the calls of one mode.
func aroundOf(ctx context.Context, t *harness.Target, mode harness.Mode, at placesOf, callers []caller) ([]harness.Request, error) {
	there, err := at(ctx, t, mode)
	if err != nil {
		return nil, err
	}
	var requests []harness.Request
	for _, c := range callers {
		if !slices.Contains(c.modes, mode) {
			continue
		}
		more, err := probe.In(mode, "", c.Change).At(there...).Made(t)
		if err != nil {
			return nil, err
		}
		requests = append(requests, more...)
	}
	more, err := probe.In(mode, "", nothing.Change).At(itself("the face itself")).Made(t)
	return append(requests, more...), err
}

// Around calls the services at their own addresses (ING-001).
func Around() harness.Stimulus {
	return around("the service's own address, around the ingress", []harness.Capability{harness.BackendPath}, probe.BothModes, backends,
		nothing, claimed)
}

// AsPeer calls the mtls service's own address in plain HTTP, as a neighbour of
// the ingress could (ING-010, ING-011).
func AsPeer() harness.Stimulus {
	return around("the service's own address, in plain HTTP, as a neighbour of the ingress could",
		[]harness.Capability{harness.BackendPath}, probe.MTLSOnly, backends, nothing, claimed)
}

func backends(_ context.Context, t *harness.Target, mode harness.Mode) ([]probe.Change, error) {
	face, ok := t.Backends[mode]
	if !ok {
		return nil, nil
	}
	return []probe.Change{place("the backend", face, face.Authority(), "")}, nil
}

// InPlainHTTP calls the plain-HTTP port (ING-003).
func InPlainHTTP() harness.Stimulus {
	port := func(_ context.Context, t *harness.Target, _ harness.Mode) ([]probe.Change, error) {
		return []probe.Change{place("plain HTTP", harness.Face{URL: t.Plain}, "", "")}, nil
	}
	return around("the port of plain HTTP", []harness.Capability{harness.PlainPort}, probe.BothModes, port, nothing, claimed, holding)
}

// EveryAddress calls every address at which a face is served: those its name
// has, and those that are declared (ING-004).
func EveryAddress() harness.Stimulus {
	return around("every address of the face", nil, probe.BothModes, addresses, nothing, claimed, untrusted)
}

func addresses(ctx context.Context, t *harness.Target, mode harness.Mode) ([]probe.Change, error) {
	face := t.Faces[mode]
	u, err := url.Parse(face.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the target's address: %w", err)
	}
	host, port, err := net.SplitHostPort(cmp.Or(face.Connect, wire.HostPort(u)))
	if err != nil {
		return nil, fmt.Errorf("reading the target's address: %w", err)
	}
	hosts, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("%w: resolving %s: %w", harness.ErrUnseen, host, err)
	}
	var all []string
	for _, host := range hosts {
		all = probe.Union(all, []string{net.JoinHostPort(host, port)})
	}
	var places []probe.Change
	for _, address := range probe.Union(all, t.Addresses[mode]) {
		at := face
		at.URL, at.Host, at.Connect = u.Scheme+"://"+address, face.ServerName(), ""
		places = append(places,
			place(address+", by the face's name", at, "", ""),
			place(address+", by the address alone", at, address, harness.NoSNI))
	}
	return places, nil
}

// OtherHosts calls the face's address by other names than its own (ING-005).
func OtherHosts() harness.Stimulus {
	return around("the face's address by the names of other virtual hosts, by names of none and by its address", nil, probe.BothModes,
		otherHosts, nothing, claimed)
}

func otherHosts(_ context.Context, t *harness.Target, mode harness.Mode) ([]probe.Change, error) {
	face := t.Faces[mode]
	u, err := url.Parse(face.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the target's address: %w", err)
	}
	own := face.ServerName()
	stranger := "x" + token.Random(6)
	sibling := stranger + own[max(0, strings.Index(own, ".")):]
	places := []probe.Change{
		place("an unknown name", face, stranger+".invalid", stranger+".invalid"),
		place("a sibling of its name", face, sibling, sibling),
		place("an unknown name in Host only", face, stranger+".invalid", own),
		place("its address, without SNI", face, u.Host, harness.NoSNI),
		place("localhost", face, "localhost", "localhost"),
	}
	for name, other := range map[string]*harness.Face{"the open virtual host": t.Open, "the foreign virtual host": t.Foreign} {
		if other != nil && mode == harness.MTLS {
			places = append(places,
				place(name, *other, other.Authority(), ""),
				place(name+" in SNI only", *other, face.Authority(), other.Host))
		}
	}
	return places, nil
}

// administration are paths at which proxies tell of themselves or are told.
var administration = []string{
	"/config_dump", "/clusters", "/server_info", "/stats", "/listeners", // Envoy
	"/config/", "/pki/ca/local", // Caddy
	"/nginx_status", "/stub_status", "/haproxy?stats", "/stats;csv",
	"/api/rawdata", "/dashboard/", // Traefik
	"/debug/pprof/", "/actuator", "/env",
}

// Beside looks at the addresses of nobody but the ingress for whatever else
// listens there (ING-002).
func Beside() harness.Stimulus {
	return harness.Stimulus{
		Words: "look at every further address of the ingress, and call the critical endpoints and a proxy's administration where somebody " +
			"listens",
		Needs: []harness.Capability{harness.IngressAddresses}, Effect: harness.ReadOnly, Modes: probe.BothModes,
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			t := client.Target()
			var looks []harness.Request
			for _, address := range t.Siblings {
				for _, scheme := range []string{"http://", "https://"} {
					looks = append(looks, look(t, harness.Face{URL: scheme + address}, "/"))
				}
			}
			var calls []harness.Request
			for _, seen := range client.SendAll(ctx, looks) {
				if probe.Answered(seen.Observation) {
					calls = append(calls, siblingCalls(t, *seen.Request.Face)...)
				}
			}
			for _, mode := range probe.ModesOf(t) {
				calls = append(calls, probe.Plain(t, mode, t.Endpoints[0]))
			}
			return harness.Trace{Exchanges: client.SendAll(ctx, calls)}, nil
		},
	}
}

// look is a GET without a credential; the certificate of who answers is not
// asked for a name.
func look(t *harness.Target, face harness.Face, path string) harness.Request {
	face.RootCAs = anyFace(t).RootCAs
	r := probe.Plain(t, anyMode(t), harness.Endpoint{Name: "sibling", Method: "GET", Path: path})
	r.To(face)
	r.SNI, r.Variant = harness.NoSNI, "GET at "+face.URL
	return r
}

func siblingCalls(t *harness.Target, face harness.Face) []harness.Request {
	var calls []harness.Request
	for _, path := range administration {
		calls = append(calls, look(t, face, path))
	}
	for _, mode := range probe.BothModes {
		if !t.Shows(mode) {
			continue
		}
		for _, endpoint := range t.Endpoints {
			r := probe.Plain(t, mode, endpoint)
			r.Face, r.Variant = &face, "identity header of the enrolled client at "+face.URL
			if r.SNI = t.Faces[mode].Host; r.SNI == "" {
				r.SNI = harness.NoSNI
			}
			if t.Certs.EnrolledCN != "" {
				r.Set(t.Profile.Header(), clientcert.Claim(t, t.Certs.EnrolledCN))
			}
			calls = append(calls, r)
		}
	}
	return calls
}

func anyMode(t *harness.Target) harness.Mode {
	if t.Shows(harness.MTLS) {
		return harness.MTLS
	}
	return harness.OIDC
}

func anyFace(t *harness.Target) harness.Face { return t.Faces[anyMode(t)] }

// WhileReloading calls without a certificate, as somebody else, while the ingress takes
// its configuration anew some times (ING-009).
func WhileReloading(times int) harness.Stimulus {
	return harness.Stimulus{
		Words: fmt.Sprintf("call every critical endpoint without a certificate and with the enrolled client's identity header, over and "+
			"over, while the ingress is reloaded %d times", times),
		Needs: []harness.Capability{harness.IngressControlled, harness.GivenClientCerts}, Effect: harness.Disruptive, Modes: probe.MTLSOnly,
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			return reloading(ctx, client, times)
		},
	}
}

// reloading reloads, calling all the while, and once more when each reload has ended.
func reloading(ctx context.Context, client harness.Client, times int) (harness.Trace, error) {
	t := client.Target()
	var trace harness.Trace
	round := func() error {
		requests, err := probe.In(harness.MTLS, "", claimed.Change).At(itself("the face")).Made(t)
		if err != nil {
			return err
		}
		trace.Exchanges = append(trace.Exchanges, client.SendAll(ctx, requests)...)
		return nil
	}
	for range times {
		ended := make(chan error, 1)
		go func() { ended <- t.Control.Ingress.Reload(ctx) }()
		for over := false; !over && len(trace.Exchanges) < times*probe.MaxRounds*len(t.Endpoints); {
			select {
			case err := <-ended:
				if err != nil {
					return trace, fmt.Errorf("reloading the ingress: %w", err)
				}
				over = true
			default:
			}
			if err := round(); err != nil {
				return trace, err
			}
		}
		for range lateRounds { // a hook may return before the ingress has begun
			if err := round(); err != nil || !probe.Pause(ctx, 100*time.Millisecond) {
				return trace, err
			}
		}
	}
	return trace, nil
}

// lateRounds are the rounds of calls after a reload is said to have ended.
const lateRounds = 5

// WithoutAuthorizer calls with an enrolled certificate while the ingress's authorizer does
// not answer (ING-008).
func WithoutAuthorizer() harness.Stimulus {
	calls := probe.EnrolledCertificate()
	s := calls.Build()
	s.Words += ", while the external authorizer does not answer"
	s.Needs = probe.Union([]harness.Capability{harness.AuthorizerControlled}, s.Needs)
	s.Effect = harness.Disruptive
	s.OwnControl = true // once the authorizer is back
	s.Requests = nil
	s.Act = func(ctx context.Context, client harness.Client) (harness.Trace, error) {
		return withoutAuthorizer(ctx, client, calls.Build())
	}
	return s
}

// withoutAuthorizer takes the authorizer away, calls, brings it back, and calls once more.
func withoutAuthorizer(ctx context.Context, client harness.Client, calls harness.Stimulus) (trace harness.Trace, err error) {
	authorizer := client.Target().Control.Authorizer
	if err := authorizer.Stop(ctx); err != nil {
		return trace, fmt.Errorf("stopping the authorizer: %w", err)
	}
	trace, err = calls.Act(ctx, client)
	if back := authorizer.Start(context.WithoutCancel(ctx)); back != nil {
		return trace, fmt.Errorf("starting the authorizer: %w", back)
	}
	if err != nil {
		return trace, err
	}
	after, err := calls.Act(ctx, client)
	for _, x := range after.Exchanges {
		if !client.Target().Profile.Accepts(x.Observation.Status) {
			return trace, fmt.Errorf("calling once the authorizer is back: %w: an enrolled client was not accepted", harness.ErrUnseen)
		}
	}
	return trace, err
}
