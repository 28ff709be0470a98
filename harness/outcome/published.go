package outcome

import (
	"fmt"
	"strings"

	"aegis.test/conformance/harness"
)

// Published wants an IdP that names itself and its key set by https, and publishes public
// keys that are strong enough, each under a kid of its own (JWKS-020).
type Published struct{}

// Want says what is wanted.
func (Published) Want(harness.Profile) string {
	return "an issuer that is the one asked for, by https, and public keys only, none weak, each of its own kid"
}

// Judge judges the discovery document, and each key.
func (o Published) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	named := map[string]string{}
	for _, s := range harness.IdPNames.In(t) {
		named[s.Of] = strings.Join(s.Is, "")
	}
	keys := harness.KeyPublished.In(t)
	if len(named) == 0 {
		return nothing()
	}
	var j harness.Judgement
	wrong := func(got, want string) {
		problem := contract(got, want)
		problem.Exchange = -1
		j.Problems = append(j.Problems, *problem)
	}
	issuer := named[harness.IssuerNamed]
	if issuer != named[harness.IssuerGranted] {
		wrong(fmt.Sprintf("the issuer %q", issuer), fmt.Sprintf("the issuer that was asked, %q", named[harness.IssuerGranted]))
	}
	if p.Issuer != "" && issuer != p.Issuer {
		wrong(fmt.Sprintf("the issuer %q", issuer), fmt.Sprintf("profile.issuer, %q", p.Issuer))
	}
	for _, of := range []string{harness.IssuerNamed, harness.KeySetNamed} {
		if !strings.HasPrefix(strings.ToLower(named[of]), "https://") {
			wrong(fmt.Sprintf("%s is %q", of, named[of]), "a URL of https")
		}
	}
	if len(keys) == 0 {
		wrong("a key set without a key", "a public key at least")
	}
	for _, key := range keys {
		if len(key.Is) > 0 {
			wrong(key.Of+": "+strings.Join(key.Is, ", "), "a public key, of 2048 bits where it is RSA, of a kid of its own")
		}
	}
	return j
}
