package strangers_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/idp"
	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/harness/token"
)

// What the owners' files say.
const (
	host     = "scoring.staging.example"
	issuer   = "https://login.staging.example"
	audience = "scoring"
	enrolled = "payments"
)

// deployed is a stranger that runs, until its test ends.
type deployed struct {
	stranger
	fault   fault
	dir     string   // of the owner's files
	set     []string // where the owner's names lead
	images  map[string]images.Have
	home    *stack.Deployment
	servers *certs.Authority
	clients *certs.Authority
	idp     *idp.IDP
}

// deploy starts a stranger with a fault in it.
func (s stranger) deploy(t *testing.T, f fault) *deployed {
	t.Helper()
	d := &deployed{stranger: s, fault: f, dir: t.TempDir()}
	had, err := images.Ensure(t.Context(), []string{images.FastAPI, images.Fixture, s.ingress}, images.Options{Pull: true, Build: true})
	if err != nil {
		t.Fatal(err)
	}
	d.images = had
	var log bytes.Buffer
	d.home = try(stack.Deploy(t.Context(), fmt.Sprintf("stranger-%s-%d", s.name, os.Getpid()), &log))
	t.Cleanup(func() {
		if err := d.home.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%.6000s", log.String()[max(0, log.Len()-6000):])
		}
	})
	d.servers, d.clients = try(certs.NewAuthority("Staging Servers")), try(certs.NewAuthority("Staging Clients"))
	d.idp = try(idp.New(issuer))
	d.idp.SetAudience(audience)
	d.credentials(t)
	d.startIDP(t)
	d.startService(t)
	d.startIngress(t)
	return d
}

func try[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// read is a file of the stranger's, with the fault in it where that is its place.
func (d *deployed) read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	if d.fault.in != path.Base(name) {
		return text
	}
	if n := strings.Count(string(text), d.fault.from); n != 1 {
		t.Fatalf("the fault no longer fits: %q stands %d times in %s", d.fault.from, n, name)
	}
	return []byte(strings.Replace(string(text), d.fault.from, d.fault.to, 1))
}

// credentials writes what the owner has for the harness, beside the staging.yaml.
func (d *deployed) credentials(t *testing.T) {
	t.Helper()
	d.file(t, "staging.yaml", d.read(t, d.name+"/staging.yaml"))
	d.file(t, "staging-ca.pem", d.servers.RootPEM())
	minter := &harness.Target{Profile: harness.Profile{Issuer: issuer, Audience: audience}, Tokens: harness.TokenGrant{Signing: d.idp.Keys()}}
	d.file(t, "valid.jwt", []byte(try(token.Sound().Make(token.From(minter)))))
	d.file(t, "expired.jwt", []byte(try(token.Expired(time.Hour).Make(token.From(minter)))))
	for _, cn := range []string{enrolled, "intruder"} {
		pair := try(d.clients.Issue(certs.Leaf{CommonName: cn}))
		d.file(t, cn+".crt", pair.ChainPEM())
		d.file(t, cn+".key", try(pair.KeyPEM()))
	}
}

func (d *deployed) start(t *testing.T, c stack.Container, ready func(context.Context, []string) error) []string {
	t.Helper()
	at, err := d.home.Start(t.Context(), c, ready)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func (d *deployed) startIDP(t *testing.T) {
	pair := try(d.servers.Server("idp"))
	d.start(t, stack.Container{
		Name: "idp", Image: d.images[images.Fixture].Reference, Command: []string{"/bin/fixture", "idp"}, Ports: []int{8443},
		Env: map[string]string{
			"IDP_ISSUER": issuer, "IDP_STATE": string(try(d.idp.Export())), "LISTEN_ADDR": ":8443",
			"TLS_CERT": string(pair.ChainPEM()), "TLS_KEY": string(try(pair.KeyPEM())),
		},
	}, d.answers("idp", "https", idp.JWKSPath))
}

func (d *deployed) startService(t *testing.T) {
	public := try(x509.MarshalPKIXPublicKey(d.servers.Pair().Key.Public()))
	secrets := try(json.Marshal(map[string]string{
		"oidc_jwks_uri":        "https://idp:8443" + idp.JWKSPath,
		"model_signing_pubkey": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
		"clients/allowed":      `["` + enrolled + `"]`,
	}))
	env := map[string]string{
		"AUTH_MODE": string(d.mode), "OIDC_ISSUER": issuer, "OIDC_AUDIENCE": audience,
		"SSL_CERT_FILE": "/etc/ssl/staging-ca.pem", "FORWARDED_ALLOW_IPS": "*",
	}
	if len(d.workers) > 0 {
		env["PROMETHEUS_MULTIPROC_DIR"] = "/tmp"
	}
	command := append([]string{"/usr/bin/python3.11", "-m", "uvicorn", "scoring:app", "--app-dir", "/srv", "--host", "0.0.0.0"}, d.workers...)
	at := d.start(t, stack.Container{
		Name: "scoring", Image: d.images[images.FastAPI].Reference, Command: command, Env: env, Ports: []int{8000},
		Files: map[string][]byte{
			"/srv/scoring.py": d.read(t, "scoring.py"), "/etc/ssl/staging-ca.pem": d.servers.RootPEM(), "/vault/secrets/scoring.json": secrets,
		},
	}, d.answers("", "http", "/metrics"))
	d.set = append(d.set, fmt.Sprintf("grants.metrics.%s=http://%s/metrics", d.mode, at[0]))
}

func (d *deployed) startIngress(t *testing.T) {
	pair := try(d.servers.Server(host))
	key := try(pair.KeyPEM())
	files := map[string][]byte{
		"/etc/tls/tls.crt": pair.ChainPEM(), "/etc/tls/tls.key": key, "/etc/tls/both.pem": append(pair.ChainPEM(), key...),
		"/etc/tls/clients.pem": d.clients.RootPEM(), "/etc/tls/clients.crl": d.emptyCRL(t),
		"/etc/ingress/" + d.config: d.read(t, d.name+"/"+d.config),
	}
	var quic []int
	if d.ingress == images.Caddy {
		quic = []int{443}
	}
	at := d.start(t, stack.Container{
		Name: "ingress", Image: d.images[d.ingress].Reference, Command: append(slices.Clone(d.command), "/etc/ingress/"+d.config),
		Files: files, Ports: []int{443}, QUIC: quic,
	}, d.answers(host, "https", "/healthz"))
	d.set = append(d.set, "target.connect_to="+at[0])
}

// emptyCRL is the clients' authority's list, on which nobody stands.
func (d *deployed) emptyCRL(t *testing.T) []byte {
	t.Helper()
	issuer := d.clients.Pair()
	list, err := x509.CreateRevocationList(nil, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(24 * time.Hour),
	}, issuer.Certificate, issuer.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list})
}

// answers asks a path until it is answered 200, as the enrolled client.
func (d *deployed) answers(name, scheme, path string) func(context.Context, []string) error {
	roots := x509.NewCertPool()
	roots.AddCert(d.servers.Pair().Certificate)
	client := try(tls.LoadX509KeyPair(filepath.Join(d.dir, enrolled+".crt"), filepath.Join(d.dir, enrolled+".key")))
	asking := &http.Client{Timeout: time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name, Certificates: []tls.Certificate{client}}, DisableKeepAlives: true,
	}}
	return func(ctx context.Context, at []string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+at[0]+path, nil)
		if err != nil {
			return err
		}
		if name != "" {
			r.Host = name
		}
		response, err := asking.Do(r)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	}
}
