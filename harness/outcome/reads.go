package outcome

import (
	"maps"
	"slices"

	"aegis.test/conformance/harness"
)

// reader is an outcome that reads what a stimulus tells beside its exchanges.
type reader interface{ Reads() []harness.Key }

// Reads are the keys that an outcome reads: a stimulus that does not tell them shows it
// nothing.
func Reads(o harness.Outcome) []harness.Key {
	if r, ok := o.(reader); ok {
		return r.Reads()
	}
	return nil
}

// Reads is what the replicas' list holds.
func (Clean) Reads() []harness.Key { return []harness.Key{harness.MarkerFound} }

// Reads is what pages tell.
func (TellsNothing) Reads() []harness.Key { return []harness.Key{harness.PageTells} }

// Reads are the lives of certificates.
func (ShortLived) Reads() []harness.Key { return []harness.Key{harness.CertificateLife} }

// Reads are the lives of certificates.
func (ShortIssued) Reads() []harness.Key { return []harness.Key{harness.CertificateLife} }

// Reads is what a search tells.
func (Hidden) Reads() []harness.Key { return []harness.Key{harness.Searched, harness.Leaked} }

// Reads is what a log tells beside its records.
func (l Logged) Reads() []harness.Key { return append(Reads(l.calls), l.reads) }

// Reads are the values that a log shows.
func (unreadable) Reads() []harness.Key { return []harness.Key{harness.ValuesLogged} }

// Reads is the count.
func (c Count) Reads() []harness.Key {
	if c.UnlessEnded {
		return []harness.Key{c.Of, harness.ReplicaEnded}
	}
	return []harness.Key{c.Of}
}

// Reads is whether a replica ended.
func (o OrExit) Reads() []harness.Key { return append(Reads(o.Outcome), harness.ReplicaEnded) }

// Reads are the fetches, and how long they were counted.
func (Sparing) Reads() []harness.Key {
	return []harness.Key{harness.KeySetFetches, harness.FloodLasted}
}

// Reads is what a token may do.
func (Allows) Reads() []harness.Key { return []harness.Key{harness.VaultAllows} }

// Reads are the states.
func (r RolledBack) Reads() []harness.Key {
	var keys []harness.Key
	for _, states := range []map[harness.StateOf]string{r.Controls, r.States} {
		for key := range maps.Keys(states) {
			keys = append(keys, key)
		}
	}
	if r.Never != "" {
		keys = append(keys, r.Never)
	}
	return keys
}

// Reads is what each of them reads.
func (a All) Reads() []harness.Key {
	var keys []harness.Key
	for _, o := range a {
		keys = slices.Concat(keys, Reads(o))
	}
	return keys
}

// Reads is what the other outcome reads.
func (o telling) Reads() []harness.Key { return Reads(o.Outcome) }

// Reads is what the other outcome reads.
func (o prompt) Reads() []harness.Key { return Reads(o.Outcome) }

// Reads is what the other outcome reads.
func (o shown) Reads() []harness.Key { return Reads(o.Outcome) }

// Reads are the authorities that are named.
func (OwnAuthorities) Reads() []harness.Key { return []harness.Key{harness.AuthorityNamed} }

// Reads are what session tickets allow.
func (NoEarlyData) Reads() []harness.Key {
	return []harness.Key{harness.TicketsGiven, harness.EarlyDataAllowed}
}
