package probe

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
	"aegis.test/conformance/harness/token"
)

// Around calls the critical endpoints at other places than a mode's face: each
// place in each of some ways. Calls without a credential to the face itself go
// with them, and accepted ones around them all.
type Around struct {
	words  string
	needs  []harness.Capability
	modes  []harness.Mode
	effect harness.Effect
	places func(ctx context.Context, t *harness.Target, mode harness.Mode) ([]place, error)
	ways   []way
}

// place is where a call goes: an address, and the names it is asked for by.
type place struct {
	name string
	face harness.Face
	host string // Host; "" means the mode's own
	sni  string // as in harness.Request
}

// way is how a place is called.
type way struct {
	name  string
	modes []harness.Mode
	needs []harness.Capability
	make  func(t *harness.Target, mode harness.Mode) (Change, error)
}

var bothModes = []harness.Mode{harness.OIDC, harness.MTLS}

// nothing is a call without a credential.
var nothing = way{name: "no credential", modes: bothModes,
	make: func(*harness.Target, harness.Mode) (Change, error) { return func(*harness.Request) {}, nil }}

// claimed is a call that claims the enrolled identity, and to be the ingress.
var claimed = way{name: "identity header of the enrolled client", modes: []harness.Mode{harness.MTLS},
	needs: []harness.Capability{harness.GivenClientCerts},
	make: func(t *harness.Target, _ harness.Mode) (Change, error) {
		return func(r *harness.Request) {
			r.Set(t.Profile.Header(), t.Certs.EnrolledCN)
			r.Set(harness.ProxyHeader, token.Random(16))
			r.Set("X-Forwarded-Proto", "https")
			r.Set("X-Ssl-Client-Verify", "SUCCESS")
		}, nil
	}}

// untrusted is a call with a certificate that does not verify.
var untrusted = way{name: Untrusted().Name, modes: []harness.Mode{harness.MTLS}, needs: Untrusted().Needs,
	make: func(t *harness.Target, _ harness.Mode) (Change, error) {
		pair, err := Untrusted().Make(t)
		return func(r *harness.Request) { present(r, Untrusted().Name, pair) }, err
	}}

// holding is a call with a token that is valid.
var holding = way{name: token.Sound().Name, modes: []harness.Mode{harness.OIDC}, needs: token.Sound().Needs,
	make: func(t *harness.Target, mode harness.Mode) (Change, error) { return Credential(t, mode) }}

// Words says what is done.
func (a Around) Words() string {
	var names []string
	for _, w := range a.ways {
		names = append(names, w.name)
	}
	return fmt.Sprintf("call every critical endpoint at %s, with %s", a.words, strings.Join(names, "; "))
}

// Needs is what the places and the ways need.
func (a Around) Needs() []harness.Capability {
	needs := a.needs
	for _, w := range a.ways {
		needs = union(needs, w.needs)
	}
	return needs
}

// Effect is what a call does.
func (a Around) Effect() harness.Effect { return a.effect }

// Modes are the modes whose endpoints are called.
func (a Around) Modes() []harness.Mode { return a.modes }

// Controlled is true.
func (a Around) Controlled() bool { return true }

// Act sends the calls.
func (a Around) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	var requests []harness.Request
	t := hands.Target()
	for _, mode := range a.modes {
		if !t.Shows(mode) {
			continue
		}
		places, err := a.places(ctx, t, mode)
		if err != nil {
			return harness.Trace{}, err
		}
		for _, w := range a.ways {
			if !slices.Contains(w.modes, mode) {
				continue
			}
			more, err := w.requests(t, mode, places)
			if err != nil {
				return harness.Trace{}, fmt.Errorf("preparing %q: %w", w.name, err)
			}
			requests = append(requests, more...)
		}
		for _, endpoint := range t.Endpoints {
			r := plain(t, mode, endpoint)
			r.Variant = nothing.name + " at the face itself"
			requests = append(requests, r)
		}
	}
	return harness.Trace{Exchanges: hands.SendAll(ctx, requests)}, nil
}

