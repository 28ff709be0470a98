package harness_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"aegis.test/conformance/harness"
)

// TestTableIsWhole reads the constants: each capability has one row.
func TestTableIsWhole(t *testing.T) {
	text, err := os.ReadFile("target.go")
	if err != nil {
		t.Fatal(err)
	}
	var named []harness.Capability
	for _, constant := range regexp.MustCompile(`(?m)^\t\w+ +Capability = "([^"]+)"`).FindAllSubmatch(text, -1) {
		named = append(named, harness.Capability(constant[1]))
	}
	rows := harness.Capabilities()
	slices.Sort(named)
	slices.Sort(rows)
	if len(named) < 40 || !slices.Equal(named, rows) {
		t.Errorf("constants %v, rows %v", named, rows)
	}
}

// none is a part of a Control that does nothing.
type none struct {
	harness.Launcher
	harness.SecretStore
}

// granting is for each capability a target that grants it, and as little beside it as
// can be.
var granting = map[harness.Capability]harness.Target{
	harness.URL:                  {},
	harness.GivenTokens:          {Tokens: harness.TokenGrant{Valid: "x"}},
	harness.ExpiredToken:         {Tokens: harness.TokenGrant{Expired: "x"}},
	harness.MintTokens:           signing("EdDSA"),
	harness.MintEC:               signing("ES256"),
	harness.MintRSA:              signing("PS256"),
	harness.EncryptTokens:        signing("RS256"),
	harness.DeclaredAudience:     {Profile: harness.Profile{Audience: "x"}},
	harness.DeclaredIssuer:       {Profile: harness.Profile{Issuer: "x"}},
	harness.GivenClientCerts:     {Certs: harness.CertGrant{Enrolled: chained, Unenrolled: chained}},
	harness.ClientCAKey:          {Certs: harness.CertGrant{Authority: harness.CertPair{Key: "x"}}},
	harness.RevokedClient:        {Certs: harness.CertGrant{Revoked: chained}},
	harness.SiblingClient:        {Certs: harness.CertGrant{Sibling: chained}},
	harness.PublicClient:         {Certs: harness.CertGrant{Public: chained}},
	harness.AlertsAPI:            {Control: &harness.Control{Alerts: telling{}}},
	harness.IdPRead:              {Control: &harness.Control{IdP: showing{}}},
	harness.ControlJWKS:          {Control: &harness.Control{JWKS: serving{}}},
	harness.StopJWKS:             {Control: &harness.Control{JWKS: serving{}}},
	harness.JWKSEndpoint:         {Control: &harness.Control{JWKS: serving{}}},
	harness.RestartService:       {Control: &harness.Control{Launcher: none{}}},
	harness.VaultControlled:      {Control: &harness.Control{Vault: sealing{}}},
	harness.RollOut:              {Control: &harness.Control{Rollout: deploying{}}},
	harness.PreviousRelease:      {Previous: "x"},
	harness.RulesTested:          {Control: &harness.Control{RuleTests: telling{}}},
	harness.WatchedReplica:       {Control: &harness.Control{Watches: true}},
	harness.VaultAgent:           {Control: &harness.Control{Agent: rendering{}}},
	harness.DeploymentRead:       {Control: &harness.Control{Deployment: deployed{}}},
	harness.VaultRead:            {Control: &harness.Control{Secrets: none{}}},
	harness.VaultWrite:           {Control: &harness.Control{Secrets: none{}}},
	harness.RealVault:            {Control: &harness.Control{Secrets: none{}}},
	harness.VaultPKI:             {Control: &harness.Control{Issuer: issuing{}}},
	harness.VaultPKIClient:       {Control: &harness.Control{OwnIssuer: issuing{}}},
	harness.VaultKubernetes:      {Control: &harness.Control{Login: admitting{}}},
	harness.BackendPath:          {Backends: map[harness.Mode]harness.Face{harness.OIDC: {}}},
	harness.Metrics:              {Metrics: map[harness.Mode]string{harness.OIDC: "x"}},
	harness.Logs:                 {Oracles: map[harness.Mode]string{harness.OIDC: "x"}},
	harness.ComponentLogs:        {Control: &harness.Control{Logs: written{}}},
	harness.IngressControlled:    {Control: &harness.Control{Ingress: reloading{}}},
	harness.PlainPort:            {Plain: "x"},
	harness.IngressAddresses:     {Siblings: []string{"x"}},
	harness.OutOfBand:            {Control: &harness.Control{Outside: listening{}}},
	harness.SecondHost:           {Open: &harness.Face{}},
	harness.ForeignHost:          {Foreign: &harness.Face{}},
	harness.AuthorizerControlled: {Control: &harness.Control{Authorizer: stopping{}}},
}

