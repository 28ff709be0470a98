package live

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	"aegis.test/conformance/fixtures/awssecrets"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
)

// secretsInAWS is AWS Secrets Manager as the secret backend, where it is granted:
// to be read, and changed where that is granted. It is no Vault.
func (b *builder) secretsInAWS(t *harness.Target) error {
	a := b.Grants.AWS
	if a.Region == "" {
		return nil
	}
	t.Denied = append(t.Denied, harness.RealVault)
	if !a.Write {
		t.Denied = append(t.Denied, harness.VaultWrite)
	}
	held, err := b.inAWS()
	if err != nil {
		return err
	}
	b.onStop(held.end)
	t.Control.Secrets = held
	return nil
}

// inAWS is the secret that the configuration names.
func (b *builder) inAWS() (*liveAWS, error) {
	a := b.Grants.AWS
	if a.Region == "" {
		return nil, errors.New("the configuration grants no AWS now")
	}
	var found [4]string
	for i, part := range []struct {
		kind string
		at   config.Reference
	}{
		{"AWS access key", a.AccessKeyID}, {"AWS secret access key", a.SecretAccessKey},
		{"AWS session token", a.SessionToken}, {"CA bundle", a.CABundle},
	} {
		value, err := b.secret(part.kind, part.at, anything)
		if err != nil {
			return nil, err
		}
		found[i] = strings.TrimSpace(value.Reveal())
	}
	store := awssecrets.NewStore(awssecrets.NewClient(awssecrets.Options{
		Region: a.Region, Endpoint: a.Endpoint, RootPEM: []byte(found[3]),
		Keys: awssecrets.Keys{ID: found[0], Secret: harness.Secret(found[1]), Session: harness.Secret(found[2])},
	}), a.SecretID)
	return &liveAWS{Store: store, place: strings.TrimSpace(fmt.Sprintf("%s in %s %s", a.SecretID, a.Region, a.Endpoint)), note: b.note}, nil
}

// liveAWS is a secret of somebody else's in AWS. Every change is noted first, under an
// identifier of the run's own; the version that was in force before stays there, and
// comes back.
type liveAWS struct {
	*awssecrets.Store
	place string
	note  func(Entry) error

	mu   sync.Mutex
	was  awssecrets.Edition // as it was before it was changed; without an ID while it is not
	ours map[string]bool
}

// marked stands for the version of a secret that the run marked for deletion.
const marked = "to be deleted"

func (s *liveAWS) at() string { return s.place }

// Write makes fields the version in force. The fields that were there before put that
// version back, as it was to the byte.
func (s *liveAWS) Write(ctx context.Context, fields map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	before, err := s.Fields(s.was)
	if err != nil {
		return err
	}
	if maps.Equal(fields, before) {
		return s.back(ctx)
	}
	var data map[string]any
	if err := json.Unmarshal([]byte(s.was.Text), &data); err != nil {
		return fmt.Errorf("reading %s: it is no JSON object", s.place)
	}
	text, err := json.Marshal(typed(fields, data))
	if err != nil {
		return err
	}
	made := awssecrets.Edition{ID: newEdition(), Text: string(text)}
	if err := s.noteOurs(made.ID); err != nil {
		return err
	}
	return s.Put(ctx, made)
}

// newEdition is an identifier for a version: of 32 characters and more.
func newEdition() string { return "conformance-" + rand.Text() }

// Remove, Delete and Destroy mark the secret for deletion: nobody can read it, and it can
// be had back. AWS destroys no version alone, and the secret is somebody else's.
func (s *liveAWS) Remove(ctx context.Context) error { return s.Delete(ctx) }

// Destroy is Delete.
func (s *liveAWS) Destroy(ctx context.Context) error { return s.Delete(ctx) }

// Delete marks it.
func (s *liveAWS) Delete(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.begin(ctx)
	if err == nil {
		err = s.noteOurs(marked)
	}
	if err != nil {
		return err
	}
	return s.Store.Delete(ctx)
}

// begin remembers what is in force, before the first change of it.
func (s *liveAWS) begin(ctx context.Context) (err error) {
	if s.was.ID == "" {
		s.was, err = s.Current(ctx)
	}
	return err
}

func (s *liveAWS) noteOurs(made string) error {
	if s.ours == nil {
		s.ours = map[string]bool{}
	}
	s.ours[made] = true
	return s.note(Entry{Change: &Change{Of: ofAWS, At: s.place, Was: s.was.ID, Ours: made}})
}

// back puts back what was in force.
func (s *liveAWS) back(ctx context.Context) error {
	_, err := s.rollBack(ctx, s.was, func(made string) bool { return s.ours[made] })
	if err == nil {
		s.was = awssecrets.Edition{}
	}
	return err
}

// end puts it back after the run, if that was not done.
func (s *liveAWS) end(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.was.ID == "" {
		return nil
	}
	return s.back(ctx)
}

// restore puts it back after the run was killed.
func (s *liveAWS) restore(ctx context.Context, was Change, ours func(string) bool) (string, error) {
	return s.rollBack(ctx, awssecrets.Edition{ID: was.Was}, ours)
}

// rollBack puts a version in force again, if one is that the run made: what others wrote
// since stays.
func (s *liveAWS) rollBack(ctx context.Context, to awssecrets.Edition, ours func(string) bool) (string, error) {
	current, err := s.Current(ctx)
	if awssecrets.ToBeDeleted(err) && ours(marked) {
		if err = s.Store.Restore(ctx); err == nil {
			current, err = s.Current(ctx)
		}
	}
	if err == nil && to.Text == "" {
		to, err = s.Version(ctx, to.ID)
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: see that version %s is in force", err, to.ID)
	case current.Text == to.Text:
		return "it is as it was", nil
	case !ours(current.ID):
		return "", fmt.Errorf("version %s is in force, which is not of the run: see that it is right, or put version %s back", current.ID, to.ID)
	}
	return "put back as version " + to.ID + " was", s.Put(ctx, awssecrets.Edition{ID: newEdition(), Text: to.Text})
}
