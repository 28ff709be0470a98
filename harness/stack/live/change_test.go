package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"aegis.test/conformance/fixtures/awssecrets"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack/localhost"
)

// within is a context that ends when a component should have answered long ago.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// journal is one of a run that is not swept.
func journal(t *testing.T) *Journal {
	t.Helper()
	j, err := OpenJournal(t.TempDir(), "run", config.Target{Name: "aegis"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close(true) })
	return j
}

// changing is a live target in which everything can be changed, and what is seen of it.
type changing struct {
	loaded  config.Loaded
	dir     string
	journal *Journal
	target  *harness.Target
	stop    func() error
	now     func() string // all that can be changed, as it is
	others  func()        // somebody else changes it
}

// original has a field that is no text, and a number that no float holds.
const original = `{"clients/allowed":["a","b"],"oidc_jwks_uri":"https://idp.test/jwks","serial":12345678901234567890}`

// run begins a run whose journal is in the target's directory.
func (c *changing) run(t *testing.T) {
	t.Helper()
	var err error
	if c.journal, err = OpenJournal(filepath.Join(c.dir, "journal"), "run-"+localhost.Nonce(), c.loaded.Target); err != nil {
		t.Fatal(err)
	}
	live, err := Noted(t.Context(), c.loaded, "run", func(string, string) {}, c.journal)
	if err != nil {
		t.Fatal(err)
	}
	c.target, c.stop = live.Target, func() error { return live.Stop(t.Context()) }
}

// killed ends a run as a kill does: nothing is put back, and its lock is gone.
func (c *changing) killed(t *testing.T) Abandoned {
	t.Helper()
	if err := c.journal.Close(false); err != nil {
		t.Fatal(err)
	}
	found, err := FindAbandoned(filepath.Join(c.dir, "journal"))
	if err != nil || len(found) != 1 || len(found[0].Strange) > 0 {
		t.Fatalf("found %+v (%v)", found, err)
	}
	return found[0]
}

func read(t *testing.T, path string) string {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "absent"
	}
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().String() + " " + string(content)
}

func inVault(t *testing.T) *changing {
	server := httptest.NewServer(vault.NewStandIn("root", "service"))
	t.Cleanup(server.Close)
	return vaultHolds(t, rootOf(t, server.URL), "team/aegis")
}

