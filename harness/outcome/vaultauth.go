package outcome

import (
	"crypto/x509"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
)

// BoundTo wants the role of Kubernetes auth bound to exactly one service account
// of one namespace, and nobody else let in.
type BoundTo struct{ Account string }

// longestLogin is how long the token of a login may live (SEC-004).
const longestLogin = time.Hour

// Want says what is wanted.
func (b BoundTo) Want(harness.Profile) string {
	return fmt.Sprintf("%s of one namespace, an audience, at most %s, and no policy with a wildcard; nobody else let in", b.Account,
		longestLogin)
}

// Judge judges.
func (b BoundTo) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	if len(t.Roles) == 0 {
		return nothing()
	}
	for _, role := range t.Roles {
		if loose := b.loose(role); len(loose) > 0 {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: -1,
				Got: "the role is bound to " + strings.Join(loose, "; "), Want: b.Want(p)})
		}
	}
	for _, login := range t.Logins {
		switch {
		case login.Control && login.Refused != "":
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1,
				Got: fmt.Sprintf("with %s: refused: %s", login.With, login.Refused), Want: "let in"})
		case !login.Control && login.Refused == "":
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Exchange: -1,
				Got: fmt.Sprintf("with %s: let in, as %s", login.With, strings.Join(login.Policies, ", ")), Want: "refused"})
		case login.Control && (login.For > longestLogin || login.For <= 0):
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: -1,
				Got: fmt.Sprintf("with %s: a token for %s", login.With, login.For), Want: "at most " + longestLogin.String()})
		}
	}
	if len(t.Logins) == 0 {
		j.Notes = append(j.Notes, "the role was read; no login was tried, for no account's token can be had")
	}
	return j
}

// wildcard finds a path with a wildcard in a policy, and what needs none.
var wildcard = regexp.MustCompile(`"[^"\n]*[*+][^"\n]*"|"sudo"|"root"`)

// loose says what a role is bound to beyond what it must be.
func (b BoundTo) loose(role harness.LoginRole) []string {
	var found []string
	if !slices.Equal(role.Accounts, []string{b.Account}) {
		found = append(found, "the accounts "+strings.Join(role.Accounts, ", "))
	}
	if len(role.Namespaces) != 1 || strings.ContainsAny(strings.Join(role.Namespaces, ""), "*") {
		found = append(found, "the namespaces "+strings.Join(role.Namespaces, ", "))
	}
	if role.Selector != "" {
		found = append(found, "every namespace that a selector finds")
	}
	if role.Audience == "" {
		found = append(found, "no audience")
	}
	for name, life := range map[string]time.Duration{"a life": role.TTL, "a longest life": role.MaxTTL} {
		if role.Period == 0 && (life <= 0 || life > longestLogin) {
			found = append(found, fmt.Sprintf("%s of %s, where 0s is Vault's own", name, life))
		}
	}
	if role.Period > longestLogin {
		found = append(found, "a period of "+role.Period.String())
	}
	for _, name := range slices.Sorted(maps.Keys(role.Policies)) {
		if wide := wildcard.FindString(role.Policies[name]); wide != "" || name == "root" {
			found = append(found, fmt.Sprintf("the policy %s, with %s", name, wide))
		}
	}
	slices.Sort(found)
	return found
}

// ShortIssued wants no certificate to be issued for longer than the declared bound.
type ShortIssued struct{}

// Want says what is wanted.
func (ShortIssued) Want(p harness.Profile) string {
	return "no certificate for longer than " + shortLived(p).String()
}

// Judge judges lives.
func (s ShortIssued) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	lives := harness.CertificateLife.In(t)
	if len(lives) == 0 {
		return nothing()
	}
	for _, life := range lives {
		if life.Duration > shortLived(p) || life.Duration <= 0 { // none at all bounds nothing
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Contract, Exchange: -1,
				Got: fmt.Sprintf("%s: %s", life.Of, life.Duration), Want: s.Want(p)})
		}
	}
	return j
}

// OwnNameOnly wants a client to be issued certificates in its own name alone, for
// clients' use, and the sound one that it asks for.
type OwnNameOnly struct{}

// Want says what is wanted.
func (OwnNameOnly) Want(harness.Profile) string {
	return "a certificate of its own name and of a client's use, and for every other request a refusal or just that"
}

// Judge judges. Without a certificate for the sound request, a refusal of the
// others tells nothing.
func (w OwnNameOnly) Judge(p harness.Profile, t harness.Trace) harness.Judgement {
	var j harness.Judgement
	granted := false
	for _, i := range t.Issues {
		if i.Certificate == nil {
			if i.Control {
				j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Inconclusive, Exchange: -1,
					Got: fmt.Sprintf("asked for %s: %s", i.Variant, i.Refused), Want: "a certificate"})
			}
			continue
		}
		granted = granted || i.Control
		if excess := excess(i.Asker, i.Certificate); len(excess) > 0 {
			j.Problems = append(j.Problems, harness.Problem{Verdict: harness.Fail, Bucket: harness.Security, Exchange: -1,
				Got: fmt.Sprintf("asked for %s: a certificate with %s", i.Variant, strings.Join(excess, ", ")), Want: w.Want(p)})
		}
	}
	if !granted && len(j.Problems) == 0 {
		return nothing()
	}
	return j
}

// excess is what a certificate says beyond that its holder is a client of that
// name.
func excess(name string, c *x509.Certificate) []string {
	var found []string
	for _, attribute := range c.Subject.Names {
		if value := fmt.Sprint(attribute.Value); attribute.Type.String() == "2.5.4.3" && value != name || strings.ContainsAny(value, ",/=") {
			found = append(found, fmt.Sprintf("%s=%q in its subject", attribute.Type, value))
		}
	}
	alternatives := slices.Concat(c.DNSNames, c.EmailAddresses)
	for _, ip := range c.IPAddresses {
		alternatives = append(alternatives, ip.String())
	}
	for _, uri := range c.URIs {
		alternatives = append(alternatives, uri.String())
	}
	for _, value := range alternatives {
		if value != name {
			found = append(found, fmt.Sprintf("the alternative name %q", value))
		}
	}
	if c.Subject.CommonName == "" {
		found = append(found, "no common name")
	}
	if len(c.UnknownExtKeyUsage) > 0 || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		found = append(found, "an extended key usage other than a client's")
	}
	if c.IsCA || c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		found = append(found, "the powers of an authority")
	}
	return found
}
