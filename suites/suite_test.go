package suites_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/harness/stack/live"
	"aegis.test/conformance/suites"
)

// suite is what the specs of one Ginkgo process share. Only the first process
// holds the stack; the others are told of its target.
var suite struct {
	settings config.Settings
	plan     stack.Plan
	loaded   *config.Loaded  // nil when the stack is ours
	paper    *harness.Target // of loaded: what it will grant
	began    time.Time
	stack    *stack.Stack
	engine   *run.Engine
	journal  *live.Journal // of what this process creates and changes at a live target
	left     bool          // some of that is left, for conformance sweep
	// previewed are the expectations whose specs will run; they are judged side by
	// side, as the command does it, and each spec waits for its finding.
	previewing bool
	previewed  []harness.Expectation
	findings   map[string]chan harness.Finding
	end        func() // ends judging them
	redactor   signoff.Redactor
}

// TestConformance binds the catalogue to Ginkgo: one stack, one spec per
// expectation, one sign-off.
func TestConformance(t *testing.T) {
	module, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	neverCached(t, module)
	suite.began = time.Now()
	suite.settings = config.Read(os.Getenv, filepath.Join(module, "build", "signoff"))
	if suite.settings.Config != "" {
		readConfig(t)
	}
	if suite.loaded == nil {
		suite.plan, err = stack.Decide(t.Context(), stack.Runtime(suite.settings.Runtime))
	}
	if err != nil {
		t.Logf("%v", err) // starting the stack says it again, and the sign-off with it
	}
	RegisterFailHandler(Fail)
	describe()
	suite.previewed = preview()
	RunSpecs(t, title)
}

const title = "Aegis conformance"

// preview are the expectations whose specs will run. Where several processes share
// them, each judges what it is handed, one after the other.
func preview() []harness.Expectation {
	var all []harness.Expectation
	if c, _ := GinkgoConfiguration(); c.ParallelTotal > 1 || c.DryRun {
		return nil
	}
	suite.previewing = true
	for _, s := range PreviewSpecs(title).SpecReports {
		id, _, _ := strings.Cut(s.LeafNodeText, " ")
		if x, ok := suites.Find(id); ok && s.LeafNodeType == types.NodeTypeIt && s.State == types.SpecStatePassed {
			all = append(all, x)
		}
	}
	suite.previewing = false
	return all
}

// judgeAll begins to judge what was previewed.
func judgeAll() {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	suite.end, suite.findings = func() { cancel(); <-over }, map[string]chan harness.Finding{}
	for _, x := range suite.previewed {
		suite.findings[x.ID] = make(chan harness.Finding, 1)
	}
	go func() {
		defer close(over)
		suite.engine.All(ctx, suite.previewed, func(x harness.Expectation, f harness.Finding) { suite.findings[x.ID] <- f })
	}()
}

// judged is the finding of an expectation, once there is one.
func judged(ctx context.Context, x harness.Expectation) harness.Finding {
	if found, ok := suite.findings[x.ID]; ok {
		select {
		case f := <-found:
			return f
		case <-ctx.Done(): // as judging says, too
		}
	}
	return suite.engine.Judge(ctx, x)
}

