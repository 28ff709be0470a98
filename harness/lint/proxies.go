package lint

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint/ingress"
)

// proxies are the rules of the ingress in mode mtls (runbook section 3).
var proxies = []Rule{
	{
		ID: "LNT-040", Clauses: []string{"3.2", "3.5"}, Level: harness.MUST, Kind: Ingress,
		Source: "ssl_verify_client off; the second way to a service that the first one guards",
		Says:   "Every listener that leads to a service in mode mtls asks for client certificates.",
		Remedy: "require client certificates at this listener, or let it lead elsewhere",
		Check: func(t *Tree) []Hit {
			return t.eachServer(func(s ingress.Server) []Hit {
				if s.Verify != ingress.Unasked || !s.TLS {
					return nil
				}
				return []Hit{{At: orAt(s.VerifyAt, s.At), Got: said(s), Want: "a client certificate is required"}}
			})
		},
	},
	{
		ID: "LNT-041", Clauses: []string{"3.3", "3.5"}, Level: harness.MUST, Kind: Ingress,
		Source: "LAB-3: optional_no_ca, and crt-ignore-err all, believe any certificate",
		Says:   "Where any certificate is taken, whoever has none that verifies is refused on the way.",
		Remedy: "require certificates that verify (nginx: on; HAProxy: verify required; " +
			"Caddy: require_and_verify), or refuse by the result of the verification",
		Check: func(t *Tree) []Hit {
			return t.eachServer(func(s ingress.Server) []Hit {
				if s.Verify != ingress.Unverified {
					return nil
				}
				return each(s.Routes, func(r ingress.Route) []Hit {
					if r.Guarded {
						return nil
					}
					return []Hit{{At: orAt(s.VerifyAt, r.At), Got: said(s) + ", and " + way(r) + " looks at no result",
						Want: "a refusal of who is not verified"}}
				})
			})
		},
	},
	{
		ID: "LNT-042", Clauses: []string{"3.3"}, Level: harness.MUST, Kind: Ingress,
		Source: "a verification against nobody, or against every public authority",
		Says:   "A listener that verifies client certificates says whose it believes.",
		Remedy: "name the file of your client CA (nginx: ssl_client_certificate; HAProxy: ca-file; Caddy: trust_pool; Envoy: trusted_ca)",
		Check: func(t *Tree) []Hit {
			return t.eachServer(func(s ingress.Server) []Hit {
				believed := s.Verify == ingress.Unverified && slices.ContainsFunc(s.Routes, func(r ingress.Route) bool { return !r.Guarded })
				if s.Verify == ingress.Unasked || s.CA != "" || believed { // who is believed anyway is LNT-041's
					return nil
				}
				return []Hit{{At: orAt(s.VerifyAt, s.At), Got: said(s) + ", and no CA", Want: "your client CA"}}
			})
		},
	},
	{
		ID: "LNT-043", Clauses: []string{"3.4", "3.5"}, Level: harness.MUST, Kind: Ingress,
		Source: "HDR-001, HDR-002, B21: an ingress that passes what the caller says of himself",
		Says:   "On every way to a service in mode mtls the identity header is overwritten or taken out.",
		Remedy: "set the header on this way, from the verified certificate " +
			"(in nginx one proxy_set_header of a location's own drops all those above it)",
		Check: func(t *Tree) []Hit {
			return t.eachServer(func(s ingress.Server) []Hit {
				return each(s.Routes, func(r ingress.Route) []Hit {
					return each(t.carried(s), func(name string) []Hit {
						if r.Overwrites(name) {
							return nil
						}
						at, got := r.At, fmt.Sprintf("%s does nothing to %s", way(r), name)
						for _, h := range r.Sets(name) {
							if h.From == ingress.Caller {
								at, got = h.At, fmt.Sprintf("%s is %s, which the caller sends", name, h.Value)
							}
						}
						return []Hit{{At: at, Got: got, Want: name + " from the verified certificate, or nothing"}}
					})
				})
			})
		},
	},
	{
		ID: "LNT-044", Clauses: []string{"3.4"}, Source: "B21: an ingress that forwards no identity", Level: harness.MUST, Kind: Ingress,
		Says:   "A listener that leads to a service in mode mtls forwards the identity of the verified certificate.",
		Remedy: "set the identity header from the certificate's subject",
		Check: func(t *Tree) []Hit {
			return t.eachServer(func(s ingress.Server) []Hit {
				forwards := !s.TLS
				for _, r := range s.Routes {
					for _, name := range t.carried(s) {
						forwards = forwards || !r.Overwrites(name) || slices.ContainsFunc(r.Sets(name),
							func(h ingress.Header) bool { return h.From == ingress.Subject })
					}
				}
				if forwards {
					return nil
				}
				r := s.Routes[0]
				return []Hit{{At: r.At, Got: fmt.Sprintf("%s sets %s from no certificate", way(r), strings.Join(t.carried(s), ", ")),
					Want: "the subject of the verified certificate"}}
			})
		},
	},
	{
		ID: "LNT-045", Clauses: []string{"3.4"}, Level: harness.SHOULD, Kind: Ingress,
		Source: "LAB-3: x_ssl_client_cn is x-ssl-client-cn to some services",
		Says:   "The identity header does not pass in its spelling with underscores.",
		Remedy: "drop headers with underscores (nginx: underscores_in_headers off; HAProxy: del-header; " +
			"Caddy: header_up -*_*; Envoy: headers_with_underscores_action)",
		Check: func(t *Tree) []Hit {
			return t.eachServer(func(s ingress.Server) []Hit {
				return each(s.Routes, func(r ingress.Route) []Hit {
					return each(t.carried(s), func(name string) []Hit {
						odd := strings.ReplaceAll(name, "-", "_")
						if !r.Underscores || odd == name || r.Overwrites(odd) {
							return nil
						}
						return []Hit{{At: r.At, Got: way(r) + " passes " + odd, Want: "it is taken out"}}
					})
				})
			})
		},
	},
	{
		ID: "LNT-046", Clauses: []string{"3.2", "3.5"}, Level: harness.MUST, Kind: Ingress,
		Source: "EPT-004: a listener of plain HTTP beside the guarded one",
		Says:   "No listener without TLS leads to a service in mode mtls.",
		Remedy: "redirect to https or refuse, and proxy nothing",
		Check: func(t *Tree) []Hit {
			return t.eachServer(func(s ingress.Server) []Hit {
				if s.TLS || len(s.Routes) == 0 {
					return nil
				}
				return []Hit{{At: s.Routes[0].At, Got: way(s.Routes[0]) + " over plain HTTP", Want: "TLS with client certificates"}}
			})
		},
	},
	{
		ID: "LNT-047", Clauses: []string{"3.2"}, Source: "RFC 9325 section 3.1.1: neither TLS 1.0 nor 1.1", Level: harness.SHOULD, Kind: Ingress,
		Says:   "A listener takes TLS 1.2 and newer only.",
		Remedy: "take the older protocols out",
		Check: func(t *Tree) []Hit {
			return t.eachServer(func(s ingress.Server) []Hit {
				return each(s.Old, func(w ingress.Word) []Hit { return []Hit{{At: w.At, Got: w.Text, Want: "TLSv1.2 and TLSv1.3"}} })
			})
		},
	},
	{
		ID: "LNT-048", Clauses: []string{"3.4"}, Level: harness.MUST, Kind: Ingress,
		Source: "LAB-3: a popular map takes the name out of another attribute (M-099)",
		Says:   "What takes the CN out of a subject cannot be led astray by another attribute of it.",
		Remedy: "anchor the pattern at both ends, and let the name hold plain letters only: " +
			"~^CN=([A-Za-z0-9._-]+)$ for subjects of one attribute",
		Check: func(t *Tree) []Hit {
			return each(t.Proxies, func(c *ingress.Configuration) []Hit {
				return each(c.Maps, func(m ingress.Map) []Hit {
					subject, taken, err := m.Astray()
					switch {
					case err != nil:
						return []Hit{{At: m.At, Unseen: "the pattern was not tried: " + err.Error()}}
					case taken:
						return []Hit{{At: m.At, Got: subject + " is taken for aegis-client", Want: "other-client, or nobody"}}
					}
					return nil
				})
			})
		},
	},
}

