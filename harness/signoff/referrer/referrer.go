// Package referrer hangs a sign-off's signature on the image that it is about, where gates
// look for it: an OCI referrer (OCI distribution specification 1.1) that holds a Sigstore
// bundle.
package referrer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"aegis.test/conformance/harness/outbound"
	"aegis.test/conformance/harness/signoff"
)

// predicateType is what the bundle's statement is of, as cosign names it on a referrer.
const predicateType = "https://in-toto.io/attestation/test-result/v0.1"

// Image is an image in a registry.
type Image struct {
	Name    string   // registry/repository, without a tag
	Digests []string // sha256:… that it goes by: of its manifest first, and of its configurations

	repository *remote.Repository
	subject    ocispec.Descriptor
}

// Find looks an image up, by tag or digest. Credentials are those that docker login keeps; a
// registry on this host is asked without TLS.
func Find(ctx context.Context, reference string) (*Image, error) {
	repository, err := remote.NewRepository(reference)
	if err != nil {
		return nil, fmt.Errorf("finding the image %s: %w", reference, err)
	}
	if repository.Reference.Reference == "" {
		return nil, fmt.Errorf("finding the image %s: name a tag or a digest", reference)
	}
	client := &auth.Client{Client: outbound.Client(outbound.Options{}), Cache: auth.NewCache()}
	if store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{}); err == nil {
		client.Credential = credentials.Credential(store)
	}
	repository.Client, repository.PlainHTTP = client, local(repository.Reference.Registry)
	image := &Image{Name: repository.Reference.Registry + "/" + repository.Reference.Repository, repository: repository}
	if image.subject, err = repository.Resolve(ctx, repository.Reference.Reference); err != nil {
		return nil, fmt.Errorf("finding the image %s: %w: push it first, or docker login", reference, err)
	}
	image.Digests, err = image.digests(ctx, image.subject)
	return image, err
}

// local reports whether a registry is on this host.
func local(registry string) bool {
	host, _, err := net.SplitHostPort(registry)
	if err != nil {
		host = registry
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// digests are those of a manifest, of its configuration, which engines take for the image's
// own, and, of an index, those of what it lists.
func (i *Image) digests(ctx context.Context, at ocispec.Descriptor) ([]string, error) {
	data, err := content.FetchAll(ctx, i.repository, at)
	if err != nil {
		return nil, fmt.Errorf("reading the image's manifest: %w", err)
	}
	var manifest struct {
		Config    ocispec.Descriptor   `json:"config"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		return nil, fmt.Errorf("reading the image's manifest: %w", err)
	}
	all := []string{at.Digest.String()}
	if manifest.Config.Digest != "" {
		all = append(all, manifest.Config.Digest.String())
	}
	const most = 16 // platforms of an index
	for _, one := range manifest.Manifests[:min(most, len(manifest.Manifests))] {
		below, err := i.digests(ctx, one)
		if err != nil {
			return nil, err
		}
		all = append(all, below...)
	}
	return all, nil
}

// Subject is the image as a statement is about it; an error where the record is of another.
func (i *Image) Subject(r signoff.Record) (signoff.Subject, error) {
	if r.Build == nil || r.Build.ImageDigest == "" {
		return signoff.Subject{}, errors.New("the record does not say which image was under test: " +
			"sign --attach wants a record of an image's run, or a release")
	}
	if !slices.Contains(i.Digests, r.Build.ImageDigest) {
		return signoff.Subject{}, fmt.Errorf("the record is of the image %s, %s goes by %s",
			r.Build.ImageDigest, i.Name, strings.Join(i.Digests, ", "))
	}
	return signoff.Subject{Name: i.Name, Digest: i.Digests[0]}, nil
}

// Attach pushes a bundle as a referrer of the image, and gives the digest of its manifest.
func (i *Image) Attach(ctx context.Context, bundle []byte) (string, error) {
	blob := ocispec.Descriptor{MediaType: signoff.BundleType, Digest: digest.FromBytes(bundle), Size: int64(len(bundle))}
	if err := i.repository.Push(ctx, blob, strings.NewReader(string(bundle))); err != nil {
		return "", fmt.Errorf("pushing the signature to %s: %w", i.Name, err)
	}
	manifest, err := oras.PackManifest(ctx, i.repository, oras.PackManifestVersion1_1, signoff.BundleType, oras.PackManifestOptions{
		Subject: &i.subject, Layers: []ocispec.Descriptor{blob},
		ManifestAnnotations: map[string]string{
			"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": predicateType,
		},
	})
	if err != nil {
		return "", fmt.Errorf("attaching the signature to %s: %w", i.Name, err)
	}
	return manifest.Digest.String(), nil
}

// Attached are the bundles that refer to the image, for whoever verifies. Registries differ in
// what they list as a referrer's type, so that its layers are looked at.
func (i *Image) Attached(ctx context.Context) ([][]byte, error) {
	var bundles [][]byte
	err := i.repository.Referrers(ctx, i.subject, "", func(found []ocispec.Descriptor) error {
		for _, one := range found {
			data, err := content.FetchAll(ctx, i.repository, one)
			if err != nil {
				return err
			}
			var manifest ocispec.Manifest
			if err := json.Unmarshal(data, &manifest); err != nil {
				return err
			}
			for _, layer := range manifest.Layers {
				if layer.MediaType != signoff.BundleType {
					continue
				}
				bundle, err := content.FetchAll(ctx, i.repository, layer)
				if err != nil {
					return err
				}
				bundles = append(bundles, bundle)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing what refers to %s: %w", i.Name, err)
	}
	return bundles, nil
}
