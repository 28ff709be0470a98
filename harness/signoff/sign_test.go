package signoff

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"aegis.test/conformance/harness"
)

// keyFile mints a private key and gives its file.
func keyFile(t *testing.T, kind string) string {
	t.Helper()
	var key any
	var err error
	switch kind {
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	default:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readKey(t *testing.T, path string) *Key {
	t.Helper()
	key, err := ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// released is a live run that passed, of a known build.
func released() Input {
	in := sound()
	in.Target.Kind = harness.Live
	in.Build = &Build{Image: "registry.test/aegis:1.4.2", ImageDigest: "sha256:" + strings.Repeat("e", 64), Commit: strings.Repeat("c", 40)}
	in.Config = &Config{File: "staging.yaml", Digest: "sha256:" + strings.Repeat("f", 64)}
	return in
}

// signedBy signs the record of a run.
func signedBy(t *testing.T, in Input, key *Key) (record, envelope []byte) {
	t.Helper()
	record = encoded(t, Conclude(in))
	envelope, err := Sign(t.Context(), record, Artefacts{"signoff.html": "sha256:aa"}, key)
	if err != nil {
		t.Fatal(err)
	}
	return record, envelope
}

// payload is what an envelope holds, taken out by hand.
func payload(t *testing.T, envelope []byte) (kind string, body, signature []byte) {
	t.Helper()
	var e struct {
		PayloadType string
		Payload     []byte
		Signatures  []struct{ Sig []byte }
	}
	if err := json.Unmarshal(envelope, &e); err != nil || len(e.Signatures) != 1 {
		t.Fatalf("%v, %d signatures", err, len(e.Signatures))
	}
	return e.PayloadType, e.Payload, e.Signatures[0].Sig
}

// TestOpenSSLVerifies holds the signature against the bytes that DSSE's
// protocol says are signed, with an implementation that is not ours.
func TestOpenSSLVerifies(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatalf("%v: install openssl, which checks what we sign", err)
	}
	for kind, args := range map[string][]string{
		"ecdsa":   {"dgst", "-sha256", "-verify", "PUB", "-signature", "SIG", "PAE"},
		"ed25519": {"pkeyutl", "-verify", "-pubin", "-inkey", "PUB", "-rawin", "-in", "PAE", "-sigfile", "SIG"},
	} {
		t.Run(kind, func(t *testing.T) {
			key := readKey(t, keyFile(t, kind))
			_, envelope := signedBy(t, released(), key)
			payloadType, body, signature := payload(t, envelope)
			public, err := key.PublicPEM()
			if err != nil {
				t.Fatal(err)
			}
			pae := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(body), body)
			verify := func(pae []byte) error {
				paths := strings.NewReplacer("PUB", file(t, "pub", public), "SIG", file(t, "sig", signature), "PAE", file(t, "pae", pae))
				var command []string
				for _, arg := range args {
					command = append(command, paths.Replace(arg))
				}
				return exec.CommandContext(t.Context(), openssl, command...).Run()
			}
			if err := verify(pae); err != nil {
				t.Errorf("openssl refuses what we signed: %v", err)
			}
			if err := verify(append(pae, ' ')); err == nil {
				t.Error("openssl accepts what we did not sign")
			}
		})
	}
}

// TestStatement reads the statement as anybody would.
func TestStatement(t *testing.T) {
	in := released()
	in.Findings[1], in.Findings[2] = contract("OIDC-005"), finding("MTLS-001", harness.NotExercised, harness.Metrics)
	record, envelope := signedBy(t, in, readKey(t, keyFile(t, "ed25519")))
	payloadType, body, _ := payload(t, envelope)
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(record)
	want := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[
		{"name":"signoff.json","digest":{"sha256":"%x"}},{"name":"registry.test/aegis:1.4.2","digest":{"sha256":"%s"}},{"name":"commit","digest":{"gitCommit":"%s"}}],
		"predicateType":"https://in-toto.io/attestation/test-result/v0.1","predicate":{"result":"FAILED",
		"configuration":[{"name":"catalogue","digest":{"sha256":"%s"}},{"name":"runbook","digest":{"sha256":"%s"}},{"name":"staging.yaml","digest":{"sha256":"%s"}}],
		"passedTests":["OIDC-001"],"failedTests":["OIDC-005"],
		"aegis.test/conformance":{"artefacts":{"signoff.html":"sha256:aa"},"kind":"live","verdict":"FAIL","run":"r-1","ended":"2026-11-23T17:00:04Z","notExercised":["MTLS-001"],"inconclusive":[]}}}`,
		sum, strings.Repeat("e", 64), strings.Repeat("c", 40), strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("f", 64))
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if a, b := fmt.Sprint(got), fmt.Sprint(wanted); a != b || payloadType != "application/vnd.in-toto+json" {
		t.Errorf("%s of\n%s\nwant\n%s", payloadType, a, b)
	}
	again, err := statement(Conclude(in), record, Artefacts{"signoff.html": "sha256:aa"})
	if err != nil || !bytes.Equal(again, body) {
		t.Errorf("the same record is stated otherwise: %v", err)
	}
}

// TestResults: only what may be released on is signed as anything but FAILED.
func TestResults(t *testing.T) {
	for want, change := range map[string]func(*Input){
		resultPassed:                           func(*Input) {},
		resultWarned:                           waive,
		resultFailed:                           func(in *Input) { in.Findings[1] = contract("OIDC-005") },
		resultFailed + " of a gap":             func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.Inconclusive) },
		resultFailed + " of an invalid run":    func(in *Input) { in.DryRun = true },
		resultFailed + " of a rehearsal":       func(in *Input) { in.Target.Kind = harness.Rehearsal },
		resultFailed + " of a waived security": func(in *Input) { waive(in); in.Findings[1].Bucket = harness.Security },
	} {
		in := sound()
		change(&in)
		if got := Conclude(in).result(); !strings.HasPrefix(want, got) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// conditionsText is the conditions that do not hold, and all that they say.
func conditionsText(all []Condition) (failed, says string) {
	var names []string
	for _, c := range all {
		if !c.Holds {
			names = append(names, c.Name)
		}
		says += c.Name + ": " + c.Says + "\n"
	}
	return strings.Join(names, " "), says
}

// TestVerify changes one thing at a time of what is good, and wants the
// condition named.
func TestVerify(t *testing.T) {
	key, other := readKey(t, keyFile(t, "ecdsa")), readKey(t, keyFile(t, "ecdsa"))
	type signed struct {
		record, envelope []byte
		w                Wanted
	}
	text := func(data []byte, from, to string) []byte { return []byte(strings.Replace(string(data), from, to, 1)) }
	for _, c := range []struct {
		name   string
		run    func(*Input)
		change func(*signed)
		failed string
		says   string
	}{
		{"good", nil, nil, "", "record: schema"},
		{"all that can be asked", nil, func(s *signed) {
			s.w.Digest, s.w.MaxAge, s.w.Kinds, s.w.Policy = "sha256:"+strings.Repeat("e", 64), time.Hour, []harness.Kind{harness.Image, harness.Live}, &Policy{Chapters: []string{"oidc"}}
		}, "", "build: the statement is about sha256:ee"},
		{"the commit", nil, func(s *signed) { s.w.Digest = strings.Repeat("c", 40) }, "", "build"},
		{"waived", waive, nil, "", "verdict: PASS_WITH_WAIVERS"},
		{"a foreign key", nil, func(s *signed) { s.w.Key = other }, "signature", "signature: no signature in it is the key's"},
		{"another kind of key", nil, func(s *signed) { s.w.Key = readKey(t, keyFile(t, "ed25519")) }, "signature", "signature"},
		{"a record that was changed", nil, func(s *signed) { s.record = text(s.record, "ann@ci", "bob@ci") }, "digest", "it was changed, or is another's"},
		{"a verdict that was changed", nil, func(s *signed) { s.record = text(s.record, `"verdict": "PASS"`, `"verdict": "FAIL"`) }, "record digest", "the findings allow PASS"},
		{"a truncated record", nil, func(s *signed) { s.record = s.record[:len(s.record)/2] }, "record digest", "truncated after"},
		{"an older record", nil, func(s *signed) { s.record = text(s.record, "signoff/v4", "signoff/v1") }, "record digest", "use the harness version that wrote it"},
		{"no envelope", nil, func(s *signed) { s.envelope = nil }, "signature", "is no DSSE envelope"},
		{"half an envelope", nil, func(s *signed) { s.envelope = s.envelope[:len(s.envelope)/2] }, "signature", "is no DSSE envelope"},
		{"an envelope nobody signed", nil, func(s *signed) {
			s.envelope = []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}`)
		}, "signature", "signed by nobody"},
		{"a payload that was changed", nil, func(s *signed) { s.envelope = repack(t, s.envelope, "PASSED", "WARNED") }, "signature", "changed since"},
		{"another type of payload", nil, func(s *signed) { s.envelope = resigned(t, key, "text/plain", []byte("PASSED")) }, "signature", `the payload is "text/plain"`},
		{"another predicate", nil, func(s *signed) { s.envelope = restated(t, key, s.envelope, "test-result/v0.1", "test-result/v9") }, "signature", "test-result/v9"},
		{"no subject", nil, func(s *signed) {
			s.envelope = resigned(t, key, payloadType, []byte(`{"_type":"https://in-toto.io/Statement/v1"}`))
		}, "signature", "not sound"},
		{"a statement of another result", nil, func(s *signed) { s.envelope = restated(t, key, s.envelope, `"result":"PASSED"`, `"result":"WARNED"`) }, "result", "the statement says WARNED"},
		{"another image", nil, func(s *signed) { s.w.Digest = "sha256:" + strings.Repeat("d", 64) }, "build", "not about sha256:dd"},
		{"the page as it was signed", nil, func(s *signed) { s.w.Beside = Artefacts{"signoff.html": "sha256:aa"} }, "", "artefacts: 1 stand beside the record"},
		{"another page", nil, func(s *signed) { s.w.Beside = Artefacts{"signoff.html": "sha256:bb"} }, "artefacts", "signoff.html is not the one that was signed"},
		{"a page nobody signed", nil, func(s *signed) { s.w.Beside = Artefacts{"signoff.md": "sha256:aa"} }, "artefacts", "the signature is not over it"},
		{"the catalogue", nil, func(s *signed) { s.w.Catalogue = catalogueOf(released()) }, "", "catalogue: 3 expectations"},
		{"another catalogue", nil, func(s *signed) { s.w.Catalogue = &Known{Digest: "sha256:00"} }, "catalogue", "want sha256:00"},
		{"a part of the catalogue", func(in *Input) { in.Catalogue, in.Findings = in.Catalogue[:1], in.Findings[:1] }, func(s *signed) { s.w.Catalogue = catalogueOf(released()) }, "catalogue", "the record has 1 rows"},
		{"a level that was lowered", func(in *Input) { in.Catalogue[1].Level = harness.MAY }, func(s *signed) { s.w.Catalogue = catalogueOf(released()) }, "catalogue", "OIDC-005 is not there as MUST"},
		{"a tier that was lowered", func(in *Input) { in.Catalogue[1].Tier = harness.Core }, func(s *signed) { s.w.Catalogue = catalogueOf(released()) }, "catalogue", "OIDC-005 is not there as MUST, extended"},
		{"a record for a build", nil, func(s *signed) { s.w.Digest = digest(s.record) }, "build", "not about"},
		{"too old", nil, func(s *signed) { s.w.MaxAge = time.Minute }, "age", "30 min ago, want 60 s at most"},
		{"of the future", nil, func(s *signed) { s.w.Now = s.w.Now.Add(-24 * time.Hour) }, "age", "in the future"},
		{"another kind of run", nil, func(s *signed) { s.w.Kinds = []harness.Kind{harness.Image} }, "kind", "the run is a live, want image"},
		{"a rehearsal", func(in *Input) { in.Target.Kind = harness.Rehearsal }, nil, "kind verdict", "the run is a rehearsal"},
		{"a failure", func(in *Input) { in.Findings[1] = contract("OIDC-005") }, nil, "verdict", "FAIL: failed (contract"},
		{"a gap", func(in *Input) { in.Findings[1] = finding("OIDC-005", harness.Inconclusive) }, nil, "verdict", "INCOMPLETE"},
		{"invalid", func(in *Input) { in.Interrupted = "SIGINT" }, nil, "verdict", "INVALID"},
		{"a policy that asks for more", waive, func(s *signed) { none := 0; s.w.Policy = &Policy{Waivers: &none} }, "policy", "1 failures are waived"},
		{"a policy cannot save an invalid run", func(in *Input) { in.Interrupted = "SIGINT" }, func(s *signed) { s.w.Policy = &Policy{Chapters: []string{"oidc"}} }, "policy verdict", "interrupted"},
		{"a policy cannot save a hole", func(in *Input) { in.Findings[2] = finding("MTLS-001", harness.Fail) }, func(s *signed) { s.w.Policy = &Policy{Levels: []harness.Level{harness.MAY}} }, "policy", "unauthorised"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := released()
			if c.run != nil {
				c.run(&in)
			}
			var s signed
			s.record, s.envelope = signedBy(t, in, key)
			s.w = Wanted{Key: key, Now: in.Ended.Add(30*time.Minute - 4*time.Second)}
			if c.change != nil {
				c.change(&s)
			}
			failed, says := conditionsText(Verify(s.record, s.envelope, s.w))
			if failed != c.failed || !strings.Contains(says, c.says) {
				t.Errorf("%q does not hold, want %q and %q:\n%s", failed, c.failed, c.says, says)
			}
		})
	}
}