// readConfig reads the configuration of one live target: go test runs in the
// package's directory, and the path is meant from the module's.
func readConfig(t *testing.T) {
	t.Helper()
	path := suite.settings.Config
	if !filepath.IsAbs(path) {
		path = filepath.Join("..", path)
	}
	all, err := config.Load(config.Sources{Path: path, Environ: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) > 1 {
		t.Fatalf("%s describes %d targets: conformance run --config runs them side by side", suite.settings.Config, len(all))
	}
	suite.loaded = &all[0]
	if suite.paper, err = stack.Paper(all[0], "plan"); err != nil {
		t.Fatal(err)
	}
}

// start starts the stack, or connects to the live target.
func start(ctx context.Context) (*stack.Stack, error) {
	if suite.loaded != nil {
		id := run.NewID()
		if err := openJournal(id); err != nil {
			return nil, err
		}
		started, err := stack.Noted(ctx, *suite.loaded, id, suite.redactor.Register, suite.journal)
		suite.left = err != nil && !suite.journal.Empty()
		return started, err
	}
	return stack.Start(ctx, stack.Spec{
		Runtime: stack.Runtime(suite.settings.Runtime), Run: run.NewID(),
		Progress: func(line string) { GinkgoWriter.Println(line) }, Log: GinkgoWriter, Met: suite.redactor.Register,
	})
}

// openJournal begins this process's journal, beside those of conformance run.
func openJournal(id string) (err error) {
	l := suite.loaded
	suite.journal, err = live.OpenJournal(l.Lookup.Path(l.Rails.JournalFiles), id, l.Target)
	return err
}

// closeJournal ends it; what is left stays in it.
func closeJournal() {
	if suite.journal == nil {
		return
	}
	journal := suite.journal
	suite.journal = nil
	Expect(journal.Close(!suite.left)).To(Succeed())
}

// options are how requests are sent: with care, at a live target.
func options() run.Options {
	o := run.Options{Met: suite.redactor.Register}
	if suite.loaded != nil {
		r := suite.loaded.Rails
		o.Concurrency, o.Rate, o.Burst, o.TimeOut = r.Concurrency, r.Rate, r.Burst, r.TimeOut
		o.Note = suite.journal.NoteCreated
		o.StopAfter, o.RetryAfter, o.RetryTotal = r.StopAfter, r.RetryAfter, r.RetryTotal
	}
	return o
}

// neverCached opens a file of the module that was changed in the future: go test
// keeps no result of a test that read a file newer than two seconds, and a
// verdict must never be replayed.
func neverCached(t *testing.T, module string) {
	t.Helper()
	stamp := filepath.Join(module, "build", "never-cached")
	future := time.Now().AddDate(100, 0, 0)
	err := errors.Join(os.MkdirAll(filepath.Dir(stamp), 0o755), os.WriteFile(stamp, nil, 0o644), os.Chtimes(stamp, future, future))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(stamp); err != nil {
		t.Fatal(err)
	}
}

// describe builds the tree: a container per chapter, a spec per expectation.
func describe() {
	var chapters []string
	byChapter := map[string][]harness.Expectation{}
	for _, x := range suites.All() {
		if !slices.Contains(chapters, x.Chapter()) {
			chapters = append(chapters, x.Chapter())
		}
		byChapter[x.Chapter()] = append(byChapter[x.Chapter()], x)
	}
	for _, chapter := range chapters {
		Describe(chapter, Label(chapter), func() {
			for _, x := range byChapter[chapter] {
				spec(x)
			}
		})
	}
}

// spec is one expectation. What the chosen placement cannot show by its nature
// is pending: neither green nor red.
func spec(x harness.Expectation) {
	decorations := []any{
		Label(x.ID, x.Area(), string(x.Level), string(x.Stimulus.Build().Effect)),
		types.CodeLocation{FileName: suitePath(x.Rule.File), LineNumber: x.Rule.Line},
	}
	if x.Alone() || slices.ContainsFunc(x.Stimulus.Build().Needs, held) {
		decorations = append(decorations, Serial)
	}
	if len(beyond(x)) > 0 {
		decorations = append(decorations, Pending)
	}
	It(x.ID+" "+x.Rule.Text, append(decorations, func(ctx SpecContext) {
		finding := judged(ctx, x)
		data, err := json.Marshal(finding)
		Expect(err).NotTo(HaveOccurred())
		AddReportEntry(entry, string(data), ReportEntryVisibilityNever)
		if finding.Verdict != harness.Pass && finding.Verdict != harness.NotApplicable {
			Fail(failure(x, finding))
		}
	})...)
}

// held reports a capability that only the process with the stack has: Ginkgo
// runs what is Serial there.
func held(c harness.Capability) bool { return c.Row().Control }

// lost are the capabilities of the catalogue that a target grants and the one that is
// told of it does not; at least one, the stack's own, so that the check checks.
func lost(target, told *harness.Target) []harness.Capability {
	all := []harness.Capability{harness.RestartService}
	for _, x := range suites.All() {
		for _, c := range x.Stimulus.Build().Needs {
			if target.Grants(c) && !told.Grants(c) {
				all = append(all, c)
			}
		}
	}
	return all
}

// entry names the report entries that hold findings.
const entry = "finding"

func suitePath(file string) string {
	abs, err := filepath.Abs(strings.TrimPrefix(file, "suites/"))
	if err != nil {
		return file
	}
	return abs
}

// beyond lists what an expectation needs and the chosen placement cannot show.
func beyond(x harness.Expectation) []harness.Capability {
	if suite.paper != nil {
		return x.Missing(suite.paper)
	}
	return slices.DeleteFunc(slices.Clone(x.Stimulus.Build().Needs), func(c harness.Capability) bool {
		return !slices.Contains(suite.plan.Beyond, c)
	})
}

func failure(x harness.Expectation, f harness.Finding) string {
	return fmt.Sprintf("%s %s\n  reason:  %s\n  control: %s\n  source:  %s\n  rerun:   %s",
		f.Verdict, f.Bucket, report.Line(f.Reason), f.Control, x.Source, again()(x.ID))
}

// again gives the command that judges an expectation alone, of the target that these tests
// are about.
func again() func(id string) string {
	if suite.settings.Config != "" {
		return suites.Again("--config", suite.settings.Config)
	}
	if suite.plan.Runtime == "" {
		return suites.Again()
	}
	return suites.Again("--runtime", string(suite.plan.Runtime))
}

var _ = SynchronizedBeforeSuite(func(ctx SpecContext) []byte {
	started, err := start(ctx)
	Expect(err).NotTo(HaveOccurred())
	suite.stack = started
	told := *started.Target
	told.Control = nil
	Expect(lost(started.Target, &told)).To(HaveEach(Satisfy(held)), "what other processes do not have is judged in this one")
	var data bytes.Buffer
	Expect(gob.NewEncoder(&data).Encode(told)).To(Succeed())
	return data.Bytes()
}, func(data []byte) {
	var target harness.Target
	Expect(gob.NewDecoder(bytes.NewReader(data)).Decode(&target)).To(Succeed())
	if suite.stack != nil {
		target.Control = suite.stack.Target.Control
	}
	if suite.loaded == nil {
		Expect(slices.Concat(target.Unreachable, target.Beyond)).To(ConsistOf(suite.plan.Beyond), "the placement that was planned when the specs were described")
	}
	if suite.loaded != nil && suite.journal == nil {
		Expect(openJournal(fmt.Sprintf("%s-%d", target.Run, GinkgoParallelProcess()))).To(Succeed())
	}
	suites.Register(&suite.redactor, &target)
	suite.engine = run.New(&target, options())
	judgeAll()
})

var _ = SynchronizedAfterSuite(func() {
	if suite.engine != nil {
		suite.end()
		defer suite.engine.Close()
		ctx, cancel := context.WithTimeout(context.Background(), suite.engine.CleanUpBound())
		defer cancel()
		_, left := suite.engine.CleanUp(ctx)
		suite.left = len(left) > 0
		Expect(left).To(BeEmpty(), "what this process created at the target")
	}
	if suite.stack == nil {
		closeJournal()
	}
}, func() {
	defer closeJournal()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := suite.stack.Stop(ctx)
	suite.left = suite.left || err != nil
	Expect(err).NotTo(HaveOccurred())
})

// The sign-off is concluded over the catalogue, whatever ran, in the first
// process, once every process has ended.
var _ = ReportAfterSuite("sign-off", func(r Report) {
	if suite.previewing {
		return // nothing has run
	}
	in := suites.Input(harness.Rehearsal, run.NewID(), suite.began)
	in.Rerun = again()
	in.Ended = time.Now()
	if suite.stack != nil {
		in.Target, in.Run = suite.stack.Target, suite.stack.Target.Run
	}
	if suite.loaded != nil { // as conformance run claims
		in.Claim = signoff.ClaimFor(harness.Live, suite.loaded.Claim)
	}
	in.Filter, in.DryRun = filter(r), r.SuiteConfig.DryRun
	in.Interrupted, in.NotStarted = special(r)
	for _, s := range r.SpecReports {
		tellSpec(&in, s)
	}
	record := suite.redactor.Clean(signoff.Conclude(in))
	files, err := report.Files(record)
	Expect(err).NotTo(HaveOccurred())
	if err := signoff.Publish(suite.settings.Out, files, &suite.redactor); err != nil {
		_, unmarked := signoff.Outdate(suite.settings.Out, record.Run, suite.redactor.Redact(err.Error()))
		Fail(suite.redactor.Redact(errors.Join(err, unmarked).Error()))
	}
	fmt.Printf("\n%ssign-off: %s\n", report.Console(record, false), filepath.Join(suite.settings.Out, "signoff.html"))
	if unseen := ofPlacement(record); len(unseen) > 0 {
		fmt.Printf("%s: not failed here, as all that is missing is what was not there to start: %s\n", record.Verdict, strings.Join(unseen, ", "))
		return
	}
	Expect(record.ExitStatusIf(rehearsalAsked())).To(BeZero(), "%s: conformance run gives this exit status, and so a run that is not green here is none", record.Verdict)
})

// ofPlacement are the expectations that an incomplete run in containers did not see, where
// it lacks nothing but what the plan said beforehand that it would: the image of a cluster
// takes minutes to build, and make test does without (make test-all has it). The sign-off
// is incomplete all the same.
func ofPlacement(r signoff.Record) (unseen []string) {
	if r.Kind != harness.SelfTest || r.Verdict != signoff.Incomplete || r.Selection.Filter != "" {
		return nil
	}
	for _, f := range r.Findings {
		switch {
		case f.Verdict == harness.Pass || f.Verdict == harness.NotApplicable || f.BeyondReach:
		case f.Verdict == harness.NotExercised && !slices.ContainsFunc(f.Missing, func(c harness.Capability) bool { return !slices.Contains(suite.plan.Beyond, c) }):
			unseen = append(unseen, f.ID)
		default:
			return nil
		}
	}
	return unseen
}

// rehearsalAsked reports whether a stack in one process will do: where CI is set,
// only where it was asked for.
func rehearsalAsked() bool {
	return suite.settings.Runtime == string(stack.Embedded) || os.Getenv("CI") == ""
}

// tellSpec takes one spec's finding into the sign-off.
func tellSpec(in *signoff.Input, s SpecReport) {
	if s.LeafNodeType != types.NodeTypeIt {
		return
	}
	id, _, _ := strings.Cut(s.LeafNodeText, " ")
	x, _ := suites.Find(id)
	if s.State == types.SpecStatePending {
		missing := beyond(x)
		in.Findings = append(in.Findings, harness.Finding{ID: id, Verdict: harness.NotExercised, Missing: missing,
			Reason: fmt.Sprintf("the stack does not grant %s", missing)})
		return
	}
	for _, e := range s.ReportEntries {
		var finding harness.Finding
		if e.Name == entry && json.Unmarshal([]byte(e.StringRepresentation()), &finding) == nil {
			in.Findings = append(in.Findings, finding)
		}
	}
	if s.State != types.SpecStateSkipped {
		in.Selected = append(in.Selected, id)
	}
}

// filter is what narrowed the run, as the user wrote it.
func filter(r Report) string {
	var parts []string
	add := func(name string, values []string) {
		if len(values) > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", name, strings.Join(values, ", ")))
		}
	}
	add("--focus", r.SuiteConfig.FocusStrings)
	add("--skip", r.SuiteConfig.SkipStrings)
	add("--focus-file", r.SuiteConfig.FocusFiles)
	add("--skip-file", r.SuiteConfig.SkipFiles)
	if r.SuiteConfig.LabelFilter != "" {
		add("--label-filter", []string{r.SuiteConfig.LabelFilter})
	}
	if r.SuiteHasProgrammaticFocus {
		parts = append(parts, "programmatic focus")
	}
	return strings.Join(parts, " ")
}

// special says what ended the suite other than its specs.
func special(r Report) (interrupted, notStarted string) {
	for _, reason := range r.SpecialSuiteFailureReasons {
		if strings.Contains(reason, "nterrupt") || strings.Contains(reason, "imeout") || strings.Contains(reason, "imed out") {
			interrupted = reason
		}
	}
	for _, s := range r.SpecReports {
		if s.LeafNodeType.Is(types.NodeTypeSynchronizedBeforeSuite) && s.Failed() && interrupted == "" {
			notStarted = s.Failure.Message
		}
	}
	return interrupted, notStarted
}
