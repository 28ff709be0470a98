package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// Policy reads what the service's own Vault token may do on some paths.
type Policy struct{ paths []string }

// ServicePolicy reads it for paths.
func ServicePolicy(paths ...string) Policy { return Policy{paths} }

// Words says what is done.
func (p Policy) Words() string {
	return "ask Vault what the service's own token may do on " + strings.Join(p.paths, ", ")
}

// Needs is a real Vault: a stand-in's policy is none.
func (Policy) Needs() []harness.Capability {
	return []harness.Capability{harness.VaultRead, harness.RealVault}
}

// Effect is none.
func (Policy) Effect() harness.Effect { return harness.ReadOnly }

// Modes are any.
func (Policy) Modes() []harness.Mode { return nil }

// Controlled is false: nothing is refused.
func (Policy) Controlled() bool { return false }

// Act asks.
func (p Policy) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	var trace harness.Trace
	allowed, err := hands.Target().Control.Secrets.ServiceCan(ctx, p.paths)
	if err != nil {
		return trace, fmt.Errorf("reading the service's policy: %w", err)
	}
	for _, path := range p.paths {
		capabilities := slices.Sorted(slices.Values(allowed[path]))
		trace.Facts = append(trace.Facts, harness.Fact{Name: path, Values: capabilities})
	}
	return trace, nil
}

// ServiceToken looks up what the service's own token of Vault is (SEC-005).
func ServiceToken() harness.Stimulus { return lookup{} }

type lookup struct{ Policy }

// Words says what is done.
func (lookup) Words() string { return "look up the service's own token in Vault" }

// Act asks.
func (lookup) Act(ctx context.Context, hands harness.Hands) (harness.Trace, error) {
	found, err := hands.Target().Control.Secrets.ServiceToken(ctx)
	if err != nil {
		return harness.Trace{}, err
	}
	return harness.Trace{Tokens: []harness.VaultToken{found}}, nil
}

// Needing adds a capability to what the calls need.
func (c Calls) Needing(capability harness.Capability) Calls {
	c.variants = slices.Clone(c.variants)
	for i := range c.variants {
		c.variants[i].Needs = union(c.variants[i].Needs, []harness.Capability{capability})
	}
	return c
}

// InTurn presents tokens one after the other on one connection; each variant's
// name begins with its place.
func InTurn(recipes ...token.Recipe) Calls {
	variants := bearers(recipes)
	for i := range variants {
		variants[i].Name = fmt.Sprintf("%d: %s", i+1, variants[i].Name)
	}
	return Call(recipeNames(recipes), variants...).Together()
}

// Schemes presents a valid token under other schemes than Bearer.
func Schemes(schemes ...string) Calls {
	forms := map[string]func(string) string{}
	for _, scheme := range schemes {
		forms["valid token under the scheme "+scheme] = func(token string) string { return scheme + " " + token }
	}
	return Authorization(forms)
}
