package signoff

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"google.golang.org/protobuf/encoding/protojson"

	"aegis.test/conformance/harness"
)

// Wanted is what must hold of a signed record. Zero fields ask for nothing,
// but for the key.
type Wanted struct {
	Key    *Key
	Digest string        // of the image, sha256:…, or the commit that was built
	MaxAge time.Duration // since the run ended
	Kinds  []harness.Kind
	Policy *Policy
	// Catalogue is the one that the record must be of; nil: any. Beside is what stands
	// beside the record and should be made of it.
	Catalogue *Known
	Beside    Artefacts
	Now       time.Time
}

// Condition is one thing that must hold.
type Condition struct {
	Name  string // record, signature, digest, artefacts, build, result, catalogue, age, kind, policy, verdict
	Holds bool
	Says  string // why, or why not
}

// ahead is how far the clock of whoever ran may be ahead of the verifier's.
const ahead = 5 * time.Minute

// Verify holds a record and its envelope, the files' own bytes, against what is
// wanted. The record is good only when every condition holds; what cannot be
// read leaves out the conditions that need it.
func Verify(record, envelope []byte, w Wanted) []Condition {
	c := &conditions{}
	r, err := Read(record)
	c.add("record", err, "schema %s, run %s of %s", r.Schema, r.Run, r.Target.Name)
	s, signer, signed := opened(envelope, w.Key)
	c.add("signature", signed, "by %s", signer)
	if signed == nil {
		c.statement(s, record, w)
	}
	if err == nil && signed == nil {
		c.add("result", s.agrees(r), "%s, as the record says", s.result)
	}
	if err == nil {
		c.record(r, w)
	}
	return c.all
}

// conditions collects them.
type conditions struct{ all []Condition }

// add notes a condition: it holds when there is no error.
func (c *conditions) add(name string, err error, format string, args ...any) {
	if err != nil {
		c.all = append(c.all, Condition{name, false, err.Error()})
		return
	}
	c.all = append(c.all, Condition{name, true, fmt.Sprintf(format, args...)})
}

// said is what a statement says, as far as we read it.
type said struct {
	digests []string // of its subjects
	records []string // of these, records'
	result  string
	own     extension
}

// opened verifies an envelope and reads the statement in it.
func opened(envelope []byte, key *Key) (said, string, error) {
	var e dsse.Envelope
	envelope, err := unbundled(envelope)
	if err != nil {
		return said{}, "", err
	}
	if err := json.Unmarshal(envelope, &e); err != nil {
		return said{}, "", fmt.Errorf("%s is no DSSE envelope, nor a Sigstore bundle of one: %w", EnvelopeName, err)
	}
	verifier, err := dsse.NewEnvelopeVerifier(key)
	if err != nil {
		return said{}, "", err
	}
	if _, err := verifier.Verify(context.Background(), &e); err != nil {
		return said{}, "", errors.New("no signature in it is the key's: it was signed by " + signers(e) + ", or changed since")
	}
	payload, err := e.DecodeB64Payload()
	if err != nil {
		return said{}, "", err
	}
	if e.PayloadType != payloadType {
		return said{}, "", fmt.Errorf("the payload is %q, want %s", e.PayloadType, payloadType)
	}
	s, err := read(payload)
	id, _ := key.KeyID()
	return s, id, err
}

func signers(e dsse.Envelope) string {
	var ids []string
	for _, s := range e.Signatures {
		ids = append(ids, fmt.Sprintf("%q", s.KeyID))
	}
	if len(ids) == 0 {
		return "nobody"
	}
	return strings.Join(ids, ", ")
}

// read reads a statement; what it does not know in it is left alone, as in-toto
// asks.
func read(payload []byte) (said, error) {
	var s intoto.Statement
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(payload, &s); err != nil {
		return said{}, fmt.Errorf("the payload is no in-toto statement: %w", err)
	}
	if err := s.Validate(); err != nil {
		return said{}, fmt.Errorf("the statement is not sound: %w", err)
	}
	if s.PredicateType != predicateType {
		return said{}, fmt.Errorf("the statement is of %q, want %s", s.PredicateType, predicateType)
	}
	var says said
	for _, subject := range s.Subject {
		for _, digest := range subject.Digest {
			says.digests = append(says.digests, digest)
			if strings.HasPrefix(subject.Name, RecordName) {
				says.records = append(says.records, digest)
			}
		}
	}
	says.result = s.Predicate.Fields["result"].GetStringValue()
	own, err := json.Marshal(s.Predicate.Fields[extensionName])
	if err != nil {
		return said{}, err
	}
	if err := json.Unmarshal(own, &says.own); err != nil {
		return said{}, fmt.Errorf("the statement's field %s: %w", extensionName, err)
	}
	return says, nil
}

