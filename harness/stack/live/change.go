package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"

	"aegis.test/conformance/harness/config"
)

// Change is something of a live system that a run is about to change, and as what it
// was there before: it holds no secret. Whoever changes something notes one first.
type Change struct {
	// Of is what is changed, by the key of the configuration that grants it. That and
	// no journal says where it is now, and how it is put back: see restorers.
	Of string `json:"of"`
	At string `json:"at"` // where it was, in words: nothing elsewhere is touched
	// Was is what brings it back: of a secret the version that was in force, of a file
	// the name of a copy beside the journal.
	Was string `json:"was"`
	As  string `json:"as,omitempty"` // of a file its permissions and its owner
	// Ours is what the run makes of it: a version, or a digest of a file. What is
	// there and nobody noted is somebody else's, and stays.
	Ours string `json:"ours"`
}

// What can be changed.
const (
	ofVault = "grants.vault"
	ofAWS   = "grants.aws"
	ofTrust = "grants.hooks.trust_file"
	ofJWKS  = "grants.hooks.jwks"
)

// restorer puts one thing back.
type restorer interface {
	// at is where the configuration has it.
	at() string
	// restore puts it back as it was, unless it is so, and says what it did; ours
	// reports what the run made of it. It can be repeated, after any end of an
	// earlier one.
	restore(ctx context.Context, was Change, ours func(string) bool) (string, error)
}

// restorers give what puts something back, by what it is of. Copies are in dir.
var restorers = map[string]func(b *builder, dir string) (restorer, error){
	ofVault: func(b *builder, _ string) (restorer, error) { return b.kv() },
	ofAWS:   func(b *builder, _ string) (restorer, error) { return b.inAWS() },
	ofTrust: func(b *builder, dir string) (restorer, error) { return b.trust(dir), nil },
	ofJWKS:  func(b *builder, dir string) (restorer, error) { return b.jwks(dir) },
}

// wasForm is a version's number or name, or a copy's name: no path.
var wasForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$`)

// wrong says what is wrong with a change; empty is nothing.
func (c Change) wrong() string {
	switch {
	case restorers[c.Of] == nil:
		return fmt.Sprintf("nothing is known of changes of %.80q", c.Of)
	case !wasForm.MatchString(c.Was):
		return fmt.Sprintf("%.80q is no version, and no copy's name", c.Was)
	}
	return ""
}

// place is one thing that was changed.
type place struct{ of, at string }

// history is what was noted of one thing: as what it was last, and what was made of it.
type history struct {
	was  Change
	ours map[string]bool
}

// histories are the changes of a journal, by what was changed.
func histories(entries []Entry) map[place]history {
	all := map[place]history{}
	for _, e := range entries {
		if e.Change == nil {
			continue
		}
		p := place{e.Change.Of, e.Change.At}
		h := all[p]
		if h.ours == nil {
			h.ours = map[string]bool{}
		}
		h.was, h.ours[e.Change.Ours] = *e.Change, true
		all[p] = h
	}
	return all
}

// BringBack puts back what a killed run changed at a target. It gives what it did, and
// what it could not do, each with what is to be done by hand.
func BringBack(ctx context.Context, l config.Loaded, a Abandoned) (done, left []string) {
	b := &builder{Loaded: l, ctx: ctx, met: func(string, string) {}}
	for p, h := range histories(a.Entries) {
		said, err := b.bringBack(ctx, p, h, filepath.Dir(a.Path))
		if err != nil {
			left = append(left, fmt.Sprintf("%s, %s, is not put back: %v", p.of, p.at, err))
		} else {
			done = append(done, fmt.Sprintf("%s, %s: %s", p.of, p.at, said))
		}
	}
	if err := b.stop(ctx); err != nil {
		left = append(left, err.Error())
	}
	return done, left
}

func (b *builder) bringBack(ctx context.Context, p place, h history, dir string) (string, error) {
	r, err := restorers[p.of](b, dir)
	if err != nil {
		return "", err
	}
	if r.at() != p.at {
		return "", fmt.Errorf("the configuration has it now %s: sweep by the configuration of then, or put it back by hand; it was %s",
			cmp.Or(r.at(), "nowhere"), h.was.Was)
	}
	return r.restore(ctx, h.was, func(made string) bool { return h.ours[made] })
}

// errNoJournal is the error of a change that could not be put back after a kill.
var errNoJournal = errors.New("nothing is changed at a live target without a journal that says what it was")

// note notes an entry. Without a journal what is created is not noted, and nothing is
// changed.
func (b *builder) note(e Entry) error {
	switch {
	case b.journal != nil:
		return b.journal.Note(e)
	case e.Change != nil:
		return errNoJournal
	}
	return nil
}

// keep keeps a copy beside the journal.
func (b *builder) keep(content []byte) (string, error) {
	if b.journal == nil {
		return "", errNoJournal
	}
	return b.journal.Keep(content)
}

// Unswept is an error when a killed run has left a target changed: what another run
// found there it would take for what has to be put back.
func Unswept(dir string, t config.Target) error {
	abandoned, err := FindAbandoned(dir)
	for _, a := range abandoned {
		changed := a.Target == t.Called() && slices.ContainsFunc(a.Entries, func(e Entry) bool { return e.Change != nil })
		if changed {
			err = errors.Join(
				err,
				fmt.Errorf(
					"%s tells what a killed run changed at %s and did not put back: let conformance sweep, with the same --config, do so first",
					a.Path, a.Target,
				),
			)
		}
		err = errors.Join(err, a.Close(false))
	}
	return err
}
