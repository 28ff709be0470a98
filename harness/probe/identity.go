package probe

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/wire"
)

// Identity is what a target showed of itself at one moment: of several faces,
// one after the other.
type Identity struct {
	Version     string // empty where the target does not say
	Certificate string // SHA-256 of the server's leaf, hex; of several, over them all
	Server      string
	At          time.Time
	// Offset is how far the target's clock is from ours, by the Date of its
	// answer; Timed says that there was one.
	Offset time.Duration
	Timed  bool
}

// maxVersion is how much of a version is kept, bytes.
const maxVersion = 200

// Identify asks a target who it is, by one request to each face. An error says
// that it did not answer.
func Identify(ctx context.Context, t *harness.Target) (Identity, error) {
	id := Identity{At: time.Now().UTC()}
	var versions, certificates, servers []string
	for _, mode := range ModesOf(t) {
		request := identifying(t, mode)
		seen := wire.Send(ctx, t, request)
		if seen.Peer == "" && seen.Transport != harness.Answered {
			return id, fmt.Errorf("asking the face of mode %s who it is: %w: %s %s", mode, harness.ErrUnseen, seen.Transport, seen.Detail)
		}
		certificates = append(certificates, seen.Peer)
		servers = append(servers, seen.Header.Get("Server"))
		versions = append(versions, versionOf(t.Build, seen))
		if date, err := http.ParseTime(seen.Header.Get("Date")); err == nil {
			id.Offset, id.Timed = offset(date, seen), true
		}
	}
	id.Version, id.Certificate, id.Server = joined(versions), digest(certificates), joined(servers)
	return id, nil
}

// identifying is the request that asks: without a credential, but that an
// enrolled certificate is shown where there is one, for some faces tell nobody
// else.
func identifying(t *harness.Target, mode harness.Mode) harness.Request {
	path := t.Build.Path
	if path == "" {
		path = "/"
	}
	r := Plain(t, mode, harness.Endpoint{Name: "identity", Method: http.MethodGet, Path: path})
	if mode == harness.MTLS {
		if pair, err := clientcert.Enrolled().Make(t); err == nil {
			SetCertificate(&r, clientcert.Enrolled().Name, pair)
		}
	}
	return r
}

func versionOf(from harness.Build, seen harness.Observation) string {
	switch {
	case from.Path == "" || seen.Status != http.StatusOK:
		return ""
	case from.Header != "":
		return seen.Header.Get(from.Header)
	default:
		return strings.TrimSpace(string(seen.Body[:min(len(seen.Body), maxVersion)]))
	}
}

// offset is how far a clock is off that reads in whole seconds: the middle of
// the second, less the middle of the exchange.
func offset(date time.Time, seen harness.Observation) time.Duration {
	return date.Add(time.Second / 2).Sub(seen.At.Add(seen.Total / 2))
}

// joined joins what faces tell, each thing once.
func joined(all []string) string {
	var once []string
	for _, one := range all {
		if one != "" && !slices.Contains(once, one) {
			once = append(once, one)
		}
	}
	return strings.Join(once, ", ")
}

// digest is the one certificate's, or one over several faces'.
func digest(certificates []string) string {
	all := joined(certificates)
	if !strings.Contains(all, ", ") {
		return all
	}
	sum := sha256.Sum256([]byte(all))
	return hex.EncodeToString(sum[:])
}

// Expiry is when a token says that it expires (RFC 7519 section 4.1.4); false
// where it does not.
func Expiry(compact string) (time.Time, bool) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	var claims struct {
		Expiry *float64 `json:"exp"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Expiry == nil {
		return time.Time{}, false
	}
	return time.Unix(int64(*claims.Expiry), 0), true
}
