package signoff

import (
	"slices"
	"strings"
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

// parts are an image's run and two live ones, each of which passed what it can show:
// SEC-001 is out of reach live, and MET-001 was granted at staging only.
func parts(t *testing.T, change func(image *Input, live []*Input)) ReleaseOf {
	t.Helper()
	digest := "sha256:" + strings.Repeat("e", 64)
	image := widened(harness.Image, "r-image")
	image.Build = &Build{Image: "registry.test/aegis:1.4.2", ImageDigest: digest, Labels: map[string]string{"build": "1.4.2"}}
	image.Findings[4] = finding("MET-001", harness.NotExercised, harness.Metrics)
	eu, us := widened(harness.Live, "r-eu"), widened(harness.Live, "r-us")
	for i, in := range []*Input{&eu, &us} {
		in.Claim, in.Target.Name, in.Target.Unreachable = CoreClaim, []string{"eu", "us"}[i], []harness.Capability{harness.VaultControlled}
		in.Start = &Identity{Version: digest}
		in.End = in.Start
		in.Findings[3] = finding("SEC-001", harness.NotExercised, harness.VaultControlled)
	}
	us.Findings[4] = finding("MET-001", harness.NotExercised, harness.Metrics)
	if change != nil {
		change(&image, []*Input{&eu, &us})
	}
	of := ReleaseOf{Run: "r-release", Now: image.Ended.Add(time.Hour), Who: "ann@ci", Policy: Policy{}}
	of.Image = given(t, image)
	of.Live = []Given{given(t, eu), given(t, us)}
	return of
}

func widened(kind harness.Kind, run string) Input {
	in := sound()
	in.Target.Kind, in.Run = kind, run
	in.Catalogue = append(in.Catalogue, catalogue("SEC-001", "MET-001")...)
	in.Catalogue[0].Tier = harness.Core
	in.Findings = append(in.Findings, pass("SEC-001"), pass("MET-001"))
	return in
}

func given(t *testing.T, in Input) Given {
	t.Helper()
	r := Conclude(in)
	data := encoded(t, r)
	return Given{reread(t, r), data}
}

func TestRelease(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(image *Input, live []*Input)
		verdict Verdict
		exit    int
		says    string // the first reason
	}{
		{"each shows its part", nil, Passed, 0, ""},
		{"nobody shows it, and somebody could", func(_ *Input, live []*Input) {
			live[0].Findings[4] = finding("MET-001", harness.NotExercised, harness.Metrics)
		}, Incomplete, 3, "not exercised: MET-001"},
		{"out of reach of all", func(image *Input, _ []*Input) {
			image.Target.Unreachable = []harness.Capability{harness.KeyedCaller}
			image.Findings[3] = finding("SEC-001", harness.NotExercised, harness.KeyedCaller)
		}, Passed, 0, ""},
		{"a fail at one region", func(_ *Input, live []*Input) { live[1].Findings[1] = contract("OIDC-005") }, Failed, 1, "contradicted: OIDC-005, the image (run r-image): pass; eu (run r-eu): pass; us (run r-us): fail"},
		{"a fail of the image", func(image *Input, _ []*Input) { image.Findings[3] = contract("SEC-001") }, Failed, 1, "failed (contract"},
		{"core unseen at one region", func(_ *Input, live []*Input) {
			live[1].Findings[0] = finding("OIDC-001", harness.Inconclusive)
		}, Incomplete, 3, "inconclusive: OIDC-001"},
		{"beyond core unseen at staging", func(_ *Input, live []*Input) {
			live[1].Findings[1] = finding("OIDC-005", harness.Inconclusive)
		}, Passed, 0, ""},
		{"an invalid part", func(_ *Input, live []*Input) { live[0].Interrupted = "SIGINT" }, Invalid, 3, "eu (run r-eu) gives no verdict"},
		{"waived where it failed", func(_ *Input, live []*Input) {
			waive(live[0])
			live[0].Waivers[0].Target = "eu"
		}, WithWaivers, 0, "waived (contract): OIDC-005"},
		{"waived at one of two", func(_ *Input, live []*Input) {
			waive(live[0])
			live[0].Waivers[0].Target = "eu"
			live[1].Findings[1] = contract("OIDC-005")
		}, Failed, 1, "contradicted: OIDC-005"},
		{"of one mode each", func(_ *Input, live []*Input) {
			live[0].Findings[2] = finding("MTLS-001", harness.NotApplicable)
		}, Passed, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Release(parts(t, c.change))
			if err != nil {
				t.Fatal(err)
			}
			first := strings.Join(r.Reasons[:min(1, len(r.Reasons))], "")
			if r.Verdict != c.verdict || r.ExitStatus() != c.exit || !strings.Contains(first, c.says) || c.says == "" && first != "" {
				t.Errorf("%s, exit %d, %q; want %s, %d, %q first", r.Verdict, r.ExitStatus(), r.Reasons, c.verdict, c.exit, c.says)
			}
			reread(t, r)
		})
	}
}

