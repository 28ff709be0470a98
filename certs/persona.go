package certs

import (
	"errors"
	"fmt"
)

// What is expected of an ingress, and the service behind it, on a persona's
// request.
const (
	Accepted  = "200"     // served
	Forbidden = "403"     // known, and not enrolled
	Refused   = "refused" // 401, 400 of the ingress, or a TLS alert (rulings A-04)
)

// Persona is a client as a test presents it.
type Persona struct {
	Name   string
	Says   string // one sentence, of the certificate
	Expect string // Accepted, Forbidden or Refused
	Pair   Pair
}

// Personas issues one of each: enrolled, unenrolled and via-intermediate, which
// are sound, and one for every defect. All but unenrolled bear the enrolled
// common name, so that a refusal has one reason only (rulings 0.3).
func Personas(a *Authority, enrolledCN, unenrolledCN string) ([]Persona, error) {
	if enrolledCN == unenrolledCN {
		return nil, fmt.Errorf("issuing personas: both common names are %q: give two that differ", enrolledCN)
	}
	personas, err := soundPersonas(a, enrolledCN, unenrolledCN)
	if err != nil {
		return nil, fmt.Errorf("issuing personas: %w", err)
	}
	for _, defect := range Defects {
		leaf := Leaf{CommonName: enrolledCN}
		defect.Spoil(&leaf)
		pair, err := a.Issue(leaf)
		if err != nil {
			return nil, fmt.Errorf("issuing persona %s: %w", defect.Name, err)
		}
		personas = append(personas, Persona{defect.Name, defect.Says, Refused, pair})
	}
	return personas, nil
}

func soundPersonas(a *Authority, enrolledCN, unenrolledCN string) ([]Persona, error) {
	enrolled, first := a.Issue(Leaf{CommonName: enrolledCN})
	unenrolled, second := a.Issue(Leaf{CommonName: unenrolledCN})
	between, third := a.Intermediate(a.pair.Certificate.Subject.CommonName + " Intermediate")
	if err := errors.Join(first, second, third); err != nil {
		return nil, err
	}
	via, err := between.Issue(Leaf{CommonName: enrolledCN})
	return []Persona{
		{"enrolled", "it is sound, and its common name is on the enrolment list", Accepted, enrolled},
		{"unenrolled", "it is sound, and its common name is not on the enrolment list", Forbidden, unenrolled},
		{"via-intermediate", "it is sound, and an intermediate authority, sent with it, has issued it", Accepted, via},
	}, err
}
