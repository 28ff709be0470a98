package live

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/outbound"
)

// liveJWKS is the key set of a live IdP, which commands or HTTP calls change. What is there
// is read where the target reads it, and kept beside the journal before it is changed.
type liveJWKS struct {
	hook          config.JWKS
	authorization harness.Secret
	http          *http.Client
	granted       []string // kids of the keys that the harness was given
	bound         time.Duration
	dir           string // of copies, when it is put back after a kill
	note          func(Entry) error
	keep          func([]byte) (string, error)

	mu    sync.Mutex
	was   Change // while it is changed
	sound []byte
}

// servedBound is how long a change may take until it is served, where none is declared.
const servedBound = 60 * time.Second

// stopped is what a change makes of the endpoint that takes it away.
const stopped = "stopped"

// jwks is the key set that the configuration names, to be put back from the copies in dir.
func (b *builder) jwks(dir string) (*liveJWKS, error) {
	h := b.Grants.Hooks.JWKS
	by, err := b.signedBy(h.CABundle, ofJWKS+".ca_bundle")
	if err != nil {
		return nil, err
	}
	authorization, err := b.secret("authorization for the key set", h.Authorization, anything)
	if err != nil {
		return nil, err
	}
	return &liveJWKS{
		hook: h, authorization: authorization, http: outbound.Client(outbound.Options{}.By(by)),
		bound: cmp.Or(b.Profile.JWKSNewKeyMax, servedBound), dir: dir, note: b.note, keep: b.keep,
	}, nil
}

func (k *liveJWKS) at() string { return k.hook.URL }

// CanStop reports whether the endpoint can be taken away.
func (k *liveJWKS) CanStop() bool { return k.hook.Put != "" || len(k.hook.Stop) > 0 }

// Serve changes the key set, takes its endpoint away, or puts back what was there. What
// could not be done shows nothing of the target: harness.ErrUnseen.
func (k *liveJWKS) Serve(ctx context.Context, answer harness.JWKSAnswer) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	only := harness.JWKSAnswer{Body: answer.Body, Down: answer.Down}
	set, err := keysOf(answer.Body)
	switch {
	case answer.Status != 0, answer.ContentType != "", answer.Location != "", answer.Repeat != 0, answer.Delay != 0, only.Down && !k.CanStop(),
		only.Body != nil && err != nil:
		return fmt.Errorf("making %s answer so: %w by %s", k.hook.URL, harness.ErrNotOffered, ofJWKS)
	case only.Down:
		err = k.change(ctx, stopped, k.stop, func(_ []json.RawMessage, err error) bool { return err != nil })
	case only.Body != nil:
		err = k.publish(ctx, set)
	default:
		err = k.restored(ctx)
	}
	if err != nil {
		return fmt.Errorf("changing the key set: %w: %w", harness.ErrUnseen, err)
	}
	return nil
}

// publish makes the set so, with the keys that were there and are not the harness's.
func (k *liveJWKS) publish(ctx context.Context, set []json.RawMessage) error {
	if err := k.begin(ctx); err != nil {
		return err
	}
	others, err := keysOf(k.sound)
	if err != nil {
		return err
	}
	ours := slices.Clone(k.granted)
	for _, key := range set {
		ours = append(ours, kidOf(key))
	}
	for _, key := range others {
		if !slices.Contains(ours, kidOf(key)) {
			set = append(set, key)
		}
	}
	text, err := json.Marshal(map[string]any{"keys": set})
	if err != nil {
		return err
	}
	if k.was.Ours == stopped {
		if err := k.start(ctx); err != nil {
			return err
		}
	}
	want := digestOf(set)
	return k.change(ctx, want, func(ctx context.Context) error { return k.put(ctx, text) },
		func(now []json.RawMessage, err error) bool { return err == nil && digestOf(now) == want })
}