// TestAReleaseNamesItsSources: a row says whose pass it is, and the headline what was
// claimed.
func TestAReleaseNamesItsSources(t *testing.T) {
	r, err := Release(parts(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if want := "the image (run r-image): pass; eu (run r-eu): not-exercised; us (run r-us): not-exercised"; !slices.Contains(r.Findings[3].Notes, want) {
		t.Errorf("notes %q lack %q", r.Findings[3].Notes, want)
	}
	if want := "Release of registry.test/aegis:1.4.2 at eu, us: passed, full: 5 of 5. Beyond it 0 held, none failed, 0 were not exercised."; r.Headline != want {
		t.Errorf("%q, want %q", r.Headline, want)
	}
}

// TestNoReleaseOfWhatIsNotOne changes one thing that the records must agree in.
func TestNoReleaseOfWhatIsNotOne(t *testing.T) {
	other := "sha256:" + strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		change func(*ReleaseOf)
		want   string
	}{
		"another catalogue":    {func(of *ReleaseOf) { of.Live[0].Record.Catalogue.Digest = other }, "was held to the catalogue"},
		"another runbook":      {func(of *ReleaseOf) { of.Live[0].Record.Runbook.Digest = other }, "was held to the catalogue"},
		"another build":        {func(of *ReleaseOf) { of.Live[0].Record.Target.Start = &Identity{Version: "1.4.1"} }, "not the same build"},
		"no word of a build":   {func(of *ReleaseOf) { of.Live[0].Record.Target.Start = &Identity{} }, "build not known: eu"},
		"an image of no build": {func(of *ReleaseOf) { of.Image.Record.Build = nil }, "build not known"},
		"no such label":        {func(of *ReleaseOf) { of.Policy.Label = "revision" }, "build not known: run r-image of the image does not say its label revision"},
		"too old":              {func(of *ReleaseOf) { of.Now = of.Now.Add(8 * 24 * time.Hour) }, "want 7 days at most"},
		"too old for a policy": {func(of *ReleaseOf) { of.Policy.MaxAge = time.Minute }, "want 60 s at most"},
		"in the future":        {func(of *ReleaseOf) { of.Now = of.Now.Add(-2 * time.Hour) }, "in the future"},
		"a self-test":          {func(of *ReleaseOf) { of.Image.Record.Kind = harness.SelfTest }, "is a self-test, want a run of kind image"},
		"the same twice":       {func(of *ReleaseOf) { of.Live[1] = of.Live[0] }, "given twice"},
		"nothing live":         {func(of *ReleaseOf) { of.Live = nil }, "no live run"},
	} {
		t.Run(name, func(t *testing.T) {
			of := parts(t, nil)
			c.change(&of)
			if _, err := Release(of); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	of := parts(t, nil)
	of.Policy.Label = "build"
	for i := range of.Live {
		of.Live[i].Record.Target.Start = &Identity{Version: "1.4.2"}
	}
	if _, err := Release(of); err != nil {
		t.Errorf("by a label that is declared: %v", err)
	}
}

// TestAReleaseIsSignedAndVerified: the statement is about every record, and a row that
// says more than its sources is not read.
func TestAReleaseIsSignedAndVerified(t *testing.T) {
	of := parts(t, nil)
	r, err := Release(of)
	if err != nil {
		t.Fatal(err)
	}
	key, record := readKey(t, keyFile(t, "ed25519")), encoded(t, r)
	envelope, err := Sign(t.Context(), record, nil, key)
	if err != nil {
		t.Fatal(err)
	}
	w := Wanted{Key: key, Now: of.Now, Kinds: []harness.Kind{harness.Release}, MaxAge: 2 * time.Hour, Digest: r.Build.ImageDigest}
	for _, c := range Verify(record, envelope, w) {
		if !c.Holds {
			t.Errorf("%s: %s", c.Name, c.Says)
		}
	}
	_, body, _ := payload(t, envelope)
	for _, g := range of.all() {
		if !strings.Contains(string(body), bare(digest(g.Data))) {
			t.Errorf("the statement is not about run %s", g.Record.Run)
		}
	}
	w.MaxAge = 30 * time.Minute // the runs are an hour old, the release is new
	if all := Verify(record, envelope, w); !slices.ContainsFunc(all, func(c Condition) bool { return c.Name == "age" && !c.Holds }) {
		t.Errorf("a release of old runs is young: %v", all)
	}
	forged := r
	forged.Findings = slices.Clone(r.Findings)
	forged.Findings[1].Sources = slices.Clone(r.Findings[1].Sources)
	forged.Findings[1].Sources[2].Verdict = harness.Fail
	if _, err := Read(encoded(t, forged)); err == nil || !strings.Contains(err.Error(), "its sources allow fail") {
		t.Errorf("error %v of a row that hides a fail", err)
	}
}

// TestSpan says a time as people do.
func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		8760 * time.Hour: "365 days", 7 * 24 * time.Hour: "7 days", 47 * time.Hour: "47 h", 90 * time.Minute: "90 min", 5 * time.Second: "5 s", 1499 * time.Millisecond: "1 s",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
