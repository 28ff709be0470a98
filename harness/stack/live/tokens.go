package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/outbound"
	"aegis.test/conformance/harness/token"
)

// tokens are given, minted by a key, or had from an endpoint or from Vault.
func (b *builder) tokens(t *harness.Target) error {
	g := b.Grants.Tokens
	t.Tokens.Subject = g.Subject
	for _, one := range []struct {
		kind string
		from config.Reference
		into *harness.Secret
	}{
		{"valid token", g.Valid, &t.Tokens.Valid}, {"expired token", g.Expired, &t.Tokens.Expired},
		{"token of another realm", g.OtherRealm, &t.Tokens.OtherRealm},
	} {
		value, err := b.secret(one.kind, one.from, paperToken)
		if err != nil {
			return err
		}
		*one.into = harness.Secret(strings.TrimSpace(value.Reveal()))
	}
	if err := b.signing(t); err != nil {
		return err
	}
	switch {
	case g.ClientCredentials.TokenURL != "":
		return b.bearer(t, b.byClientCredentials)
	case g.VaultRole != "":
		return b.bearer(t, b.byVaultRole)
	}
	return nil
}

// signing are the keys that the target trusts, the first given first.
func (b *builder) signing(t *harness.Target) error {
	for _, k := range append([]config.SigningKey{b.Grants.Tokens.SigningKey}, b.Grants.Tokens.SigningKeys...) {
		if k.Key == "" {
			continue
		}
		key, err := b.signingKey(k)
		if err != nil {
			return err
		}
		t.Tokens.Signing = append(t.Tokens.Signing, key)
	}
	return nil
}

func (b *builder) signingKey(k config.SigningKey) (harness.SigningKey, error) {
	algorithm := k.Algorithm
	key, err := b.secret("signing key", k.Key, func() (string, error) {
		standIn, err := paperKey(k.Algorithm)
		algorithm = standIn.Algorithm
		return standIn.PEM.Reveal(), err
	})
	if err != nil {
		return harness.SigningKey{}, err
	}
	parsed, err := certs.ParseKey([]byte(key.Reveal()))
	if err != nil {
		return harness.SigningKey{}, fmt.Errorf("reading the signing key %q: %w", k.ID, err)
	}
	text, err := certs.Pair{Key: parsed}.KeyPEM() // PKCS #8, whatever it was given as
	if err != nil {
		return harness.SigningKey{}, fmt.Errorf("reading the signing key %q: %w", k.ID, err)
	}
	b.met("signing key", string(text))
	return harness.SigningKey{ID: k.ID, Algorithm: algorithm, PEM: harness.Secret(text)}, nil
}

// paperKey is a key that nobody trusts, of an algorithm's kind.
func paperKey(algorithm string) (key harness.SigningKey, err error) {
	switch {
	case strings.HasPrefix(algorithm, "ES"):
		return token.NewKey()
	case algorithm == "EdDSA":
		key, err = token.NewEdKey()
	default:
		key, err = token.NewRSAKey()
	}
	key.Algorithm = algorithm
	return key, err
}

// bearer makes a source of valid tokens, which must give one now.
func (b *builder) bearer(t *harness.Target, fetch func(context.Context) (harness.Secret, time.Time, error)) error {
	if b.paper {
		text, err := paperToken()
		t.Tokens.Valid, t.Control.Ended = harness.Secret(text), harness.EndedToken{Token: harness.Secret(text)}
		return err
	}
	s := &source{fetch: fetch, met: b.met}
	if err := s.renew(b.ctx); err != nil {
		return err
	}
	t.Tokens.Valid, t.Control.Bearer = s.Token(), s
	t.Control.Ended = b.ending(s)
	return nil
}

// ending is the token that was got first, once a sound verifier takes it no more; none
// where that is too far away.
func (b *builder) ending(s *source) harness.EndedToken {
	after := b.Profile.Leeway + time.Second
	if b.Profile.Leeway == 0 {
		after = harness.DefaultLeeway
	}
	end := s.ends[s.last].Add(after)
	if time.Until(end) > b.Grants.Tokens.ClientCredentials.Wait {
		return harness.EndedToken{}
	}
	return harness.EndedToken{Token: s.last, At: end}
}