// catalogueOf is the catalogue of a run.
func catalogueOf(in Input) *Known {
	k := Known{Digest: in.CatalogueDigest}
	for _, x := range in.Catalogue {
		k.Expectations = append(k.Expectations, KnownRow{x.ID, x.Level, x.Tiered()})
	}
	return &k
}

// repack changes an envelope's payload and keeps its signature.
func repack(t *testing.T, envelope []byte, from, to string) []byte {
	t.Helper()
	_, body, signature := payload(t, envelope)
	data, err := json.Marshal(dsse.Envelope{PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(bytes.Replace(body, []byte(from), []byte(to), 1)),
		Signatures: []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(signature)}}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// restated changes a statement and signs it anew.
func restated(t *testing.T, key *Key, envelope []byte, from, to string) []byte {
	t.Helper()
	_, body, _ := payload(t, envelope)
	return resigned(t, key, payloadType, bytes.Replace(body, []byte(from), []byte(to), 1))
}

func resigned(t *testing.T, key *Key, payloadType string, body []byte) []byte {
	t.Helper()
	signer, err := dsse.NewEnvelopeSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := signer.SignPayload(t.Context(), payloadType, body)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestReadKey reads keys as openssl writes them, and says what others are.
func TestReadKey(t *testing.T) {
	key := readKey(t, keyFile(t, "ecdsa"))
	public, err := key.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(t.Context(), encoded(t, Conclude(released())), nil, readKey(t, file(t, "pub.pem", public))); err == nil || !strings.Contains(err.Error(), "a private one is needed") {
		t.Errorf("signing with a public key: %v", err)
	}
	private, err := os.ReadFile(keyFile(t, "ecdsa"))
	if err != nil {
		t.Fatal(err)
	}
	parameters := []byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n")
	readKey(t, file(t, "key.pem", append(parameters, private...)))
	for _, c := range []struct{ name, data, want string }{
		{"no PEM", "secret", "it is no PEM file"},
		{"encrypted", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n", "want an unencrypted ECDSA P-256 or Ed25519 key"},
		{"a certificate", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", `a PEM file of a "CERTIFICATE"`},
		{"garbage in it", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n", "reading the key in"},
	} {
		if _, err := ReadKey(file(t, "key.pem", []byte(c.data))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v; want one that says %q", c.name, err, c.want)
		}
	}
	if _, err := ReadKey(keyFile(t, "rsa")); err == nil || !strings.Contains(err.Error(), "it is an RSA key") {
		t.Errorf("error %v of an RSA key", err)
	}
	if _, err := ReadPublicKey(keyFile(t, "ed25519")); err == nil || !strings.Contains(err.Error(), "it is a private key, which is not needed to verify") {
		t.Errorf("error %v of a private key", err)
	}
	if _, err := ReadKey(keyFile(t, "p384")); err == nil || !strings.Contains(err.Error(), "of another kind") {
		t.Errorf("P-384: error %v", err)
	}
	if _, err := ReadKey("/nonexistent"); err == nil {
		t.Error("want an error for no file")
	}
}

// TestTransitMisanswered holds the client against a stand-in that answers as
// Vault must not; harness/stack holds it against the real one.
func TestTransitMisanswered(t *testing.T) {
	public, err := readKey(t, keyFile(t, "ecdsa")).PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	sound := fmt.Sprintf(`{"type":"ecdsa-p256","latest_version":1,"keys":{"1":{"public_key":%q}}}`, public)
	for _, c := range []struct{ name, path, key, signature, want string }{
		{"no such key", "transit/release", "", "", "vault write -f transit/keys/release type=ecdsa-p256 makes one"},
		{"another type", "transit/release", `{"type":"aes256-gcm96"}`, "", "its type is aes256-gcm96"},
		{"no public key", "transit/release", `{"type":"ed25519","latest_version":1,"keys":{"1":{}}}`, "", "version 1 has no public key"},
		{"no PEM", "transit/release", `{"type":"ecdsa-p256","latest_version":2,"keys":{"2":{"public_key":"x"}}}`, "", "version 2 has no public key"},
		{"no name", "transit/", sound, "", "want vault:MOUNT/NAME"},
		{"no signature", "transit/release", sound, `{}`, "holds no signature"},
		{"garbage for one", "transit/release", sound, `{"signature":"vault:v1:%%%"}`, "holds no signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				data := c.key
				if strings.Contains(r.URL.Path, "/sign/") {
					data = c.signature
				}
				if data == "" {
					http.Error(w, `{"errors":[]}`, http.StatusNotFound)
					return
				}
				_, _ = fmt.Fprintf(w, `{"data":%s}`, data)
			}))
			t.Cleanup(server.Close)
			t.Setenv("VAULT_ADDR", server.URL)
			t.Setenv("VAULT_TOKEN", "t")
			key, err := TransitKey(t.Context(), c.path)
			if err == nil {
				_, err = key.Sign(context.Background(), []byte("x"))
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v; want one that says %q", err, c.want)
			}
		})
	}
}

// BenchmarkVerify verifies a record of 300 expectations (issue 6: 50 ms).
func BenchmarkVerify(b *testing.B) {
	in := released()
	var ids []string
	for i := range 300 {
		ids = append(ids, fmt.Sprintf("OIDC-%03d", i))
	}
	in.Catalogue, in.Findings = catalogue(ids...), nil
	for _, id := range ids {
		f := pass(id)
		for range 5 {
			f.Evidence = append(f.Evidence, f.Evidence[0])
		}
		in.Findings = append(in.Findings, f)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	key, err := keyOf(private)
	if err != nil {
		b.Fatal(err)
	}
	record, err := Encode(Conclude(in))
	if err != nil {
		b.Fatal(err)
	}
	envelope, err := Sign(b.Context(), record, nil, key)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(record)))
	for b.Loop() {
		for _, c := range Verify(record, envelope, Wanted{Key: key, Now: in.Ended}) {
			if !c.Holds {
				b.Fatal(c)
			}
		}
	}
}

