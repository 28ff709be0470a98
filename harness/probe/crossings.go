package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/token"
	"aegis.test/conformance/harness/wire"
)

// PlainPath is the way of a sound call.
const PlainPath = "its own path"

// wayKind is one kind of way to name or reach an endpoint.
type wayKind struct {
	name string
	ways []Change
	// framed says that a way fixes the bytes, or what goes before them: HTTP/2 has none of it.
	framed bool
}

// wayKinds are the ways to an endpoint at a mode's face, by kind: how it is spelled, which
// host and URL are named, by which method, in which message, and at which address.
func wayKinds(t *harness.Target, mode harness.Mode) []wayKind {
	kinds := []wayKind{
		{name: PlainPath, ways: []Change{Alter(PlainPath, func(*harness.Target, *harness.Request) {})}},
		{name: "dot segments", ways: DotSegments()},
		{name: "percent-encodings", ways: PercentEncodings()},
		{name: "suffixes", ways: append(Suffixes(), pathChange("a trailing slash", func(p string) string { return p + "/" }))},
		{name: "letter cases", ways: LetterCases()},
		{name: "delimiters", ways: Delimiters()},
		{name: "hosts", ways: append(Hosts(), OpenURLs()...), framed: true},
		{name: "aliases", ways: Aliases()},
		{name: "other methods", ways: otherMethods()},
		{name: "method overrides", ways: MethodOverrides()},
		{name: "internal headers", ways: Internals()},
		{name: "framings", ways: Framings(), framed: true},
		{name: "protocols", ways: append(Protocols(), Upgrades()...), framed: true},
	}
	if !strings.HasPrefix(t.Faces[mode].URL, "https:") {
		return kinds
	}
	names := Names()
	if mode == harness.MTLS && t.Grants(harness.SecondHost) {
		names = append(names, OpenName())
	}
	var places []Change
	for _, address := range t.Addresses[mode] {
		places = append(places, Alter("at "+address, func(t *harness.Target, r *harness.Request) {
			face := t.Faces[mode]
			face.Host, face.Connect = face.ServerName(), address
			r.Face = &face
		}))
	}
	kinds = append(kinds, wayKind{name: "server names", ways: names, framed: true},
		wayKind{name: "beginnings", ways: slices.Concat(Pieces(), Prefaces(), []Change{Cleartext()}), framed: true})
	if len(places) > 0 {
		kinds = append(kinds, wayKind{name: "addresses", ways: places})
	}
	return kinds
}

// otherMethods are methods that endpoints do not declare (EPT-002).
func otherMethods() []Change {
	var changes []Change
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO"} {
		changes = append(changes, Alter("by "+method, func(_ *harness.Target, r *harness.Request) { bodied(r, method) }))
	}
	return changes
}

// Transports are the versions of TLS, each with those of HTTP, that can be spoken from here.
func Transports() []Change {
	tls12 := Alter("over TLS 1.2", func(_ *harness.Target, r *harness.Request) { r.MinTLS, r.MaxTLS = tls.VersionTLS12, tls.VersionTLS12 })
	tls13 := Alter("over TLS 1.3", func(_ *harness.Target, r *harness.Request) { r.MinTLS, r.MaxTLS = tls.VersionTLS13, tls.VersionTLS13 })
	http1, h2 := Versions()[0], Versions()[1]
	return []Change{tls12.then(http1, " "), tls13.then(http1, " "), tls12.then(h2, " "), tls13.then(h2, " ")}
}

// Callers are who may not be served in a mode, whatever way they take. In mode mtls nobody
// who claims the enrolled identity in the identity header, or everywhere else; a client who
// is not enrolled, alone and with each claim; and one of no trusted authority with the
// first. In mode oidc tokens that have ended, that another key signed, and that were
// changed, and nobody with both claims. Nobody alone goes each way in a row of its own.
func Callers(mode harness.Mode) []Change {
	nobody := Alter("no credential", func(*harness.Target, *harness.Request) {})
	claim := Alter("the enrolled client's identity header", func(t *harness.Target, r *harness.Request) {
		r.Set(t.Profile.Header(), cmp.Or(t.Certs.EnrolledCN, "aegis-client"))
	})
	elsewhere := Alter("the enrolled client's name everywhere else", claimEverywhere)
	if mode == harness.OIDC {
		return append(bearers([]token.Recipe{token.Expired(10 * time.Minute), token.StolenKid(), token.OtherPayload()}),
			credited(nobody.then(claim, " and ").then(elsewhere, " and ")))
	}
	unenrolled, untrusted := Certified(clientcert.Unenrolled()), Certified(clientcert.Untrusted())
	var all []Change
	for _, c := range []Change{
		nobody.then(claim, " and "), nobody.then(elsewhere, " and "),
		unenrolled, unenrolled.then(claim, " and "), unenrolled.then(elsewhere, " and "),
		untrusted.then(claim, " and "),
	} {
		all = append(all, credited(c))
	}
	return all
}