// change notes a change, makes it, and waits until it is served.
func (k *liveJWKS) change(ctx context.Context, ours string, do func(context.Context) error, served func([]json.RawMessage, error) bool) error {
	if err := k.begin(ctx); err != nil {
		return err
	}
	k.was.Ours = ours
	c := k.was
	if err := k.note(Entry{Change: &c}); err != nil {
		return err
	}
	if err := do(ctx); err != nil {
		return err
	}
	return k.until(ctx, served)
}

// begin keeps a copy of the set, before it is changed.
func (k *liveJWKS) begin(ctx context.Context) error {
	if k.was.Of != "" {
		return nil
	}
	text, err := k.read(ctx)
	if err != nil {
		return err
	}
	if _, err := keysOf(text); err != nil {
		return fmt.Errorf("reading %s: %w", k.hook.URL, err)
	}
	name, err := k.keep(text)
	if err != nil {
		return err
	}
	k.sound, k.was = text, Change{Of: ofJWKS, At: k.hook.URL, Was: name}
	return nil
}

// restored puts back what was there.
func (k *liveJWKS) restored(ctx context.Context) error {
	if k.was.Of == "" {
		return nil
	}
	if err := k.bringBack(ctx, k.sound); err != nil {
		return err
	}
	k.was, k.sound = Change{}, nil
	return nil
}

// bringBack starts the endpoint where it does not answer, and publishes the set where it
// is another.
func (k *liveJWKS) bringBack(ctx context.Context, sound []byte) error {
	want, err := keysOf(sound)
	if err != nil {
		return err
	}
	is := func(now []json.RawMessage, err error) bool { return err == nil && digestOf(now) == digestOf(want) }
	if _, err := k.now(ctx); err != nil {
		if err := k.start(ctx); err != nil {
			return err
		}
	}
	if is(k.now(ctx)) {
		return nil
	}
	if err := k.put(ctx, sound); err != nil {
		return err
	}
	return k.until(ctx, is)
}

// end puts the set back after the run, if that was not done.
func (k *liveJWKS) end(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.restored(ctx); err != nil {
		return fmt.Errorf("putting the key set back at %s: %w", k.hook.URL, err)
	}
	return nil
}

// restore puts the set back after the run was killed.
func (k *liveJWKS) restore(ctx context.Context, was Change, ours func(string) bool) (string, error) {
	kept := filepath.Join(k.dir, was.Was)
	byHand := fmt.Sprintf("what it held is in %s: put it back by hand", kept)
	sound, err := os.ReadFile(kept) // #nosec G304 -- beside the journal, of a name that was checked
	if err != nil {
		return "", fmt.Errorf("reading the copy of it: %w", err)
	}
	want, err := keysOf(sound)
	if err != nil {
		return "", fmt.Errorf("reading the copy of it: %w", err)
	}
	now, err := k.now(ctx)
	switch {
	case err == nil && digestOf(now) == digestOf(want):
		return "it is as it was", nil
	case err == nil && !ours(digestOf(now)):
		return "", fmt.Errorf("somebody has changed it since: %s", byHand)
	case err != nil && !ours(stopped):
		return "", fmt.Errorf("%w: %s", err, byHand)
	}
	if err := k.bringBack(ctx, sound); err != nil {
		return "", fmt.Errorf("%w: %s", err, byHand)
	}
	return "put back, and served", nil
}