// eachServer gathers what is found in each listener that leads to a service in mode mtls.
func (t *Tree) eachServer(check func(ingress.Server) []Hit) []Hit {
	return each(t.mtlsServers(), check)
}

// everyServer are the listeners that lead to a service in mode mtls: those that ask for
// certificates or forward what is in them, and those that lead where such a one of the
// same folder leads. Where the files say that mtls is the only mode, it is every one
// that leads anywhere.
func (t *Tree) everyServer() []ingress.Server {
	var found []ingress.Server
	for _, beside := range t.deployed() {
		found = append(found, t.ofMTLS(beside)...)
	}
	return found
}

// deployed are the listeners that lead anywhere, by the folder that they are read from:
// configurations in one folder are of one proxy, as a rule.
func (t *Tree) deployed() map[string][]ingress.Server {
	all := map[string][]ingress.Server{}
	for _, c := range t.Proxies {
		for _, s := range c.Servers {
			if len(s.Routes) > 0 {
				all[s.Syntax+" "+filepath.Dir(c.File)] = append(all[s.Syntax+" "+filepath.Dir(c.File)], s)
			}
		}
	}
	return all
}

func (t *Tree) ofMTLS(beside []ingress.Server) []ingress.Server {
	upstreams := map[string]bool{}
	for _, s := range beside {
		if guards(s) {
			for _, r := range s.Routes {
				upstreams[r.Upstream] = true
			}
		}
	}
	modes := t.modes()
	only := len(modes) == 1 && modes[0] == harness.MTLS
	none := len(modes) > 0 && !slices.Contains(modes, harness.MTLS)
	var found []ingress.Server
	for _, s := range beside {
		leads := slices.ContainsFunc(s.Routes, func(r ingress.Route) bool { return upstreams[r.Upstream] })
		if !none && (guards(s) || leads || only) {
			found = append(found, s)
		}
	}
	return found
}

