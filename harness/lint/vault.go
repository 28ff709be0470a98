package lint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint/manifest"
	"aegis.test/conformance/harness/lint/policy"
)

// runtimePath is where the runbook keeps the runtime secrets (section 1).
const runtimePath = "secret/data/aegis/runtime"

// vault are the rules of what Vault lets the service do.
var vault = []Rule{
	{
		ID: "LNT-030", Clauses: []string{"1.5"}, Level: harness.MUST, Kind: Vault,
		Source: "B22: a token that overwrites what it should read; ASVS 13.3.2",
		Says:   "The service's policy reads, and changes nothing.",
		Remedy: "leave read alone; give what writes to a policy of whoever rotates the secrets, on a role of theirs",
		Check: func(t *Tree) []Hit {
			return each(t.servicePolicies(), func(p *policy.Policy) []Hit {
				return each(p.Grants, func(g policy.Grant) []Hit {
					if g.Denies() || slices.Contains(ownPaths, g.Path) {
						return nil
					}
					return each(g.Capabilities, func(c policy.Capability) []Hit {
						if !slices.Contains(changing, c.Name) {
							return nil
						}
						return []Hit{{At: c.At, Got: fmt.Sprintf("%s on %q in policy %s", c.Name, g, p.Name), Want: "read"}}
					})
				})
			})
		},
	},
	{
		ID: "LNT-031", Clauses: []string{"1.5"}, Level: harness.MUST, Kind: Vault,
		Source: "X-012: a policy copied with its wildcard; ASVS 13.3.2",
		Says:   "The service's policy reaches its own secrets, and nobody else's.",
		Remedy: "name the path in full: " + runtimePath,
		Check: func(t *Tree) []Hit {
			return each(t.servicePolicies(), func(p *policy.Policy) []Hit {
				return each(p.Grants, func(g policy.Grant) []Hit {
					foreign := strangers(g)
					if g.Denies() || foreign == "" {
						return nil
					}
					return []Hit{{At: g.At, Got: fmt.Sprintf("%q in policy %s, which reaches %s too", g, p.Name, foreign), Want: runtimePath}}
				})
			})
		},
	},
	{
		ID: "LNT-032", Clauses: []string{"1.3", "1.5"}, Level: harness.MUST, Kind: Vault,
		Source: "KV v2: the API's path has data/ in it, and so has the policy's",
		Says:   "The service's policy names the path that KV v2 is read by.",
		Remedy: "put data/ behind the mount: " + runtimePath,
		Check: func(t *Tree) []Hit {
			return each(t.servicePolicies(), func(p *policy.Policy) []Hit {
				return each(p.Grants, func(g policy.Grant) []Hit {
					if !strings.HasSuffix(g.Path, "aegis/runtime") || strings.Contains(g.Path, "/data/") || strings.Contains(g.Path, "/metadata/") {
						return nil
					}
					return []Hit{{At: g.At, Got: fmt.Sprintf("%q in policy %s", g, p.Name), Want: runtimePath}}
				})
			})
		},
	},
	{
		ID: "LNT-033", Clauses: []string{"1.5"}, Source: "a role that any Pod of the cluster may log in by", Level: harness.MUST, Kind: Vault,
		Says:   "The role of Kubernetes auth is bound to accounts and namespaces by name.",
		Remedy: "name the service's account and its namespace",
		Check: func(t *Tree) []Hit {
			return each(t.Roles, func(r *policy.Role) []Hit {
				var hits []Hit
				for _, b := range []struct {
					key  string
					list []string
				}{{"bound_service_account_names", r.Accounts}, {"bound_service_account_namespaces", r.Namespaces}} {
					selected := b.key == "bound_service_account_namespaces" && r.Selector != ""
					switch {
					case slices.Contains(b.list, "*"):
						hits = append(hits, Hit{At: r.At(b.key), Got: fmt.Sprintf("role %s: %s *", r.Name, b.key), Want: "names"})
					case len(b.list) == 0 && !selected:
						hits = append(hits, Hit{At: r.At(b.key), Got: fmt.Sprintf("role %s: no %s", r.Name, b.key), Want: "names"})
					}
				}
				return hits
			})
		},
	},
	{
		ID: "LNT-034", Clauses: []string{"1.5"}, Source: "X-766: a token for a month; B23", Level: harness.SHOULD, Kind: Vault,
		Says:   "A login of the service's lasts a day at most.",
		Remedy: "set token_ttl to 20m or 1h: the service logs in again",
		Check: func(t *Tree) []Hit {
			return each(t.Roles, func(r *policy.Role) []Hit {
				lasts := ttl(r.TTL)
				if lasts > 0 && lasts <= 24*time.Hour {
					return nil
				}
				got := fmt.Sprintf("role %s: token_ttl %s", r.Name, r.TTL)
				if r.TTL == "" {
					got = fmt.Sprintf("role %s: no token_ttl, which is Vault's default of 32 days", r.Name)
				}
				return []Hit{{At: r.At("token_ttl"), Got: got, Want: "24h at most"}}
			})
		},
	},
	{
		ID: "LNT-035", Clauses: []string{"1.5"}, Level: harness.SHOULD, Kind: Vault,
		Source: "Vault's documentation: a role without an audience takes tokens that were meant for others",
		Says:   "The role of Kubernetes auth names the audience that accounts' tokens must be meant for.",
		Remedy: "set audience, to vault, and project the account's token with it",
		Check: func(t *Tree) []Hit {
			return each(t.Roles, func(r *policy.Role) []Hit {
				if r.Audience != "" {
					return nil
				}
				return []Hit{{At: r.At("audience"), Got: fmt.Sprintf("role %s: no audience", r.Name), Want: "an audience"}}
			})
		},
	},
}

