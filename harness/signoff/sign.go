package signoff

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	result "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"aegis.test/conformance/harness"
)

// EnvelopeName is the name of the signature's file, beside the record.
const EnvelopeName = "signoff.dsse.json"

// BundleName is the name of the same signature as Sigstore's tools take it, beside it.
const BundleName = "signoff.sigstore.json"

// BundleType is the media type of a Sigstore bundle, version 0.3.
const BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Types of what is signed: an in-toto statement of a test result.
const (
	payloadType   = "application/vnd.in-toto+json"
	predicateType = "https://in-toto.io/attestation/test-result/v0.1"
)

// extensionName is the predicate's field of our own; in-toto lets a producer
// add such.
const extensionName = "aegis.test/conformance"

// extension is what the test-result predicate has no field for.
type extension struct {
	Kind         harness.Kind `json:"kind"`
	Verdict      Verdict      `json:"verdict"`
	Run          string       `json:"run"`
	Ended        time.Time    `json:"ended"`
	NotExercised []string     `json:"notExercised"`
	Inconclusive []string     `json:"inconclusive"` // harness errors among them
	Artefacts    Artefacts    `json:"artefacts,omitempty"`
}

// Artefacts are the digests, sha256:…, of what was made of a record, by file name.
type Artefacts map[string]string

// ArtefactsOf are the digests of files; the record and its signature are none.
func ArtefactsOf(files map[string][]byte) Artefacts {
	all := Artefacts{}
	for name, data := range files {
		if name != RecordName && name != EnvelopeName && name != BundleName {
			all[name] = digest(data)
		}
	}
	return all
}

// Results of the test-result predicate.
const (
	resultPassed = "PASSED"
	resultWarned = "WARNED"
	resultFailed = "FAILED"
)

// result is the record as consumers that know nothing of us read it: only what
// may be released on is no FAILED, and a rehearsal never is.
func (r Record) result() string {
	switch {
	case r.Kind == harness.Rehearsal:
		return resultFailed
	case r.Verdict == Passed:
		return resultPassed
	case r.Verdict == WithWaivers:
		return resultWarned
	default:
		return resultFailed
	}
}

// Subject is a thing that a statement is about beside the record and the build that it knows:
// an image by its manifest, say.
type Subject struct{ Name, Digest string } // sha256:…