// statement holds what was signed against the record's bytes and the build.
func (c *conditions) statement(s said, record []byte, w Wanted) {
	sum := sha256.Sum256(record)
	digest := hex.EncodeToString(sum[:])
	var err error
	if !slices.Contains(s.digests, digest) {
		err = fmt.Errorf("the record's is sha256:%s, which the statement is not about: it was changed, or is another's", digest)
	}
	c.add("digest", err, "the record is the one that was signed, sha256:%s", digest)
	c.add("artefacts", s.own.Artefacts.hold(w.Beside), "%d stand beside the record, as they were signed", len(w.Beside))
	if w.Digest == "" {
		return
	}
	err = nil
	if slices.Contains(s.records, bare(w.Digest)) || !slices.Contains(s.digests, bare(w.Digest)) {
		err = fmt.Errorf("the statement is not about %s", w.Digest)
	}
	c.add("build", err, "the statement is about %s", w.Digest)
}

// hold compares what stands beside a record with what was signed.
func (a Artefacts) hold(beside Artefacts) error {
	for _, name := range slices.Sorted(maps.Keys(beside)) {
		switch signed, ok := a[name]; {
		case !ok:
			return fmt.Errorf("%s stands beside the record, and the signature is not over it: sign it again", name)
		case signed != beside[name]:
			return fmt.Errorf("%s is not the one that was signed: it was changed, or is another's; conformance report renders it again", name)
		}
	}
	return nil
}

// agrees reports whether the statement says of the run what the record does.
func (s said) agrees(r Record) error {
	if s.result != r.result() || s.own.Verdict != r.Verdict || s.own.Kind != r.Kind || s.own.Run != r.Run {
		return fmt.Errorf("the statement says %s (%s, run %s of kind %s), the record %s (%s, run %s of kind %s)",
			s.result, s.own.Verdict, s.own.Run, s.own.Kind, r.result(), r.Verdict, r.Run, r.Kind)
	}
	return nil
}

// record holds the record's own words against what is wanted.
func (c *conditions) record(r Record, w Wanted) {
	if w.Catalogue != nil {
		c.add("catalogue", w.Catalogue.Holds(r), "%d expectations, %s", len(r.Findings), r.Catalogue.Digest)
	}
	c.add("age", w.age(r), "the run ended %s", r.Ended.Format(time.RFC3339))
	c.add("kind", w.kind(r), "%s", r.Kind)
	if w.Policy == nil {
		c.add("verdict", verdictError(r), "%s", r.Verdict)
		return
	}
	var why []string
	for _, refusal := range w.Policy.Weigh(r) {
		why = append(why, refusal.Condition+": "+refusal.Why)
	}
	c.add("policy", joined(why), "all that it asks for")
	var held error
	if r.Verdict == Invalid {
		held = verdictError(r)
	}
	c.add("verdict", held, "%s, which the policy weighs", r.Verdict)
}

func (w Wanted) age(r Record) error {
	switch age := w.Now.Sub(r.oldest()); {
	case age < -ahead:
		return fmt.Errorf("the run ended at %s, in the future", r.Ended.Format(time.RFC3339))
	case w.MaxAge > 0 && age > w.MaxAge:
		return fmt.Errorf("the run ended %s ago, want %s at most", Span(age), Span(w.MaxAge))
	default:
		return nil
	}
}

// oldest is when the run ended, or the first of those that a release is made of.
func (r Record) oldest() time.Time {
	oldest := r.Ended
	for _, o := range r.Records {
		if o.Ended.Before(oldest) {
			oldest = o.Ended
		}
	}
	return oldest
}

func (w Wanted) kind(r Record) error {
	if r.Kind == harness.Rehearsal || r.Kind == "" || len(w.Kinds) > 0 && !slices.Contains(w.Kinds, r.Kind) {
		return fmt.Errorf("the run is a %s, want %s", kindOr(r.Kind), listed(orAll(w.Kinds, Evidence)))
	}
	return nil
}

func verdictError(r Record) error {
	if r.Verdict == Passed || r.Verdict == WithWaivers {
		return nil
	}
	if r.Verdict == Rehearsed {
		return errors.New("REHEARSED: no stack of a rehearsal shows anything of a deployment")
	}
	return fmt.Errorf("%s: %s", r.Verdict, strings.Join(r.Reasons, "; "))
}

func joined(why []string) error {
	if len(why) == 0 {
		return nil
	}
	return errors.New(strings.Join(why, "; "))
}