func (w way) requests(t *harness.Target, mode harness.Mode, places []place) ([]harness.Request, error) {
	change, err := w.make(t, mode)
	if err != nil {
		return nil, err
	}
	var requests []harness.Request
	for _, p := range places {
		for _, endpoint := range t.Endpoints {
			r := plain(t, mode, endpoint)
			r.Variant = w.name + " at " + p.name
			r.Face, r.SNI = &p.face, p.sni
			if p.host != "" {
				r.Set("Host", p.host)
			}
			change(&r)
			requests = append(requests, r)
		}
	}
	return requests, nil
}

// AroundIngress calls the services at their own addresses (ING-001).
func AroundIngress() Around {
	return Around{
		words: "the service's own address, around the ingress", needs: []harness.Capability{harness.BackendPath},
		modes: bothModes, effect: harness.AuthFailures, ways: []way{nothing, claimed}, places: backends,
	}
}

// AsPeer calls the mtls service's own address in plain HTTP, as a neighbour of
// the ingress could (ING-010, ING-011).
func AsPeer() Around {
	a := AroundIngress()
	a.words, a.modes = "the service's own address, in plain HTTP, as a neighbour of the ingress could", []harness.Mode{harness.MTLS}
	return a
}

func backends(_ context.Context, t *harness.Target, mode harness.Mode) ([]place, error) {
	face, ok := t.Backends[mode]
	if !ok {
		return nil, nil
	}
	return []place{{name: "the backend", face: face, host: Authority(face)}}, nil
}

// InPlainHTTP calls the plain-HTTP port (ING-003).
func InPlainHTTP() Around {
	return Around{
		words: "the port of plain HTTP", needs: []harness.Capability{harness.PlainPort},
		modes: bothModes, effect: harness.AuthFailures, ways: []way{nothing, claimed, holding},
		places: func(_ context.Context, t *harness.Target, _ harness.Mode) ([]place, error) {
			return []place{{name: "plain HTTP", face: harness.Face{URL: t.Plain}}}, nil
		},
	}
}

// EveryAddress calls every address at which a face is served: those its name
// has, and those that are declared (ING-004).
func EveryAddress() Around {
	return Around{
		words: "every address of the face", modes: bothModes, effect: harness.AuthFailures,
		ways: []way{nothing, claimed, untrusted}, places: addresses,
	}
}

func addresses(ctx context.Context, t *harness.Target, mode harness.Mode) ([]place, error) {
	face := t.Faces[mode]
	u, err := url.Parse(face.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the target's address: %w", err)
	}
	host, port, err := net.SplitHostPort(cmp.Or(face.Connect, hostPort(u)))
	if err != nil {
		return nil, fmt.Errorf("reading the target's address: %w", err)
	}
	hosts, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("%w: resolving %s: %w", ErrUnseen, host, err)
	}
	var all []string
	for _, host := range hosts {
		all = union(all, []string{net.JoinHostPort(host, port)})
	}
	var places []place
	for _, address := range union(all, t.Addresses[mode]) {
		at := face
		at.URL, at.Host, at.Connect = u.Scheme+"://"+address, serverName(face, u), ""
		places = append(places,
			place{name: address + ", by the face's name", face: at},
			place{name: address + ", by the address alone", face: at, host: address, sni: harness.NoSNI})
	}
	return places, nil
}

func serverName(face harness.Face, u *url.URL) string {
	if face.Host != "" {
		return face.Host
	}
	return u.Hostname()
}

// OtherHosts calls the face's address by other names than its own (ING-005).
func OtherHosts() Around {
	return Around{
		words: "the face's address by the names of other virtual hosts, by names of none and by its address",
		modes: bothModes, effect: harness.AuthFailures, ways: []way{nothing, claimed}, places: otherHosts,
	}
}