var chained = harness.CertPair{Chain: []byte("x")}

func signing(algorithm string) harness.Target {
	return harness.Target{Tokens: harness.TokenGrant{Signing: []harness.SigningKey{{Algorithm: algorithm}}}}
}

type (
	serving   struct{ harness.JWKSControl }
	showing   struct{ harness.Published }
	sealing   struct{ harness.VaultControl }
	issuing   struct{ harness.Issuer }
	admitting struct{ harness.ServiceLogin }
	reloading struct{ harness.IngressControl }
	listening struct{ harness.Outside }
	stopping  struct{ harness.Outage }
)

// alike lists the capabilities that one thing grants together.
var alike = [][]harness.Capability{
	{harness.GivenTokens, harness.ExpiredToken, harness.MintTokens, harness.MintEC, harness.MintRSA, harness.EncryptTokens},
	{harness.VaultRead, harness.VaultWrite, harness.RealVault},
	{harness.ControlJWKS, harness.StopJWKS, harness.JWKSEndpoint},
}

// TestEachRow: what should grant a capability does, nothing else does, who is told of the
// target without its Control lacks what the row says, and what is denied is not granted.
func TestEachRow(t *testing.T) {
	for _, row := range harness.CapabilityTable {
		t.Run(string(row.Name), func(t *testing.T) {
			target, ok := granting[row.Name]
			if ok != (row.Granted != nil) {
				t.Fatalf("a target is known to grant it: %v, want %v", ok, row.Granted != nil)
			}
			x := harness.Expectation{Stimulus: needing(row.Name)}
			if target.Grants(row.Name) != ok || (len(x.Missing(&target)) == 0) != ok {
				t.Errorf("granted %v, missing %v, want %v", target.Grants(row.Name), x.Missing(&target), ok)
			}
			for name, other := range granting {
				together := slices.ContainsFunc(alike, func(some []harness.Capability) bool {
					return slices.Contains(some, name) && slices.Contains(some, row.Name)
				})
				if other.Grants(row.Name) && name != row.Name && !together && row.Name != harness.URL {
					t.Errorf("what grants %s grants it", name)
				}
			}
			if row.Granted == nil {
				return
			}
			told := target
			told.Control = nil
			if told.Grants(row.Name) == row.Control {
				t.Errorf("granted without a Control: %v, and the row says that it is of it: %v", !row.Control, row.Control)
			}
			target.Denied = []harness.Capability{row.Name}
			if target.Grants(row.Name) {
				t.Error("granted, though denied")
			}
		})
	}
	if (&harness.Target{Certs: harness.CertGrant{Enrolled: chained}}).Grants(harness.GivenClientCerts) {
		t.Error("one certificate is taken for two")
	}
	if target := granting[harness.VaultRead]; target.Grants("no-such") {
		t.Error("what has no row is granted")
	}
	standIn := granting[harness.RealVault]
	if standIn.Beyond = []harness.Capability{harness.RealVault}; standIn.Grants(harness.RealVault) {
		t.Error("a stand-in is taken for Vault")
	}
}

// TestCapabilityWords: what a capability says of an endpoint or an effect is had back.
func TestCapabilityWords(t *testing.T) {
	if name, ok := harness.CallsEndpoint("review item").Endpoint(); !ok || name != "review item" {
		t.Errorf("endpoint %q, %v", name, ok)
	}
	if name, ok := harness.CallsEndpoint("").Endpoint(); !ok || name != "" {
		t.Errorf("any endpoint: %q, %v", name, ok)
	}
	if effect, ok := harness.Allows(harness.Writes).Effect(); !ok || effect != harness.Writes {
		t.Errorf("effect %q, %v", effect, ok)
	}
	for _, row := range harness.CapabilityTable {
		_, calls := row.Name.Endpoint()
		if _, allows := row.Name.Effect(); calls || allows {
			t.Errorf("%s is taken for an endpoint or an effect", row.Name)
		}
	}
}

// TestTheDoorIsThere: each file and folder that CONTRIBUTING.md names is where it says.
func TestTheDoorIsThere(t *testing.T) {
	text, err := os.ReadFile("../.github/CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, m := range regexp.MustCompile("`((?:harness|fixtures|suites|certs|\\.ci)/[a-z0-9_./-]+)`").FindAllSubmatch(text, -1) {
		found++
		if _, err := os.Stat("../" + string(m[1])); err != nil {
			t.Errorf("CONTRIBUTING.md: %v: name what is there", err)
		}
	}
	if found < 10 {
		t.Errorf("CONTRIBUTING.md names %d files and folders, want those of every kind of addition", found)
	}
}