// vaultHolds puts the secret at a path of a Vault.
func vaultHolds(t *testing.T, root *api.Client, path string) *changing {
	t.Helper()
	store := vault.NewStoreAt(root, nil, "secret", path)
	var data map[string]any
	numbers := json.NewDecoder(strings.NewReader(original))
	numbers.UseNumber()
	if err := numbers.Decode(&data); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Replace(t.Context(), 0, data); err != nil {
		t.Fatal(err)
	}
	c := changingAt(t, fmt.Sprintf("grants: {vault: {address: %q, path: %s, login: {token: env:ROOT}, write: true}}\n", root.Address(), path), "ROOT=root")
	c.now = func() string {
		newest, err := store.Newest(t.Context())
		text, _ := json.Marshal(newest.Data)
		return fmt.Sprint(string(text), err)
	}
	c.others = func() {
		if err := store.Write(t.Context(), map[string]string{"theirs": "x"}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func inAWS(t *testing.T) *changing {
	standIn := awssecrets.NewStandIn()
	server := httptest.NewServer(standIn)
	t.Cleanup(server.Close)
	store := awssecrets.NewStore(awssecrets.NewClient(awssecrets.Options{Region: "eu-west-1", Endpoint: server.URL, Keys: standIn.Owner()}), awssecrets.SecretID)
	if err := store.Write(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), awssecrets.Edition{ID: "theirs-" + localhost.Nonce(), Text: " " + original + "\n"}); err != nil {
		t.Fatal(err)
	}
	c := changingAt(t, fmt.Sprintf("grants: {aws: {region: eu-west-1, endpoint: %q, access_key_id: env:ID, secret_access_key: env:SECRET, write: true}}\n", server.URL),
		"ID="+standIn.Owner().ID, "SECRET="+standIn.Owner().Secret.Reveal())
	c.now = func() string {
		current, err := store.Current(t.Context())
		return fmt.Sprint(current.Text, err)
	}
	c.others = func() {
		if err := store.Write(t.Context(), map[string]string{"theirs": "x"}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func rootOf(t *testing.T, url string) *api.Client {
	t.Helper()
	client := vaultAt(t, url)
	client.SetToken("root")
	return client
}

func changingAt(t *testing.T, grants string, environ ...string) *changing {
	t.Helper()
	l := loaded(t, bothModesFile+grants, environ...)
	return &changing{loaded: l, dir: t.TempDir()}
}

// secretChanges are all ways in which a run changes a secret.
var secretChanges = map[string]func(context.Context, harness.SecretStore) error{
	"nothing": func(context.Context, harness.SecretStore) error { return nil },
	"a write": func(ctx context.Context, s harness.SecretStore) error { return locked(ctx, s) },
	"two": func(ctx context.Context, s harness.SecretStore) error {
		return errors.Join(locked(ctx, s), locked(ctx, s))
	},
	"removal":   func(ctx context.Context, s harness.SecretStore) error { return s.Remove(ctx) },
	"deletion":  func(ctx context.Context, s harness.SecretStore) error { return s.Delete(ctx) },
	"destroyed": func(ctx context.Context, s harness.SecretStore) error { return s.Destroy(ctx) },
	"a write, and deletion": func(ctx context.Context, s harness.SecretStore) error {
		return errors.Join(locked(ctx, s), s.Delete(ctx))
	},
	"a write that was put back, and another": func(ctx context.Context, s harness.SecretStore) error {
		was, err := s.Read(ctx)
		return errors.Join(err, locked(ctx, s), s.Write(ctx, was), locked(ctx, s))
	},
	"many that were put back": func(ctx context.Context, s harness.SecretStore) error {
		was, err := s.Read(ctx)
		for range 2 * vault.KeptVersions {
			err = errors.Join(err, locked(ctx, s), s.Write(ctx, was))
		}
		return errors.Join(err, locked(ctx, s))
	},
}

// locked locks all clients out.
func locked(ctx context.Context, s harness.SecretStore) error {
	fields, err := s.Read(ctx)
	if err != nil {
		return err
	}
	fields["clients/allowed"] = `["` + localhost.Nonce() + `"]`
	delete(fields, "oidc_jwks_uri")
	return s.Write(ctx, fields)
}

// TestSecretsComeBack: whatever a run changed of a secret, it is as it was to the byte
// after the run has put it back, after the run has ended without, and after a sweep of
// what a killed run left; a second sweep changes nothing.
func TestSecretsComeBack(t *testing.T) {
	held := map[string]func(*testing.T) *changing{"Vault": inVault, "AWS": inAWS}
	if binary, err := exec.LookPath("vault"); err == nil {
		held["real Vault"] = realVault(t, binary)
	}
	for where, begin := range held {
		for what, change := range secretChanges {
			t.Run(where+", "+what, func(t *testing.T) { begin(t).comesBack(t, change, what == "nothing") })
		}
	}
}

// realVault starts a Vault that is on PATH, and puts a secret of its own there for each.
func realVault(t *testing.T, binary string) func(*testing.T) *changing {
	t.Helper()
	free, err := localhost.Bind()
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	server := exec.CommandContext(t.Context(), binary, "server", "-dev", "-dev-root-token-id=root", "-dev-listen-address="+free.Addr, "-dev-no-store-token")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Wait() }) // the test's context has ended it
	root := rootOf(t, "http://"+free.Addr)
	if err := vault.Active(within(t), root); err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) *changing { return vaultHolds(t, root, "aegis/"+localhost.Nonce()) }
}

// TestVersionsThatAreNotKept: where nobody may ask how many versions Vault keeps, and it
// does not keep the one before, the first change is taken back at once.
func TestVersionsThatAreNotKept(t *testing.T) {
	standIn := vault.NewStandIn("root", "service")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/metadata/"), strings.HasSuffix(r.URL.Path, "/config"):
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Query().Get("version") == "1":
			w.WriteHeader(http.StatusNotFound)
		default:
			standIn.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	c := vaultHolds(t, rootOf(t, server.URL), "team/aegis")
	before := c.now()
	c.run(t)
	if err := locked(t.Context(), c.target.Control.Secrets); err == nil || !strings.Contains(err.Error(), "max_versions") || c.now() != before {
		t.Errorf("got %v, it is %s", err, c.now())
	}
}

// comesBack holds a target to it: idle says that the change is none.
func (c *changing) comesBack(t *testing.T, change func(context.Context, harness.SecretStore) error, idle bool) {
	t.Helper()
	before := c.now()
	c.run(t)
	was, err := c.target.Control.Secrets.Read(t.Context())
	if err := errors.Join(err, change(t.Context(), c.target.Control.Secrets)); err != nil {
		t.Fatal(err)
	}
	if !idle && c.now() == before {
		t.Fatal("nothing was changed")
	}
	if err := c.target.Control.Secrets.Write(t.Context(), was); err != nil || c.now() != before {
		t.Errorf("put back by the run: %v, it is %s, was %s", err, c.now(), before)
	}
	if err := errors.Join(change(t.Context(), c.target.Control.Secrets), c.stop()); err != nil || c.now() != before {
		t.Errorf("put back at its end: %v, it is %s, was %s", err, c.now(), before)
	}
	if err := c.journal.Close(true); err != nil {
		t.Fatal(err)
	}
	c.run(t)
	if err := change(t.Context(), c.target.Control.Secrets); err != nil {
		t.Fatal(err)
	}
	a := c.killed(t)
	for range 2 {
		if _, left := BringBack(t.Context(), c.loaded, a); len(left) > 0 || c.now() != before {
			t.Errorf("put back by a sweep: left %v, it is %s, was %s", left, c.now(), before)
		}
	}
	if err := a.Close(true); err != nil {
		t.Fatal(err)
	}
}

// TestOthersChangesStay: what somebody else has written since is never put back, and is
// told with what to do by hand.
func TestOthersChangesStay(t *testing.T) {
	for where, begin := range map[string]func(*testing.T) *changing{"Vault": inVault, "AWS": inAWS} {
		c := begin(t)
		c.run(t)
		if err := locked(t.Context(), c.target.Control.Secrets); err != nil {
			t.Fatal(err)
		}
		c.others()
		theirs := c.now()
		if err := c.stop(); err == nil || c.now() != theirs {
			t.Errorf("%s: at the end %v, it is %s", where, err, c.now())
		}
		_, left := BringBack(t.Context(), c.loaded, c.killed(t))
		if len(left) != 1 || !strings.Contains(left[0], "not of the run") || c.now() != theirs {
			t.Errorf("%s: left %v, it is %s", where, left, c.now())
		}
	}
}

// TestNothingIsChangedUnnoted: without a journal, and with one that cannot be written,
// nothing is changed.
func TestNothingIsChangedUnnoted(t *testing.T) {
	for where, begin := range map[string]func(*testing.T) *changing{"Vault": inVault, "AWS": inAWS} {
		c := begin(t)
		before := c.now()
		live, err := Connect(t.Context(), c.loaded, "run", func(string, string) {})
		if err != nil {
			t.Fatal(err)
		}
		c.run(t)
		c.journal.file.Close()
		for how, store := range map[string]harness.SecretStore{"no journal": live.Target.Control.Secrets, "a full disk": c.target.Control.Secrets} {
			for what, change := range secretChanges {
				if err := change(t.Context(), store); what != "nothing" && err == nil || c.now() != before {
					t.Errorf("%s, %s, %s: %v, it is %s", where, how, what, err, c.now())
				}
			}
		}
	}
}

// TestNoVersionIsLost: a run does not write so often that Vault gives up what has to be
// put back.
func TestNoVersionIsLost(t *testing.T) {
	c := inVault(t)
	before := c.now()
	c.run(t)
	var err error
	for range 2 * vault.KeptVersions {
		err = errors.Join(err, locked(t.Context(), c.target.Control.Secrets))
	}
	if err == nil || !strings.Contains(err.Error(), "max_versions") {
		t.Errorf("got %v, want the number of versions named", err)
	}
	if _, left := BringBack(t.Context(), c.loaded, c.killed(t)); len(left) > 0 || c.now() != before {
		t.Errorf("left %v, it is %s", left, c.now())
	}
}

// TestJournalHoldsNoSecret: what brings a secret back is its version.
func TestJournalHoldsNoSecret(t *testing.T) {
	for where, begin := range map[string]func(*testing.T) *changing{"Vault": inVault, "AWS": inAWS} {
		c := begin(t)
		c.run(t)
		if err := locked(t.Context(), c.target.Control.Secrets); err != nil {
			t.Fatal(err)
		}
		text := read(t, c.journal.path())
		if strings.Contains(text, "idp.test/jwks") || !strings.Contains(text, `"was":`) {
			t.Errorf("%s: the journal is %s", where, text)
		}
	}
}