// credited has a change's name stand for whom a request comes from.
func credited(c Change) Change {
	name := c.Name
	return c.then(Alter("", func(_ *harness.Target, r *harness.Request) { r.Credential = name }), "").named(name)
}

// claimEverywhere claims the enrolled identity in whatever is not the identity header as it
// is written: under names that a gateway takes for it, in other ingresses' headers, in the
// query and in cookies. The body is left to the way.
func claimEverywhere(t *harness.Target, r *harness.Request) {
	name := cmp.Or(t.Certs.EnrolledCN, "aegis-client")
	header := t.Profile.Header()
	r.Set(strings.ReplaceAll(header, "-", "_"), name)
	for _, at := range slices.Sorted(maps.Keys(siblings)) {
		if value := siblings[at]; !strings.Contains(value, "{pem}") && !strings.Contains(value, "{der}") && !strings.EqualFold(at, header) {
			r.Set(at, strings.NewReplacer("{cn}", name, "{hash}", fmt.Sprintf("%064x", 0)).Replace(value))
		}
	}
	values := url.Values{}
	for _, key := range append(slices.Clone(elsewhereNamed), strings.ToLower(header), strings.ToLower(strings.ReplaceAll(header, "-", "_"))) {
		values.Set(key, name)
	}
	r.Path = respelled(r.Path, func(p string) string { return p + "?" + values.Encode() })
	r.Set("Cookie", strings.ReplaceAll(values.Encode(), "&", "; "))
}

// crossing is one cell: who calls, by which way, over which transport and where.
type crossing struct {
	mode      harness.Mode
	caller    named
	way       Change
	transport *Change // nil is as both sides agree
	endpoint  harness.Endpoint
}

// named is a change that is prepared.
type named struct {
	name string
	edit Edit
}

// request is the cell's; false where the way leaves the transport nothing to carry.
func (c crossing) request(t *harness.Target) (r harness.Request, fits bool, err error) {
	way := c.way
	if c.transport != nil {
		way = way.then(*c.transport, " ")
	}
	edit, err := way.Prepare(t)
	if err != nil {
		return r, false, fmt.Errorf("preparing %q: %w", way.Name, err)
	}
	r = Plain(t, c.mode, c.endpoint)
	r.Variant = c.caller.name + ", " + way.Name
	c.caller.edit(&r)
	edit(&r)
	return r, c.transport == nil || r.Raw == nil || r.Protocol == "", nil
}

// Crossings calls by every way as everybody who may not be served (EPT-023): at the first
// endpoint each way by each caller, and by the endpoint's own path over each version of TLS
// and HTTP; and, at the others too, a selection in which every two of kind of way, caller,
// transport and endpoint meet. The run's identifier is its seed.
func Crossings() harness.Stimulus {
	return harness.Stimulus{
		Words: "call the first critical endpoint by every way to name or reach one, as everybody who may not be served; and every critical " +
			"endpoint by a pairwise selection of kinds of way, callers and versions of TLS and HTTP",
		Needs: Union(token.Sound().Needs, clientcert.Enrolled().Needs), Effect: harness.AuthFailures, Modes: BothModes,
		Seeded: true,
		Requests: func(t *harness.Target) ([]harness.Request, bool) {
			requests, _, err := crossed(t)
			return requests, err == nil
		},
		Act: func(ctx context.Context, client harness.Client) (harness.Trace, error) {
			t := client.Target()
			if err := Bearer(token.Expired(10*time.Minute)).ended(ctx, t); err != nil {
				return harness.Trace{}, err
			}
			requests, notes, err := crossed(t)
			if err != nil {
				return harness.Trace{}, err
			}
			notes = append(notes, fmt.Sprintf("the pairwise selection is seeded by the run, %q", t.Run))
			return harness.Trace{Exchanges: client.SendAll(ctx, requests), Notes: notes}, nil
		},
	}
}

// crossed are the requests of Crossings, and what is left out of them.
func crossed(t *harness.Target) (requests []harness.Request, notes []string, err error) {
	for _, mode := range ModesOf(t) {
		callers, unfit, err := callersOf(t, mode)
		if err != nil {
			return nil, nil, err
		}
		notes = append(notes, unfit...)
		for _, c := range crossingsOf(t, mode, callers) {
			r, fits, err := c.request(t)
			if err != nil {
				return nil, nil, err
			}
			if fits {
				requests = append(requests, r)
			}
		}
	}
	return requests, notes, nil
}

// callersOf are the callers of a mode whom a target grants, and those that what it grants
// is unfit for.
func callersOf(t *harness.Target, mode harness.Mode) (callers []named, unfit []string, err error) {
	for _, c := range Callers(mode) {
		if slices.ContainsFunc(c.Needs, func(need harness.Capability) bool { return !t.Grants(need) }) {
			continue
		}
		edit, err := c.Prepare(t)
		switch {
		case errors.Is(err, token.ErrUnfit):
			unfit = append(unfit, fmt.Sprintf("%q was not sent: %v", c.Name, err))
		case err != nil:
			return nil, nil, fmt.Errorf("preparing %q: %w", c.Name, err)
		default:
			callers = append(callers, named{c.Name, edit})
		}
	}
	return callers, unfit, nil
}

