package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites"
)

// session is one run of the command.
type session struct {
	runtime     stack.Runtime
	ingresses   []string
	ingress     string // the one of ingresses that is before the service now
	service     stack.Service
	config      *signoff.Config // that says what the service is
	alertRules  string          // file of
	rules       []byte          // nil means ours
	out         string
	only        []string
	ha          bool
	shard       string
	done        string
	dry         bool
	verbose     bool
	asked       bool // for a rehearsal, where containers cannot be had
	concurrency int
	output      output
	waiving     waiving
	waivers     []signoff.Waiver
	from        sources
	allow       string
	claim       string         // asked for
	declared    string         // by the configuration of an image
	loaded      *config.Loaded // nil when the stack is ours

	kind    harness.Kind // of the stack that was started
	console console
	record  signoff.Record // of the run that has ended
}

func runCommand() *cobra.Command {
	var s session
	c := &cobra.Command{
		Use: "run", Short: "start a stack, judge every expectation and write a sign-off", Args: none,
		Long: `run starts Vault, an IdP, an ingress and the reference service, holds them
against every expectation of the runbook, and writes signoff.json and what is
made from it: ` + artefacts() + `.

In containers it is a self-test with the real Vault and nginx; embedded, in
process, it is a rehearsal and no release evidence. auto takes containers when
an engine answers and every image is there or can be pulled within seconds, and
else rehearses: that ends 0 only where --runtime auto was given and CI is not set,
and 3 elsewhere, as nobody asked for less. Where there is a staging.yaml, run wants
to be told which is meant: --config staging.yaml, or --runtime.

With --service-image a team's own image takes the place of the reference
service, once per AUTH_MODE, in containers. It is told where Vault and the IdP
are by the environment variables that fixtures/aegis/process.go lists, and must
listen on port 8080. What it does not declare is held to the usual bounds: a key
that is withdrawn may be believed for an hour, so such a run may take one.

With --config (or $CONFORMANCE_CONFIG) nothing is started: the deployment that
the file describes is held against the runbook, with care. It must be declared
staging or test; it is only read from unless --allow says otherwise, slowly, and
what the run creates it removes. conformance plan shows beforehand what would
run; conformance init writes a file to begin with.`,
		Example: `  conformance run
  conformance run --runtime auto         # what make conformance runs
  conformance run --runtime embedded --only OIDC-005
  conformance run --only identity,MTLS --out /tmp/signoff
  conformance run --ingress nginx,haproxy,caddy
  conformance run --waivers waivers.yaml
  conformance run --service-image registry.example/aegis:1.4.2
  conformance run --alert-rules deploy/aegis-rules.yml
  conformance run --ha --only FFS,SEC,ROT
  conformance run --config staging.yaml --allow writes`,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if s.console, err = newConsole(c, s.output, s.verbose); err != nil {
				return usage{err}
			}
			if s.waivers, err = s.waiving.read(); err != nil {
				return usage{err}
			}
			if err := knownClaim(s.claim); err != nil {
				return usage{err}
			}
			if s.isLive(c) {
				if s.alertRules != "" {
					return usage{errors.New("--alert-rules: a live target is watched by its own Prometheus (grants.prometheus), with the rules that are loaded there")}
				}
				if s.ha {
					return usage{errors.New("--ha: a live target has the Vault that it has")}
				}
				return s.live(c.Context())
			}
			if err := s.ours(c.Flags().Changed); err != nil {
				return usage{err}
			}
			if err := s.contain(); err != nil {
				return usage{err}
			}
			return s.each(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar((*string)(&s.runtime), "runtime", "auto", "where the stack is placed: auto, containers or embedded")
	f.StringSliceVar(&s.ingresses, "ingress", stack.Flavours()[:1], "what stands before the service, one after the other: "+strings.Join(stack.Flavours(), ", "))
	f.StringVar(&s.service.Image, "service-image", "", "image under test, in the place of the reference service")
	f.StringVar(&s.alertRules, "alert-rules", "", "rule file of the team's own, for the stack's Prometheus to load in the place of ours; needs containers")
	f.BoolVar(&s.ha, "ha", false, "make Vault three nodes on raft behind one address; needs containers")
	f.StringVar(&s.out, "out", "build/signoff", "directory of the sign-off")
	f.StringSliceVar(&s.only, "only", nil, "judge only these: IDs, areas, chapters, levels or effects; a sign-off that is there stays, and this run makes none")
	f.StringVar(&s.shard, "shard", "", "judge only this part, i/n, of the catalogue; conformance merge makes one sign-off of all")
	f.StringVar(&s.done, "done", "", "file that is written last, with the path of junit.xml in it: Sonobuoy waits for one")
	f.BoolVar(&s.dry, "dry-run", false, "start nothing, and show what would be judged; the sign-off is then INVALID")
	f.BoolVarP(&s.verbose, "verbose", "v", false, "show the components' own output, and every finding")
	f.IntVar(&s.concurrency, "concurrency", 8, "requests at once")
	f.StringVar(&s.claim, "claim", "", "what the sign-off claims to have seen: core, or full (default claim: of the configuration; else core for a live target, full for a stack)")
	s.output.flag(c)
	s.waiving.flags(f)
	complete(c, map[string]completion{"only": labelled, "claim": oneOf(words(signoff.Claims)...), "runtime": oneOf("auto", "containers", "embedded"), "ingress": oneOf(stack.Flavours()...)})
	s.from.flags(c)
	f.Lookup("config").Usage = "the configuration of a live target (default $" + config.ConfigVariable + "); without one a stack is started"
	f.StringVar(&s.allow, "allow", "", "with --config: the strongest effect on the target: auth-failures (the default), writes or disruptive")
	return c
}

// ownStack are the flags that only a stack of ours has: whoever gives one means one.
var ownStack = []string{"runtime", "ingress", "service-image", "alert-rules", "ha"}

// ours makes sure that a stack of ours is meant, and not the target that a file
// beside us describes.
func (s *session) ours(given func(flag string) bool) error {
	switch {
	case s.allow != "":
		return errors.New("--allow is for a live target: --config " + usualConfig + " names one")
	case len(s.from.set) > 0:
		return errors.New("--set is for a live target: --config " + usualConfig + " names one")
	}
	s.asked = given("runtime") && (s.runtime != stack.Auto || os.Getenv("CI") == "")
	if _, err := os.Stat(usualConfig); err == nil && !slices.ContainsFunc(ownStack, given) {
		return fmt.Errorf("there is a %s here, and nothing says what is to be judged: conformance run --config %s holds what it describes against the runbook; "+
			"conformance run --runtime auto starts a stack of its own", usualConfig, usualConfig)
	}
	return nil
}

// placing tells of a step of a start. What an embedded stack makes of the run is
// said before all else.
func (s *session) placing(line string) {
	if strings.HasPrefix(line, string(stack.Embedded)+": ") {
		line = "rehearsal, no release evidence: " + line
	}
	s.console.step(line)
}

// last is what is said at the end of a run that has ended well or not: of a
// rehearsal, that it was one.
func (s *session) last() {
	switch {
	case s.record.Verdict != signoff.Rehearsed:
	case s.asked:
		s.console.step("rehearsed, in one process: no release evidence. make images, and then conformance run --runtime containers, would judge real parts")
	default:
		s.console.step(fmt.Sprintf("rehearsed, and nobody asked for a rehearsal (exit status %d): --runtime containers says what containers lack; "+
			"--runtime embedded asks for a rehearsal, and so does --runtime auto where CI is not set", exitIncomplete))
	}
}

// contain places in containers what stands nowhere else, and reads the team's rule
// file.
func (s *session) contain() (err error) {
	for _, only := range []struct {
		asked      bool
		flag, lack string
	}{
		{s.alertRules != "", "--alert-rules", "nothing watches the embedded stack"},
		{s.ha, "--ha", "the embedded Vault is one node"},
	} {
		switch {
		case !only.asked:
		case s.runtime == stack.Embedded:
			return fmt.Errorf("%s: %s: use --runtime containers", only.flag, only.lack)
		case s.runtime == stack.Auto:
			s.runtime = stack.Containers
		}
	}
	if s.alertRules == "" {
		return nil
	}
	if s.rules, err = readRules(s.alertRules); err != nil {
		return fmt.Errorf("--alert-rules: %w", err)
	}
	return nil
}

func (s *session) run(ctx context.Context) error {
	selected, err := choose(suites.All(), s.only)
	if err != nil {
		return usage{err}
	}
	if selected, err = s.part(selected); err != nil {
		return usage{err}
	}
	if err := stack.Known(s.runtime); err != nil {
		return usage{err}
	}
	if err := stack.KnownService(s.runtime, s.service); err != nil {
		return usage{err}
	}
	if s.concurrency < 1 {
		return usage{fmt.Errorf("--concurrency %d: want 1 or more", s.concurrency)}
	}
	if err := signoff.Writable(s.out); err != nil {
		return usage{err}
	}
	in := suites.Input("", run.NewID(), time.Now())
	in.Waivers, in.Claim = s.waivers, s.claimed()
	in.Filter, in.DryRun, in.Config = strings.Join(s.only, ","), s.dry, s.config
	in.Rerun = s.again
	for _, x := range selected {
		in.Selected = append(in.Selected, x.ID)
	}
	judge := s.judge
	if s.loaded != nil {
		judge = s.judgeLive
	}
	if !s.dry {
		if err := judge(ctx, &in, selected); err != nil {
			return s.outdate(in.Run, err)
		}
	}
	return s.conclude(in)
}

// knownClaim refuses a claim that nobody can make.
func knownClaim(claim string) error {
	if claim != "" && !slices.Contains(signoff.Claims, signoff.Claim(claim)) {
		return fmt.Errorf("--claim %q: want %s", claim, strings.Join(words(signoff.Claims), " or "))
	}
	return nil
}

// claimed is what the sign-off claims.
func (s *session) claimed() signoff.Claim {
	if s.loaded != nil {
		return signoff.ClaimFor(harness.Live, s.claim, s.loaded.Claim)
	}
	return signoff.ClaimFor(harness.SelfTest, s.claim, s.declared)
}

// judge starts the stack and holds it against the expectations.
func (s *session) judge(ctx context.Context, in *signoff.Input, selected []harness.Expectation) error {
	started, err := stack.Start(ctx, stack.Spec{Runtime: s.runtime, Ingress: s.ingress, Service: s.service, HA: s.ha, Rules: s.rules, Run: in.Run, Progress: s.placing, Log: s.log(), Met: secrets.Register})
	if err != nil && ctx.Err() == nil {
		return err
	}
	if err != nil {
		in.Interrupted = cause(ctx)
		return nil
	}
	defer s.stop(started)
	in.Target, s.kind = started.Target, started.Target.Kind
	suites.Register(&secrets, started.Target)
	engine := run.New(started.Target, run.Options{Concurrency: s.concurrency, Met: secrets.Register, RetryAfter: time.Minute})
	defer engine.Close()
	s.console.begin(selected)
	in.Findings = engine.All(ctx, selected, s.console.finding)
	in.Conduct = engine.Conduct()
	if ctx.Err() != nil {
		in.Interrupted = cause(ctx)
	}
	return nil
}

// stop ends the stack within a bound of its own: the run's context may have
// ended.
func (s *session) stop(started *stack.Stack) (clean bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := started.Stop(ctx); err != nil {
		s.console.step("stopping the stack: " + err.Error() + " (conformance sweep removes what is left)")
		return false
	}
	return true
}

// conclude writes the sign-off and says it.
func (s *session) conclude(in signoff.Input) error {
	in.Ended = time.Now()
	return s.publish(signoff.Conclude(in))
}

// program is how a command line of ours begins.
const program = "conformance"

// again is the command that judges one expectation alone, of the same target: a live run
// is told its configuration again, so that no stack of ours takes its place.
func (s *session) again(id string) string {
	words := []string{program, "run"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, shellWord(value))
		}
	}
	switch {
	case s.loaded != nil:
		add("--config", s.loaded.Source)
		for _, set := range s.from.set {
			add("--set", set)
		}
	case s.config != nil:
		add("--config", s.config.File)
	default:
		add("--runtime", string(s.placed()))
		if s.ingress != stack.Flavours()[0] {
			add("--ingress", s.ingress)
		}
		add("--service-image", s.service.Image)
		add("--alert-rules", s.alertRules)
		if s.ha {
			words = append(words, "--ha")
		}
	}
	add("--only", id)
	return strings.Join(words, " ")
}

