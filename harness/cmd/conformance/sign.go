package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/signoff/referrer"
	"aegis.test/conformance/suites"
)

// keyText says what --key takes.
const keyText = "PEM file of an ECDSA P-256 or Ed25519 key, or vault:MOUNT/NAME for Vault's transit engine"

// readKey reads a key from a file, or finds it in Vault.
func readKey(ctx context.Context, from string) (*signoff.Key, error) {
	if from == "" {
		return nil, errors.New("which key? --key takes a " + keyText)
	}
	if path, ok := strings.CutPrefix(from, "vault:"); ok {
		return signoff.TransitKey(ctx, path)
	}
	return signoff.ReadKey(from)
}

// readPublic reads the key of who verifies.
func readPublic(ctx context.Context, from string) (*signoff.Key, error) {
	if from == "" || strings.HasPrefix(from, "vault:") {
		return readKey(ctx, from)
	}
	return signoff.ReadPublicKey(from)
}

// catalogueText says what --catalogue takes.
const catalogueText = "the catalogue that the record must be of, as list --json of its harness version wrote it (default: this program's)"

// knownCatalogue is the catalogue that a record is held against.
func knownCatalogue(file string) (*signoff.Known, error) {
	if file == "" {
		k := suites.Known()
		return &k, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	k, err := signoff.ReadKnown(data)
	return &k, err
}

func signCommand() *cobra.Command {
	var from, public, attach string
	c := &cobra.Command{
		Use: "sign RECORD --key KEY", Short: "sign a record: an in-toto statement in a DSSE envelope, beside it", Args: exactly(1, "a record, or the directory that holds it"),
		Long: `sign writes signoff.dsse.json beside the record: an in-toto statement of a test
result about the record's digest, and about the image and the commit that were
under test where they are known. Whatever the run concluded can be signed; only
PASS is signed as PASSED, waived failures as WARNED, all else as FAILED, and so is
a rehearsal. signoff.sigstore.json is the same signature as a Sigstore bundle.

With --attach IMAGE the statement is about that image's manifest too, and the bundle is
pushed as an OCI referrer of it, with the credentials that docker login keeps. The record
must be of that image.

A key is made by one of
  openssl genpkey -algorithm ed25519 -out signoff.key
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signoff.key
  vault write -f transit/keys/release type=ecdsa-p256
In Vault it stays there; VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT say where.`,
		Example: "  conformance sign build/signoff --key signoff.key --public signoff.pub\n  conformance sign build/signoff --key vault:transit/release --attach registry.example/aegis:1.4.2",
		RunE: func(c *cobra.Command, args []string) error {
			key, err := readKey(c.Context(), from)
			if err != nil {
				return usage{err}
			}
			r, record, err := signoff.Load(args[0])
			if err != nil {
				return usage{err}
			}
			artefacts, err := made(args[0], r)
			if err != nil {
				return usage{err}
			}
			image, also, err := attachTo(c.Context(), attach, r)
			if err != nil {
				return usage{err}
			}
			envelope, err := signoff.Sign(c.Context(), record, artefacts, key, also...)
			if err != nil {
				return usage{err}
			}
			bundle, err := signoff.Bundle(envelope, key)
			if err != nil {
				return err
			}
			if err := writeEnvelope(folder(args[0]), public, envelope, bundle, key); err != nil {
				return err
			}
			if image != nil {
				at, err := image.Attach(c.Context(), bundle)
				if err != nil {
					return usage{err}
				}
				if err := tell(c, fmt.Sprintf("%s@%s refers to %s", image.Name, at, also[0].Digest)); err != nil {
					return err
				}
			}
			id, _ := key.KeyID()
			return tell(c, fmt.Sprintf("%s: %s of run %s, signed by %s", filepath.Join(folder(args[0]), signoff.EnvelopeName), r.Verdict, r.Run, id))
		},
	}
	c.Flags().StringVar(&from, "key", "", keyText)
	c.Flags().StringVar(&attach, "attach", "", "also push the signature as an OCI referrer of this image, by tag or digest")
	c.Flags().StringVar(&public, "public", "", "also write the public key to this file, for whoever verifies")
	return c
}

// attachTo finds the image that a signature is to be attached to, as the record is of it; nil
// where none was named.
func attachTo(ctx context.Context, reference string, r signoff.Record) (*referrer.Image, []signoff.Subject, error) {
	if reference == "" {
		return nil, nil, nil
	}
	image, err := referrer.Find(ctx, reference)
	if err != nil {
		return nil, nil, err
	}
	subject, err := image.Subject(r)
	return image, []signoff.Subject{subject}, err
}

// made are the digests of what a record makes. What stands beside it must be that.
func made(path string, r signoff.Record) (signoff.Artefacts, error) {
	files, err := report.Files(r)
	if err != nil {
		return nil, fmt.Errorf("rendering the sign-off: %w", err)
	}
	all, there := signoff.ArtefactsOf(files), beside(path)
	for name, digest := range there {
		if all[name] != digest {
			return nil, fmt.Errorf("signing %s: %s beside it is not what it says; conformance report renders it again", path, name)
		}
	}
	return all, nil
}

// beside are the artefacts that stand beside a record.
func beside(path string) signoff.Artefacts {
	files := map[string][]byte{}
	for _, f := range report.Formats {
		if data, err := os.ReadFile(filepath.Join(folder(path), f.File)); err == nil {
			files[f.File] = data
		}
	}
	return signoff.ArtefactsOf(files)
}

func writeEnvelope(dir, public string, envelope, bundle []byte, key *signoff.Key) error {
	if public != "" {
		pem, err := key.PublicPEM()
		if err != nil {
			return err
		}
		if err := os.WriteFile(public, pem, 0o644); err != nil {
			return usage{fmt.Errorf("writing the public key: %w", err)}
		}
	}
	return signoff.Publish(dir, map[string][]byte{signoff.EnvelopeName: envelope, signoff.BundleName: bundle}, nil)
}

func verifyCommand() *cobra.Command {
	var w signoff.Wanted
	var from, envelope, policy, catalogue string
	var kinds []string
	c := &cobra.Command{
		Use: "verify RECORD --key PUBLIC", Short: "verify a signed record, offline: signature, digests, catalogue, age, kind, policy, verdict", Args: exactly(1, "a record, or the directory that holds it"),
		Long: `verify says of each condition whether it holds: that the record is sound, who
signed it, that the signed digest is the record's, that what stands beside it (the
page, say) was signed with it, that it is of the catalogue of this program or of
--catalogue, whole, what was under test, how old the run is, of which kind, and what
it concluded. A rehearsal never holds. Only
PASS and PASS_WITH_WAIVERS hold, or what --policy asks for (conformance signoff
--help).

Others can verify as well. cosign, offline:

  cosign verify-blob-attestation --key signoff.pub --signature signoff.dsse.json \
    --type https://in-toto.io/attestation/test-result/v0.1 \
    --insecure-ignore-tlog --new-bundle-format=false signoff.json

("ignore" as no transparency log is used), and of the image that was tested:

  cosign verify-blob-attestation --key signoff.pub --signature signoff.dsse.json \
    --type https://in-toto.io/attestation/test-result/v0.1 \
    --insecure-ignore-tlog --new-bundle-format=false \
    --digest DIGEST_WITHOUT_SHA256 --digestAlg sha256

Exit status: 0 every condition holds, 1 one does not, 2 usage.`,
		Example: `  conformance verify build/signoff --key signoff.pub
  conformance verify signoff.json --key signoff.pub --digest sha256:… --max-age 24h --kind live,image --policy policy.yaml`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			if w.Key, err = readPublic(c.Context(), from); err != nil {
				return usage{err}
			}
			if w.Catalogue, err = knownCatalogue(catalogue); err != nil {
				return usage{err}
			}
			if w.Kinds, err = kindsOf(kinds); err != nil {
				return usage{err}
			}
			if policy != "" {
				p, err := readPolicy(policy)
				if err != nil {
					return usage{err}
				}
				w.Policy = &p
			}
			record, signed, err := signoff.LoadSigned(args[0], envelope)
			if err != nil {
				return usage{err}
			}
			w.Now, w.Beside = time.Now(), beside(args[0])
			return tellConditions(c, signoff.Verify(record, signed, w))
		},
	}
	f := c.Flags()
	f.StringVar(&from, "key", "", "PEM file of the public key, or vault:MOUNT/NAME for Vault's transit engine")
	f.StringVar(&envelope, "envelope", "", "the signature's file, a DSSE envelope or a Sigstore bundle (default: "+signoff.EnvelopeName+" beside the record)")
	f.StringVar(&w.Digest, "digest", "", "what must have been under test: the digest of an image, or a commit")
	f.DurationVar(&w.MaxAge, "max-age", 0, "how long ago the run may have ended (default: any time)")
	f.StringSliceVar(&kinds, "kind", nil, "kinds of run that are enough: self-test, image, live, release (default: all)")
	f.StringVar(&policy, "policy", "", "what is required, in YAML")
	f.StringVar(&catalogue, "catalogue", "", catalogueText)
	return c
}

// kindsOf reads kinds of run that are evidence.
func kindsOf(names []string) ([]harness.Kind, error) {
	var kinds []harness.Kind
	for _, name := range names {
		kind := harness.Kind(strings.TrimSpace(name))
		if !slices.Contains(signoff.Evidence, kind) {
			return nil, fmt.Errorf("--kind %q: want self-test, image, live or release", name)
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

func tellConditions(c *cobra.Command, conditions []signoff.Condition) error {
	good := true
	for _, condition := range conditions {
		mark := "holds"
		if !condition.Holds {
			mark, good = "FAILS", false
		}
		if err := tell(c, fmt.Sprintf("%s  %-9s  %s", mark, condition.Name, report.Line(condition.Says))); err != nil {
			return err
		}
	}
	if !good {
		_ = tell(c, "not verified")
		return status(exitFail)
	}
	return tell(c, "verified")
}
