// Package registry holds what is attached to an image against implementations that are not
// ours: go-containerregistry's registry and client, and Sigstore's own type of a bundle. It is
// a module of its own: nothing else here needs those.
package registry

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	bundles "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/signoff/referrer"
)

// pushed is an image in a registry of this test's, by its tag, with the digests of its manifest
// and of its configuration.
func pushed(t *testing.T) (reference, manifest, config string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	image, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	reference = strings.TrimPrefix(server.URL, "http://") + "/team/aegis:1.4.2"
	tag, err := name.ParseReference(reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	configuration, err := image.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return reference, digest.String(), configuration.String()
}

// key mints a signing key.
func key(t *testing.T) *signoff.Key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := signoff.ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// record is of an image, by the digest that an engine gives it.
func record(t *testing.T, digest string) (signoff.Record, []byte) {
	t.Helper()
	now := time.Now()
	r := signoff.Conclude(signoff.Input{Run: "r-1", Started: now, Ended: now, Target: &harness.Target{Kind: harness.Image, Name: "the team's image"},
		CatalogueDigest: "sha256:" + strings.Repeat("a", 64), RunbookDigest: "sha256:" + strings.Repeat("b", 64),
		Harness: signoff.Harness{Version: "1"}, Build: &signoff.Build{Image: "team/aegis:1.4.2", ImageDigest: digest}})
	data, err := signoff.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return r, data
}

// TestAttach: the bundle hangs on the image as others see it, is Sigstore's, is about the
// manifest, and verifies with the key as the envelope does.
func TestAttach(t *testing.T) {
	reference, manifest, config := pushed(t)
	r, data := record(t, config)
	image, err := referrer.Find(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	subject, err := image.Subject(r)
	if err != nil || subject.Digest != manifest {
		t.Fatalf("the statement is about %+v, %v; want the manifest %s", subject, err, manifest)
	}
	k := key(t)
	envelope, err := signoff.Sign(t.Context(), data, nil, k, subject)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := signoff.Bundle(envelope, k)
	if err != nil {
		t.Fatal(err)
	}
	var theirs bundles.Bundle
	if err := protojson.Unmarshal(bundle, &theirs); err != nil || theirs.GetDsseEnvelope() == nil || theirs.GetVerificationMaterial().GetPublicKey().GetHint() == "" {
		t.Fatalf("it is no bundle of Sigstore's: %v\n%s", err, bundle)
	}
	at, err := image.Attach(t.Context(), bundle)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := name.NewDigest(strings.TrimSuffix(reference, ":1.4.2") + "@" + manifest)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Referrers(digest)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := index.IndexManifest()
	if err != nil || len(listed.Manifests) != 1 || listed.Manifests[0].Digest.String() != at {
		t.Fatalf("go-containerregistry lists %+v, %v; want %s", listed, err, at)
	}
	described, err := remote.Get(digest.Context().Digest(at))
	if err != nil || !strings.Contains(string(described.Manifest), `"artifactType":"`+signoff.BundleType+`"`) {
		t.Errorf("the referrer is %s, %v", described.Manifest, err)
	}
	attached, err := image.Attached(t.Context())
	if err != nil || len(attached) != 1 || string(attached[0]) != string(bundle) {
		t.Fatalf("%d bundles are attached, %v", len(attached), err)
	}
	for _, c := range signoff.Verify(data, attached[0], signoff.Wanted{Key: k, Now: time.Now(), Digest: manifest}) {
		if (c.Name == "signature" || c.Name == "digest" || c.Name == "build" || c.Name == "result") && !c.Holds {
			t.Errorf("%s: %s", c.Name, c.Says)
		}
	}
}

// TestAttachRefuses an image that is not there, one without a tag, and one that the record is
// not of.
func TestAttachRefuses(t *testing.T) {
	reference, _, _ := pushed(t)
	for at, want := range map[string]string{
		strings.Replace(reference, "1.4.2", "9.9", 1): "push it first",
		strings.TrimSuffix(reference, ":1.4.2"):       "name a tag or a digest",
		"not a reference":                             "finding the image",
	} {
		if _, err := referrer.Find(t.Context(), at); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", at, err, want)
		}
	}
	image, err := referrer.Find(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := record(t, "sha256:"+strings.Repeat("0", 64))
	if _, err := image.Subject(other); err == nil || !strings.Contains(err.Error(), "the record is of the image sha256:000") {
		t.Errorf("a record of another image: %v", err)
	}
	other.Build = nil
	if _, err := image.Subject(other); err == nil || !strings.Contains(err.Error(), "does not say which image") {
		t.Errorf("a record of no image: %v", err)
	}
}