// placed is the runtime that the stack was placed in; before it starts, the one asked for.
func (s *session) placed() stack.Runtime {
	if s.kind == harness.Rehearsal {
		return stack.Embedded
	}
	if s.kind != "" {
		return stack.Containers
	}
	return s.runtime
}

// shellWord is a text as one word of a shell's.
func shellWord(text string) string {
	if !strings.ContainsFunc(text, func(c rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+", c)
	}) && text != "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// since compares a record with the sign-off that stood in its place, where that was of the
// same target and of the whole catalogue too.
func (s *session) since(r signoff.Record) *signoff.Diff {
	last, _, err := signoff.Load(s.out)
	if err != nil || last.Kind != r.Kind || last.Target.Name != r.Target.Name || r.Selection.Filter != "" || r.Selection.DryRun ||
		last.Selection.Filter != "" || last.Selection.DryRun || last.Run == r.Run {
		return nil
	}
	diff := signoff.Compare(last, r)
	return &diff
}

// publish writes a record with all that is made of it, and says it.
func (s *session) publish(record signoff.Record) error {
	record.Since = s.since(record)
	s.record = secrets.Clean(record)
	kept := s.record.Overwrites(s.out)
	if !kept {
		files, err := report.Files(s.record)
		if err != nil {
			return s.outdate(record.Run, fmt.Errorf("rendering the sign-off: %w", err))
		}
		if err := signoff.Publish(s.out, files, &secrets); err != nil {
			return s.outdate(record.Run, err)
		}
	}
	held := s.looked()
	if err := s.console.conclude(s.record, s.out, held, kept); err != nil {
		return err
	}
	if err := s.told(); err != nil {
		return err
	}
	s.last()
	if held != "" {
		return nil
	}
	if code := s.record.ExitStatusIf(s.asked); code != exitPass {
		return status(code)
	}
	return nil
}

// outdate marks an earlier sign-off as old, where a run ended without one of its own:
// nobody is to take it for this run's. It gives the run's error.
func (s *session) outdate(run string, why error) error {
	marked, err := signoff.Outdate(s.out, run, secrets.Redact(why.Error()))
	if marked {
		s.console.step(fmt.Sprintf("the earlier sign-off in %s is marked as old: %s says why", s.out, signoff.OutdatedName))
	}
	return errors.Join(why, err)
}

// looked says that all that was selected by --only holds; empty where that is not so,
// or where less was selected in another way.
func (s *session) looked() string {
	r := s.record
	hold, of := r.Selected()
	whole := r.Selection.Filter == "" || r.Selection.DryRun || s.shard != ""
	alone := len(r.Reasons) == 1 // that it was filtered
	if whole || !alone || hold < of || of == 0 || r.Kind == "" || r.Kind == harness.Rehearsal && !s.asked {
		return ""
	}
	return fmt.Sprintf("%d of %d selected hold; no sign-off, as it was filtered", hold, of)
}

func (s *session) log() io.Writer {
	if s.verbose {
		return secrets.Writer(os.Stderr)
	}
	return nil
}

// cause is what ended a context, in words.
func cause(ctx context.Context) string {
	if err := context.Cause(ctx); err != context.Canceled { // a signal wraps it, and says more
		return err.Error()
	}
	return "cancelled"
}