// until reads the set until it is as wanted.
func (k *liveJWKS) until(ctx context.Context, served func([]json.RawMessage, error) bool) error {
	deadline := time.Now().Add(k.bound)
	for {
		now, err := k.now(ctx)
		if served(now, err) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the hook ended, and %s still answers another set after %s", k.hook.URL, k.bound)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// now are the keys that are served.
func (k *liveJWKS) now(ctx context.Context) ([]json.RawMessage, error) {
	text, err := k.read(ctx)
	if err != nil {
		return nil, err
	}
	return keysOf(text)
}

func (k *liveJWKS) read(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.hook.URL, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Cache-Control", "no-cache")
	return k.answer(request)
}

// put publishes a set.
func (k *liveJWKS) put(ctx context.Context, set []byte) error {
	if k.hook.Put == "" {
		return k.command(ctx, k.hook.Publish, set)
	}
	return k.call(ctx, http.MethodPut, set)
}

// stop takes the endpoint away, start brings it back.
func (k *liveJWKS) stop(ctx context.Context) error {
	if len(k.hook.Stop) > 0 {
		return k.command(ctx, k.hook.Stop, nil)
	}
	return k.call(ctx, http.MethodDelete, nil)
}

func (k *liveJWKS) start(ctx context.Context) error {
	if len(k.hook.Start) > 0 {
		return k.command(ctx, k.hook.Start, nil)
	}
	return nil // the PUT brings it back
}

func (k *liveJWKS) command(ctx context.Context, command []string, in []byte) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) // #nosec G204 -- the operator's own
	cmd.Stdin = bytes.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s: %w: %.200q", command[0], err, out)
	}
	return nil
}

func (k *liveJWKS) call(ctx context.Context, method string, set []byte) error {
	request, err := http.NewRequestWithContext(ctx, method, k.hook.Put, bytes.NewReader(set))
	if err != nil {
		return err
	}
	if set != nil {
		request.Header.Set("Content-Type", "application/jwk-set+json")
	}
	if k.authorization != "" {
		request.Header.Set("Authorization", strings.TrimSpace(k.authorization.Reveal()))
	}
	_, err = k.answer(request)
	return err
}

// answer is the body of a success.
func (k *liveJWKS) answer(request *http.Request) ([]byte, error) {
	response, err := k.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		return nil, fmt.Errorf("%s %s: %w", request.Method, request.URL.Redacted(), err)
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: it answers %s", request.Method, request.URL.Redacted(), response.Status)
	}
	return text.Bytes(), nil
}

// Kids are the IDs of the keys that are served.
func (k *liveJWKS) Kids(ctx context.Context) ([]string, error) {
	now, err := k.now(ctx)
	var kids []string
	for _, key := range now {
		kids = append(kids, kidOf(key))
	}
	return kids, err
}

// Fetches, Held and Attempts are not told by anybody.
func (k *liveJWKS) Fetches(context.Context) (int, error) { return 0, k.untold() }

// Held is not told.
func (k *liveJWKS) Held(context.Context) error { return k.untold() }

// Attempts are not told.
func (k *liveJWKS) Attempts(context.Context, string) (harness.Attempts, error) {
	return harness.Attempts{}, k.untold()
}

// Elsewhere is nowhere.
func (k *liveJWKS) Elsewhere() harness.Elsewhere { return harness.Elsewhere{} }

func (k *liveJWKS) untold() error {
	return fmt.Errorf("what %s is asked: %w by %s", k.hook.URL, harness.ErrNotOffered, ofJWKS)
}

// keysOf are the keys of a set (RFC 7517 section 5).
func keysOf(set []byte) ([]json.RawMessage, error) {
	var read struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(set, &read); err != nil {
		return nil, fmt.Errorf("it is no key set: %w", err)
	}
	if len(read.Keys) == 0 {
		return nil, errors.New("it is a key set without a key")
	}
	return read.Keys, nil
}

func kidOf(key json.RawMessage) string {
	var read struct {
		ID string `json:"kid"`
	}
	_ = json.Unmarshal(key, &read) // what has no kid is nobody's
	return read.ID
}

// digestOf is that of a set's keys, in whatever order and writing they stand.
func digestOf(set []json.RawMessage) string {
	var texts []string
	for _, key := range set {
		var members any
		_ = json.Unmarshal(key, &members) // it was read as JSON
		text, _ := json.Marshal(members)
		texts = append(texts, string(text))
	}
	slices.Sort(texts)
	return digest([]byte(strings.Join(texts, "\n")))
}