// changing are the capabilities that change something, or everything.
var changing = []string{"create", "update", "patch", "delete", "sudo", "recover"}

// ownPaths are what a token may do to itself, as Vault's policy default has it.
var ownPaths = []string{
	"auth/token/renew-self", "auth/token/lookup-self", "auth/token/revoke-self", "sys/capabilities-self", "sys/leases/renew", "sys/renew",
	"cubbyhole/", "sys/wrapping/wrap", "sys/wrapping/lookup", "sys/wrapping/unwrap", "sys/tools/hash",
}

// strangers is a path of somebody else's that a grant reaches; "" where it reaches none.
func strangers(g policy.Grant) string {
	if slices.Contains(ownPaths, g.Path) {
		return ""
	}
	if other := strings.ReplaceAll("/"+g.Path, "/+", "/another"); other != "/"+g.Path {
		return strings.TrimPrefix(other, "/")
	}
	mount, _, _ := strings.Cut(g.Path, "/")
	for _, path := range []string{
		mount + "/data/another/secret", mount + "/data/another/team/secret", "secret/data/another/secret", mount + "/another/secret",
		"sys/policies/acl/another", "auth/kubernetes/role/another", "pki/issue/another", "secret/metadata/another/secret",
	} {
		if g.Covers(path) {
			return path
		}
	}
	return ""
}

// ttl reads a duration as Vault does: seconds, or with units; 0 where it is none.
func ttl(text string) time.Duration {
	if d, err := time.ParseDuration(text); err == nil {
		return d
	}
	if d, err := time.ParseDuration(text + "s"); err == nil {
		return d
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if d, err := time.ParseDuration(days + "h"); err == nil {
			return 24 * d
		}
	}
	return 0
}

// servicePolicies are the policies that a service's token has: those that speak of its
// runtime secrets, but what roles give to others only.
func (t *Tree) servicePolicies() []*policy.Policy {
	var all []*policy.Policy
	for _, p := range t.Policies {
		speaks := slices.ContainsFunc(p.Grants, func(g policy.Grant) bool {
			return g.Covers(runtimePath) || strings.HasSuffix(strings.TrimSuffix(g.Path, "/"), "aegis/runtime")
		})
		if given, ours := t.given(p.Name); ours || speaks && !given {
			all = append(all, p)
		}
	}
	return all
}

// given says whether a role among the files gives a policy, and whether one does that
// lets a service's account in.
func (t *Tree) given(name string) (given, ours bool) {
	accounts := []string{manifest.Account, "*"}
	for _, c := range t.services() {
		accounts = append(accounts, c.Template.Spec.ServiceAccountName)
	}
	for _, r := range t.Roles {
		if !slices.Contains(r.Policies, name) {
			continue
		}
		given = true
		ours = ours || slices.ContainsFunc(r.Accounts, func(a string) bool { return slices.Contains(accounts, a) })
	}
	return given, ours
}
