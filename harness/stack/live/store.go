package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness/config"
)

// liveStore is a secret of somebody else's on a KV v2 mount. Every change is noted first
// and written by check-and-set, what is deleted or destroyed is a version of the run's
// own, and the version that was in force before stays in Vault, from where it comes back.
type liveStore struct {
	*vault.Store
	place string
	note  func(Entry) error

	mu     sync.Mutex
	read   vault.Edition // the last that was read while nothing was changed
	was    vault.Edition // as it was before it was changed; without data while it is not
	newest int
	keeps  int // versions, Vault
	ours   map[string]bool
}

// vaultPlace says where a secret is.
func vaultPlace(v config.Vault) string {
	return strings.TrimSpace(fmt.Sprintf("%s/v1/%s/data/%s %s", strings.TrimSuffix(v.Address, "/"), v.Mount, v.Path, v.Namespace))
}

// kv is the secret that the configuration names, to be put back.
func (b *builder) kv() (*liveStore, error) {
	v := b.Grants.Vault
	if v.Address == "" {
		return nil, errors.New("the configuration grants no Vault now")
	}
	if b.vault == nil {
		if err := b.login(nil); err != nil {
			return nil, err
		}
	}
	return &liveStore{Store: vault.NewStoreAt(b.vault, nil, v.Mount, v.Path), place: vaultPlace(v), note: b.note}, nil
}

func (s *liveStore) at() string { return s.place }

// Read gives the fields of the newest version.
func (s *liveStore) Read(ctx context.Context) (map[string]string, error) {
	newest, err := s.Store.Readable(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.was.Data == nil {
		s.read = newest
	}
	return vault.Texts(newest.Data)
}

// Write makes fields the newest version. The fields that were there before put that
// version back, as it was to the byte.
func (s *liveStore) Write(ctx context.Context, fields map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return err
	}
	data := typed(fields, s.was.Data)
	if reflect.DeepEqual(data, s.was.Data) {
		return s.back(ctx)
	}
	return s.change(ctx, data)
}

// Remove, Delete and Destroy do so to a copy of the version in force, which nobody can
// read then; what else there is of the secret stays.
func (s *liveStore) Remove(ctx context.Context) error { return s.spoil(ctx, s.Store.Delete) }

// Delete is Remove.
func (s *liveStore) Delete(ctx context.Context) error { return s.spoil(ctx, s.Store.Delete) }

// Destroy destroys the copy.
func (s *liveStore) Destroy(ctx context.Context) error { return s.spoil(ctx, s.Store.Destroy) }

func (s *liveStore) spoil(ctx context.Context, how func(context.Context) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.begin(ctx)
	if err == nil && s.newest == s.was.Version {
		err = s.change(ctx, s.was.Data)
	}
	if err != nil {
		return err
	}
	return how(ctx)
}

// begin remembers as what the secret was read, before the first change of it.
func (s *liveStore) begin(ctx context.Context) (err error) {
	if s.was.Data != nil {
		return nil
	}
	if s.read.Data == nil {
		if s.read, err = s.Store.Readable(ctx); err != nil {
			return err
		}
	}
	keeps, known := s.Keeps(ctx)
	if s.keeps = keeps; !known {
		s.keeps = -keeps
	}
	s.was, s.read, s.newest = s.read, vault.Edition{}, s.read.Version
	return nil
}

// change notes what it makes, and makes it.
func (s *liveStore) change(ctx context.Context, data map[string]any) error {
	next := s.newest + 1
	if keeps := max(s.keeps, -s.keeps); next-s.was.Version >= keeps {
		return fmt.Errorf("changing %s: Vault keeps %d versions of it, and version %d has to be put back: let it keep more (max_versions)",
			s.place, keeps, s.was.Version)
	}
	change := Change{Of: ofVault, At: s.place, Was: strconv.Itoa(s.was.Version), Ours: strconv.Itoa(next)}
	if err := s.note(Entry{Change: &change}); err != nil {
		return fmt.Errorf("changing %s: %w", s.place, err)
	}
	if s.ours == nil {
		s.ours = map[string]bool{}
	}
	s.ours[strconv.Itoa(next)] = true
	made, err := s.Replace(ctx, s.newest, data)
	if err != nil {
		return err
	}
	s.newest = made
	if s.keeps > 0 {
		return nil
	}
	if kept, err := s.Version(ctx, s.was.Version); err != nil || kept.Data == nil { // nobody could ask how many are kept
		return errors.Join(
			fmt.Errorf("changing %s: version %d, which has to be put back, is not kept: let Vault keep more (max_versions)", s.place,
				s.was.Version),
			s.back(ctx),
		)
	}
	return nil
}

// back puts back what was in force.
func (s *liveStore) back(ctx context.Context) error {
	_, err := s.rollBack(ctx, s.was, func(made string) bool { return s.ours[made] })
	if err == nil {
		s.was = vault.Edition{}
	}
	return err
}

// end puts it back after the run, if that was not done.
func (s *liveStore) end(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.was.Data == nil {
		return nil
	}
	return s.back(ctx)
}

// restore puts it back after the run was killed.
func (s *liveStore) restore(ctx context.Context, was Change, ours func(string) bool) (string, error) {
	version, err := strconv.Atoi(was.Was)
	if err != nil {
		return "", fmt.Errorf("there is no version %q", was.Was)
	}
	return s.rollBack(ctx, vault.Edition{Version: version}, ours)
}

// rollBack makes the data of a version the newest version, if the newest is one that the
// run made: what others wrote since stays.
func (s *liveStore) rollBack(ctx context.Context, to vault.Edition, ours func(string) bool) (string, error) {
	byHand := fmt.Sprintf("compare the versions, and if version %[1]d is right: vault kv rollback -version=%[1]d", to.Version)
	newest, err := s.Newest(ctx)
	if err != nil {
		return "", err
	}
	if to.Data == nil {
		if to, err = s.Version(ctx, to.Version); err != nil {
			return "", err
		}
	}
	switch {
	case to.Data != nil && reflect.DeepEqual(newest.Data, to.Data):
		return fmt.Sprintf("it is as version %d was", to.Version), nil
	case !ours(strconv.Itoa(newest.Version)):
		return "", fmt.Errorf("version %d is in force, which is not of the run: %s", newest.Version, byHand)
	case to.Data == nil:
		return "", fmt.Errorf(
			"version %d, which was in force before the run, is deleted or destroyed: undelete it, or write by hand what it held", to.Version,
		)
	}
	made, err := s.Replace(ctx, newest.Version, to.Data)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, byHand)
	}
	return fmt.Sprintf("put back as version %d was, by version %d", to.Version, made), nil
}

// typed are fields as the data of a secret: one that has not changed is as it was, and
// one that was no text, which JSON stands for, stays what it is.
func typed(fields map[string]string, was map[string]any) map[string]any {
	texts, err := vault.Texts(was)
	if err != nil {
		texts = nil
	}
	data := make(map[string]any, len(fields))
	for name, text := range fields {
		data[name] = text
		before, there := was[name]
		if _, isText := before.(string); !there || isText {
			continue
		}
		if texts[name] == text {
			data[name] = before
			continue
		}
		if json.Valid([]byte(text)) {
			data[name] = json.RawMessage(text)
		}
	}
	return data
}