// paperToken is a token that nobody trusts.
func paperToken() (string, error) {
	a, err := certs.NewAuthority("On paper")
	if err != nil {
		return "", err
	}
	key, err := a.Pair().KeyPEM()
	if err != nil {
		return "", err
	}
	return token.Sound().Make(token.Source{Now: time.Now(), Grant: harness.TokenGrant{
		Signing: []harness.SigningKey{{ID: "on-paper", Algorithm: "ES256", PEM: harness.Secret(key)}},
	}})
}

// source gives valid tokens: the same for as long as half its life is not over.
type source struct {
	fetch func(context.Context) (harness.Secret, time.Time, error)
	met   func(kind, value string)

	mu    sync.Mutex
	last  harness.Secret
	stale time.Time
	ends  map[harness.Secret]time.Time // of those that were given
}

// Ends is when a token ends that it gave.
func (s *source) Ends(token harness.Secret) (at time.Time, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, known = s.ends[token]
	return at, known
}

// Token is a valid token; the last one where no new one is to be had.
func (s *source) Token() harness.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().After(s.stale) {
		ctx, cancel := context.WithTimeout(context.Background(), fetchBound)
		defer cancel()
		_ = s.renew(ctx) // a target that refuses the last one says so
	}
	return s.last
}

// fetchBound is how long getting a token may take.
const fetchBound = 10 * time.Second

func (s *source) renew(ctx context.Context) error {
	now := time.Now()
	value, expires, err := s.fetch(ctx)
	if err != nil {
		return err
	}
	if value == "" {
		return errors.New("getting a token: the answer holds none")
	}
	s.met("valid token", value.Reveal())
	s.last, s.stale = value, now.Add(expires.Sub(now)/2)
	if s.ends == nil {
		s.ends = map[harness.Secret]time.Time{}
	}
	s.ends[value] = expires
	return nil
}

// byClientCredentials asks a token endpoint (RFC 6749 section 4.4).
func (b *builder) byClientCredentials(ctx context.Context) (harness.Secret, time.Time, error) {
	c := b.Grants.Tokens.ClientCredentials
	client, err := b.client()
	if err != nil {
		return "", time.Time{}, err
	}
	secret, err := b.secret("client's secret", c.ClientSecret, anything)
	if err != nil {
		return "", time.Time{}, err
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	for name, value := range map[string]string{"scope": c.Scope, "audience": c.Audience} {
		if value != "" {
			form.Set(name, value)
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", time.Time{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("User-Agent", "aegis-conformance/"+harness.Version)
	// RFC 6749 section 2.3.1: both are form-encoded first.
	request.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(strings.TrimSpace(secret.Reveal())))
	return granted(client, request)
}

// granted reads a token endpoint's answer (RFC 6749 section 5.1). Its body is
// not told: it could hold a token.
func granted(client *http.Client, request *http.Request) (harness.Secret, time.Time, error) {
	response, err := client.Do(request)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("getting a token: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Token   string  `json:"access_token"`
		Seconds float64 `json:"expires_in"`
		Error   string  `json:"error"`
	}
	err = json.NewDecoder(response.Body).Decode(&answer)
	if response.StatusCode != http.StatusOK || err != nil {
		return "", time.Time{}, fmt.Errorf("getting a token at %s: got %d %.200q, want 200 with a token", request.URL.Host,
			response.StatusCode, answer.Error)
	}
	if answer.Seconds <= 0 {
		answer.Seconds = 60
	}
	return harness.Secret(answer.Token), time.Now().Add(time.Duration(answer.Seconds * float64(time.Second))), nil
}

// client is how the token endpoint is asked.
func (b *builder) client() (*http.Client, error) {
	signed, err := b.signedBy(b.Grants.Tokens.ClientCredentials.CABundle, "grants.tokens.client_credentials.ca_bundle")
	if err != nil {
		return nil, err
	}
	return outbound.Client(outbound.Options{TimeOut: fetchBound, Most: harness.MaxBody}.By(signed)), nil
}