// TestBundle: the same signature as Sigstore's tools take it verifies as the envelope does, and
// what was changed in it, or is of another version, does not.
func TestBundle(t *testing.T) {
	key := readKey(t, keyFile(t, "ed25519"))
	record, envelope := signedBy(t, released(), key)
	bundle, err := Bundle(envelope, key)
	if err != nil {
		t.Fatal(err)
	}
	now := Conclude(released()).Ended
	failing := func(signed []byte) (names []string) {
		for _, c := range Verify(record, signed, Wanted{Key: key, Now: now}) {
			if !c.Holds {
				names = append(names, c.Name)
			}
		}
		return names
	}
	for name, c := range map[string]struct {
		signed []byte
		want   string
	}{
		"the envelope":    {envelope, ""},
		"the bundle":      {bundle, ""},
		"another version": {bytes.Replace(bundle, []byte("bundle.v0.3"), []byte("bundle.v0.9"), 1), "signature"},
		"another payload": {bytes.Replace(bundle, []byte(`"payload": "`), []byte(`"payload": "AAAA`), 1), "signature"},
		"no envelope":     {[]byte(`{"mediaType": "` + BundleType + `"}`), "signature"},
	} {
		if got := strings.Join(failing(c.signed), " "); got != c.want {
			t.Errorf("%s: %q does not hold, want %q", name, got, c.want)
		}
	}
	if id, _ := key.KeyID(); !bytes.Contains(bundle, []byte(`"hint": "`+id)) {
		t.Errorf("the bundle does not name the key %s:\n%s", id, bundle)
	}
}

// TestAlso: a statement is about what it is told to be about as well.
func TestAlso(t *testing.T) {
	key := readKey(t, keyFile(t, "ed25519"))
	record := encoded(t, Conclude(released()))
	manifest := "sha256:" + strings.Repeat("9", 64)
	envelope, err := Sign(t.Context(), record, nil, key, Subject{"registry.test/aegis", manifest})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Verify(record, envelope, Wanted{Key: key, Now: Conclude(released()).Ended, Digest: manifest}) {
		if !c.Holds {
			t.Errorf("%s: %s", c.Name, c.Says)
		}
	}
}