func otherHosts(_ context.Context, t *harness.Target, mode harness.Mode) ([]place, error) {
	face := t.Faces[mode]
	u, err := url.Parse(face.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the target's address: %w", err)
	}
	own := serverName(face, u)
	stranger := "x" + token.Random(6)
	sibling := stranger + own[max(0, strings.Index(own, ".")):]
	places := []place{
		{name: "an unknown name", face: face, host: stranger + ".invalid", sni: stranger + ".invalid"},
		{name: "a sibling of its name", face: face, host: sibling, sni: sibling},
		{name: "an unknown name in Host only", face: face, host: stranger + ".invalid", sni: own},
		{name: "its address, without SNI", face: face, host: u.Host, sni: harness.NoSNI},
		{name: "localhost", face: face, host: "localhost", sni: "localhost"},
	}
	for name, other := range map[string]*harness.Face{"the open virtual host": t.Open, "the foreign virtual host": t.Foreign} {
		if other != nil && mode == harness.MTLS {
			places = append(places,
				place{name: name, face: *other, host: Authority(*other)},
				place{name: name + " in SNI only", face: *other, host: Authority(face), sni: other.Host})
		}
	}
	return places, nil
}

// Beside looks at the addresses of nobody but the ingress for whatever else
// listens there (ING-002).
type Beside struct{}

// administration are paths at which proxies tell of themselves or are told.
var administration = []string{
	"/config_dump", "/clusters", "/server_info", "/stats", "/listeners", // Envoy
	"/config/", "/pki/ca/local", // Caddy
	"/nginx_status", "/stub_status", "/haproxy?stats", "/stats;csv",
	"/api/rawdata", "/dashboard/", // Traefik
	"/debug/pprof/", "/actuator", "/env",
}

// Words says what is done.
func (Beside) Words() string {
	return "look at every further address of the ingress, and call the critical endpoints and a proxy's administration where somebody listens"
}

// Needs is to be told which addresses are the ingress's own.
func (Beside) Needs() []harness.Capability { return []harness.Capability{harness.IngressAddresses} }

// Effect is what is declared of it in the catalogue.
func (Beside) Effect() harness.Effect { return harness.ReadOnly }

// Modes are both.
func (Beside) Modes() []harness.Mode { return bothModes }

// Controlled is true.
func (Beside) Controlled() bool { return true }

// Act looks first who listens, and then calls.
func (Beside) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	t := hands.Target()
	var looks []harness.Request
	for _, address := range t.Siblings {
		for _, scheme := range []string{"http://", "https://"} {
			looks = append(looks, look(t, harness.Face{URL: scheme + address}, "/"))
		}
	}
	var calls []harness.Request
	for _, seen := range hands.SendAll(ctx, looks) {
		if answered(seen.Observation) {
			calls = append(calls, siblingCalls(t, *seen.Request.Face)...)
		}
	}
	for _, mode := range bothModes {
		if t.Shows(mode) {
			calls = append(calls, plain(t, mode, t.Endpoints[0]))
		}
	}
	return harness.Trace{Exchanges: hands.SendAll(ctx, calls)}, nil
}

// answered reports that somebody speaks the face's scheme.
func answered(o harness.Observation) bool { return o.Transport == harness.Answered && o.Status != 0 }

// look is a GET without a credential; the certificate of who answers is not
// asked for a name.
func look(t *harness.Target, face harness.Face, path string) harness.Request {
	face.RootCAs = anyFace(t).RootCAs
	r := plain(t, anyMode(t), harness.Endpoint{Name: "sibling", Method: "GET", Path: path})
	r.Face, r.SNI = &face, harness.NoSNI
	r.Variant = "GET at " + face.URL
	r.Set("Host", Authority(face))
	return r
}