// Sign makes the DSSE envelope of a record and of what was made of it; record is the
// file's own bytes.
func Sign(ctx context.Context, record []byte, artefacts Artefacts, key *Key, also ...Subject) ([]byte, error) {
	r, err := Read(record)
	if err != nil {
		return nil, err
	}
	payload, err := statement(r, record, artefacts, also...)
	if err != nil {
		return nil, fmt.Errorf("writing the statement: %w", err)
	}
	signer, err := dsse.NewEnvelopeSigner(key)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	envelope, err := signer.SignPayload(ctx, payloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	data, err := json.MarshalIndent(envelope, "", "  ")
	return append(data, '\n'), err
}

// bundle is a Sigstore bundle of a DSSE envelope that a key made, without a transparency log.
type bundle struct {
	MediaType string `json:"mediaType"`
	Material  struct {
		PublicKey struct {
			Hint string `json:"hint"`
		} `json:"publicKey"`
	} `json:"verificationMaterial"`
	Envelope json.RawMessage `json:"dsseEnvelope"`
}

// Bundle is an envelope as Sigstore's tools take it; its hint is the fingerprint of the key.
func Bundle(envelope []byte, key *Key) ([]byte, error) {
	id, err := key.KeyID()
	if err != nil {
		return nil, fmt.Errorf("making the bundle: %w", err)
	}
	b := bundle{MediaType: BundleType, Envelope: envelope}
	b.Material.PublicKey.Hint = id
	data, err := json.MarshalIndent(b, "", "  ")
	return append(data, '\n'), err
}

// unbundled is the envelope in a bundle, or what was given where that is none.
func unbundled(data []byte) ([]byte, error) {
	var b bundle
	if err := json.Unmarshal(data, &b); err != nil || b.Envelope == nil {
		return data, nil
	}
	if b.MediaType != BundleType {
		return nil, fmt.Errorf("the bundle is %q, want %s", b.MediaType, BundleType)
	}
	return b.Envelope, nil
}

// statement is what is signed, the same bytes for the same record.
func statement(r Record, record []byte, artefacts Artefacts, also ...Subject) ([]byte, error) {
	predicate, err := r.predicate(artefacts)
	if err != nil {
		return nil, err
	}
	subjects := r.subjects(record)
	for _, one := range also {
		subjects = append(subjects, &intoto.ResourceDescriptor{Name: one.Name, Digest: map[string]string{"sha256": bare(one.Digest)}})
	}
	s := &intoto.Statement{Type: intoto.StatementTypeUri, Subject: subjects, PredicateType: predicateType, Predicate: predicate}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	spaced, err := protojson.Marshal(s) // its spaces vary, on purpose
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Compact(&b, spaced)
	return b.Bytes(), err
}

// subjects are what the statement is about, each by its digest: the record, and
// the build as far as it is known. An address has no digest and is none.
func (r Record) subjects(record []byte) []*intoto.ResourceDescriptor {
	sum := sha256.Sum256(record)
	all := []*intoto.ResourceDescriptor{{Name: RecordName, Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}}}
	for _, o := range r.Records {
		all = append(all, &intoto.ResourceDescriptor{Name: RecordName + " of run " + o.Run, Digest: map[string]string{"sha256": bare(o.Digest)}})
	}
	if r.Build == nil {
		return all
	}
	if digest := bare(r.Build.ImageDigest); digest != "" {
		all = append(all, &intoto.ResourceDescriptor{Name: r.Build.Image, Digest: map[string]string{"sha256": digest}})
	}
	if commit.MatchString(r.Build.Commit) {
		all = append(all, &intoto.ResourceDescriptor{Name: "commit", Digest: map[string]string{"gitCommit": r.Build.Commit}})
	}
	return all
}

// commit is a Git object's name: SHA-1, or SHA-256.
var commit = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// bare is a digest without its sha256: in front.
func bare(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

func (r Record) predicate(artefacts Artefacts) (*structpb.Struct, error) {
	test := &result.TestResult{Result: r.result(), Configuration: r.configuration(), PassedTests: r.ids(isVerdict(harness.Pass))}
	for _, f := range r.ByVerdict(harness.Fail) {
		if _, waived := r.Waived(f); waived {
			test.WarnedTests = append(test.WarnedTests, f.ID)
		} else {
			test.FailedTests = append(test.FailedTests, f.ID)
		}
	}
	data, err := protojson.Marshal(test)
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	fields[extensionName] = extension{
		Kind: r.Kind, Verdict: r.Verdict, Run: r.Run, Ended: r.Ended,
		Artefacts:    artefacts,
		NotExercised: list(r.ids(isVerdict(harness.NotExercised))),
		Inconclusive: list(r.ids(func(f Finding) bool { return f.Verdict == harness.Inconclusive || f.Verdict == harness.Error })),
	}
	if data, err = json.Marshal(fields); err != nil {
		return nil, err
	}
	predicate := &structpb.Struct{}
	return predicate, predicate.UnmarshalJSON(data)
}

func isVerdict(v harness.Verdict) func(Finding) bool {
	return func(f Finding) bool { return f.Verdict == v }
}

// configuration is what the run was held to, and configured with.
func (r Record) configuration() []*intoto.ResourceDescriptor {
	all := []*intoto.ResourceDescriptor{}
	add := func(name, digest string) {
		if digest != "" {
			all = append(all, &intoto.ResourceDescriptor{Name: name, Digest: map[string]string{"sha256": bare(digest)}})
		}
	}
	add("catalogue", r.Catalogue.Digest)
	add("runbook", r.Runbook.Digest)
	if r.Config != nil {
		add(r.Config.File, r.Config.Digest)
	}
	return all
}