// guards says whether a listener has to do with client certificates.
func guards(s ingress.Server) bool {
	return s.Verify != ingress.Unasked || s.CA != "" || slices.ContainsFunc(s.Routes, func(r ingress.Route) bool {
		return slices.ContainsFunc(r.Headers, func(h ingress.Header) bool { return h.From == ingress.Subject })
	})
}

// carried are the names of the identity header at a listener: what the manifests say, as
// far as some listener sets it; otherwise what one of the same folder sets from a
// subject; otherwise the runbook's example.
func (t *Tree) carried(s ingress.Server) []string {
	all := t.identities("", true)
	var declared []string
	for _, h := range t.idHeaders() {
		if len(all) == 0 || names(all, h.name) { // what nobody sets is LNT-060's
			declared = append(declared, h.name)
		}
	}
	set := t.identities(filepath.Dir(s.At.File), false)
	switch {
	case len(declared) > 0:
		return declared
	case len(set) > 0:
		return set
	default:
		return []string{defaultHeader}
	}
}

// identities are the headers that listeners set from a subject, each once; those in one
// folder, where one is given, and those that proxies set by themselves, where own says
// so.
func (t *Tree) identities(folder string, own bool) []string {
	key := identityKey{folder, own}
	if set, known := t.found.identities[key]; known {
		return set
	}
	var set []string
	for _, s := range t.mtlsServers() {
		for _, r := range s.Routes {
			for _, h := range r.Headers {
				here := folder == "" || filepath.Dir(s.At.File) == folder
				if here && h.From == ingress.Subject && (own || !h.Own) && identifies.MatchString(h.Name) && !names(set, h.Name) {
					set = append(set, h.Name)
				}
			}
		}
	}
	t.found.identities[key] = set
	return set
}

// names says whether a header is among some, whatever its spelling.
func names(list []string, header string) bool {
	return slices.ContainsFunc(list, func(name string) bool { return strings.EqualFold(name, header) })
}

// identifies is how a header is named that says who a client is, and not whether its
// certificate verified or by whom it was issued.
var identifies = regexp.MustCompile(`(?i)(cn|dn|subject|identity|client-?(name|id|cert)|user)`)

// said are a listener's words about client certificates.
func said(s ingress.Server) string { return cmp.Or(s.Says, "nothing about client certificates") }

// way names a route.
func way(r ingress.Route) string { return fmt.Sprintf("%s to %s", cmp.Or(r.Path, "/"), r.Upstream) }