// crossingsOf are the cells of a mode.
func crossingsOf(t *harness.Target, mode harness.Mode, callers []named) []crossing {
	if len(callers) == 0 || len(t.Endpoints) == 0 {
		return nil
	}
	kinds, transports := wayKinds(t, mode), Transports()
	if !strings.HasPrefix(t.Faces[mode].URL, "https:") {
		transports = nil
	}
	var cells []crossing
	for _, caller := range callers {
		for _, kind := range kinds {
			for _, way := range kind.ways {
				cells = append(cells, crossing{mode: mode, caller: caller, way: way, endpoint: t.Endpoints[0]})
			}
		}
		for i := range transports {
			cells = append(cells, crossing{mode, caller, kinds[0].ways[0], &transports[i], t.Endpoints[0]})
		}
	}
	if len(transports) == 0 {
		return cells
	}
	seed := seedOf(t.Run + string(mode))
	for n, row := range pairwise(seed, len(kinds), len(callers), len(transports), len(t.Endpoints)) {
		kind, transport := kinds[row[0]], &transports[row[2]]
		if kind.framed {
			transport = &transports[row[2]%2] // the same version of TLS, without HTTP/2
		}
		way := kind.ways[(seed+uint64(n))%uint64(len(kind.ways))]
		cells = append(cells, crossing{mode, callers[row[1]], way, transport, t.Endpoints[row[3]]})
	}
	return cells
}

// seedOf is a text as a seed.
func seedOf(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return h.Sum64()
}

// pairwise are rows with one value of each factor, 0 to its size less one, so that every
// two values of two factors meet in some row (a covering array of strength 2). The same
// seed gives the same rows.
func pairwise(seed uint64, sizes ...int) [][]int {
	random := rand.New(rand.NewPCG(seed, seed)) // #nosec G404 -- a choice of cases, no secret
	type pair struct{ i, a, j, b int }
	var open []pair
	met := map[pair]bool{}
	for i, n := range sizes {
		for j := i + 1; j < len(sizes); j++ {
			for cell := range n * sizes[j] {
				open = append(open, pair{i, cell / sizes[j], j, cell % sizes[j]})
			}
		}
	}
	random.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	var rows [][]int
	for _, first := range open {
		if met[first] {
			continue
		}
		row := slices.Repeat([]int{-1}, len(sizes))
		row[first.i], row[first.j] = first.a, first.b
		for k, n := range sizes {
			best, gain := 0, -1
			for _, value := range random.Perm(n) {
				fresh := 0
				for other, set := range row {
					if set < 0 || other == k {
						continue
					}
					p := pair{k, value, other, set}
					if other < k {
						p = pair{other, set, k, value}
					}
					if !met[p] {
						fresh++
					}
				}
				if fresh > gain {
					best, gain = value, fresh
				}
			}
			if row[k] < 0 {
				row[k] = best
			}
		}
		for i := range row {
			for j := i + 1; j < len(row); j++ {
				met[pair{i, row[i], j, row[j]}] = true
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// respelled changes the path of a request's target, and leaves what is asked of it.
func respelled(target string, form func(path string) string) string {
	path, query, asked := strings.Cut(target, "?")
	path = form(path)
	switch {
	case !asked:
		return path
	case strings.Contains(path, "?"):
		return path + "&" + query
	default:
		return path + "?" + query
	}
}

// OpenURLs are carriers of whatever a URL is built of, each with an open path in the host
// or before the path: who asks of a URL so built whether it is open is told that it is.
func OpenURLs() []Change {
	const open = "/healthz"
	var changes []Change
	for _, end := range []string{"", "?", "#"} {
		host := func(r *harness.Request) string { return r.Get("Host") + open + end }
		changes = append(changes,
			Alter("Host with "+open+end+" behind", func(_ *harness.Target, r *harness.Request) { r.Set("Host", host(r)) }),
			Alter("X-Forwarded-Host with "+open+end+" behind", func(_ *harness.Target, r *harness.Request) { r.Set("X-Forwarded-Host", host(r)) }),
			fieldChange("X-Forwarded-Prefix", open+end))
	}
	return append(changes,
		Alter("Forwarded with "+open+"? behind the host", func(_ *harness.Target, r *harness.Request) {
			r.Set("Forwarded", fmt.Sprintf(`for=127.0.0.1;host="%s%s?";proto=https`, r.Get("Host"), open))
		}),
		Alter(":authority with "+open+"? behind, in HTTP/2", func(_ *harness.Target, r *harness.Request) {
			r.Set("Host", r.Get("Host")+open+"?")
			length := harness.Field{Name: "content-length", Value: strconv.Itoa(len(r.Body))}
			r.Protocol, r.Raw = wire.H2, wire.Framed(*r, []harness.Field{length}, r.Body)
		}))
}
