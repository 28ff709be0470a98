package ingress

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// victim is whose name a table must not take out of other-client's subject.
const victim = "aegis-client"

// hostile are subjects of other-client's whose further attributes name the victim
// (LAB-3), as RFC 2253 writes them, which nginx and Caddy do, and as nginx did before
// 1.11.6.
var (
	hostile = []string{
		`O=x\,CN=aegis-client,CN=other-client`, `CN=other-client,O=x\,CN=aegis-client`, `OU=a\+CN=aegis-client,CN=other-client`,
		`CN=other-client,OU=CN\=aegis-client`,
	}
	hostileLegacy = []string{`/O=x/CN=aegis-client/CN=other-client`, `/CN=other-client/O=x/CN=aegis-client`}
)

// possessive is what PCRE has and regexp2 has not: a quantifier that gives nothing
// back. Without the mark it matches that and more.
var possessive = regexp.MustCompile(`([*+?}])\+`)

// patience is how long one match may take.
const patience = 200 * time.Millisecond

// Astray tries a table on hostile subjects: taken says that it gave the victim's name,
// and of which subject. A pattern that cannot be read here, or takes too long, is an
// error: nothing is known of it.
func (m Map) Astray() (subject string, taken bool, err error) {
	pattern, err := regexp2.Compile(possessive.ReplaceAllString(m.Pattern, "$1"))
	if err != nil {
		return "", false, err
	}
	pattern.MatchTimeout = patience
	subjects := hostile
	if m.Legacy {
		subjects = hostileLegacy
	}
	for _, subject := range subjects {
		found, err := pattern.FindStringMatch(subject)
		if err != nil {
			return "", false, err
		}
		if found != nil && m.given(found) == victim {
			return subject, true, nil
		}
	}
	return "", false, nil
}

// given is what a table gives of a match: the group that it names.
func (m Map) given(found *regexp2.Match) string {
	name := strings.Trim(m.Gives, `${}"`)
	if n, err := strconv.Atoi(name); err == nil && found.GroupByNumber(n) != nil {
		return found.GroupByNumber(n).String()
	}
	if g := found.GroupByName(name); g != nil {
		return g.String()
	}
	return m.Gives
}