func siblingCalls(t *harness.Target, face harness.Face) []harness.Request {
	var calls []harness.Request
	for _, path := range administration {
		calls = append(calls, look(t, face, path))
	}
	for _, mode := range bothModes {
		if !t.Shows(mode) {
			continue
		}
		for _, endpoint := range t.Endpoints {
			r := plain(t, mode, endpoint)
			r.Face, r.Variant = &face, "identity header of the enrolled client at "+face.URL
			if r.SNI = t.Faces[mode].Host; r.SNI == "" {
				r.SNI = harness.NoSNI
			}
			if t.Certs.EnrolledCN != "" {
				r.Set(t.Profile.Header(), t.Certs.EnrolledCN)
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

// Reloading calls without a certificate, as somebody else, while the ingress
// takes its configuration anew (ING-009).
type Reloading struct{ times int }

// WhileReloading reloads some times.
func WhileReloading(times int) Reloading { return Reloading{times} }

// Words says what is done.
func (r Reloading) Words() string {
	return fmt.Sprintf("call every critical endpoint without a certificate and with the enrolled client's identity header, over and over, while the ingress is reloaded %d times", r.times)
}

// Needs is control of the ingress, and a name to claim.
func (Reloading) Needs() []harness.Capability {
	return []harness.Capability{harness.IngressControlled, harness.GivenClientCerts}
}

// Effect is that of a reload.
func (Reloading) Effect() harness.Effect { return harness.Disruptive }

// Modes is mtls.
func (Reloading) Modes() []harness.Mode { return []harness.Mode{harness.MTLS} }

// Controlled is true.
func (Reloading) Controlled() bool { return true }

// maxRounds bounds the rounds of calls during one reload.
const maxRounds = 40

// Act reloads, calling all the while, and once more when each reload has ended.
func (r Reloading) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	t := hands.Target()
	var trace harness.Trace
	round := func() error {
		requests, err := claimed.requests(t, harness.MTLS, []place{{name: "the face", face: t.Faces[harness.MTLS]}})
		if err != nil {
			return err
		}
		for i := range requests {
			requests[i].Face = nil
		}
		trace.Exchanges = append(trace.Exchanges, hands.SendAll(ctx, requests)...)
		return nil
	}
	for range r.times {
		ended := make(chan error, 1)
		go func() { ended <- t.Control.Ingress.Reload(ctx) }()
		for over := false; !over && len(trace.Exchanges) < r.times*maxRounds*len(t.Endpoints); {
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
			if err := round(); err != nil || !pause(ctx, 100*time.Millisecond) {
				return trace, err
			}
		}
	}
	return trace, nil
}

// lateRounds are the rounds of calls after a reload is said to have ended.
const lateRounds = 5

// Unauthorized calls with an enrolled certificate while the ingress's authorizer does
// not answer (ING-008).
type Unauthorized struct{ Calls }

// WithoutAuthorizer makes it.
func WithoutAuthorizer() Unauthorized { return Unauthorized{EnrolledCertificate()} }

// Words says what is done.
func (o Unauthorized) Words() string {
	return o.Calls.Words() + ", while the external authorizer does not answer"
}

// Needs is control of the authorizer, and what the calls need.
func (o Unauthorized) Needs() []harness.Capability {
	return union([]harness.Capability{harness.AuthorizerControlled}, o.Calls.Needs())
}

// Effect is that of an outage.
func (Unauthorized) Effect() harness.Effect { return harness.Disruptive }

// Controlled is false: it brings its own control, once the authorizer is back.
func (Unauthorized) Controlled() bool { return false }

// Requests are more than its calls.
func (Unauthorized) Requests(*harness.Target) ([]harness.Request, bool) { return nil, false }

// Act takes the authorizer away, calls, brings it back, and calls once more.
func (o Unauthorized) Act(ctx context.Context, hands harness.Hands) (trace harness.Trace, err error) {
	authorizer := hands.Target().Control.Authorizer
	if err := authorizer.Stop(ctx); err != nil {
		return trace, fmt.Errorf("stopping the authorizer: %w", err)
	}
	trace, err = o.Calls.Act(ctx, hands)
	if back := authorizer.Start(context.WithoutCancel(ctx)); back != nil {
		return trace, fmt.Errorf("starting the authorizer: %w", back)
	}
	if err != nil {
		return trace, err
	}
	after, err := o.Calls.Act(ctx, hands)
	for _, x := range after.Exchanges {
		if !hands.Target().Profile.Accepts(x.Observation.Status) {
			return trace, fmt.Errorf("calling once the authorizer is back: %w: an enrolled client was not accepted", ErrUnseen)
		}
	}
	return trace, err
}
