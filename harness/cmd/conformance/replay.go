package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/run"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
)

func replayCommand() *cobra.Command {
	s := session{concurrency: 8}
	c := &cobra.Command{
		Use: "replay SIGNOFF ID...", Short: "send a finding's requests again at the same target, and show then and now side by side",
		Long: `replay judges expectations of a live sign-off again, at the target that it was of, with
the configuration that is given, and shows what was seen then beside what is seen now.
It refuses where the configuration is of another target. Nothing is written: the sign-off
stays as it is.

Exit status: 0 it holds now, 1 it fails now, 3 it was not seen now, 2 usage.`,
		Example: "  conformance replay build/signoff OIDC-005 --config staging.yaml",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage{fmt.Errorf("%s takes a record, or the directory that holds it, and one ID or more, got %d arguments",
					c.CommandPath(), len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) (err error) {
			record, _, err := signoff.Load(args[0])
			if err != nil {
				return usage{err}
			}
			then, err := findings(record, args[1:])
			if err != nil {
				return usage{err}
			}
			if s.console, err = newConsole(c, asText, false); err != nil {
				return err
			}
			s.console.out = c.ErrOrStderr() // progress
			if err := s.aim(record, then[0]); err != nil {
				return err
			}
			now, err := s.look(c.Context(), args[1:])
			if err != nil {
				return err
			}
			return thenAndNow(c.OutOrStdout(), record, then, secrets.Clean(now))
		},
	}
	s.from.flags(c)
	c.Flags().StringVar(&s.allow, "allow", "", "the strongest effect on the target: auth-failures (the default), writes or disruptive")
	return c
}

// findings are those of a record, by ID.
func findings(r signoff.Record, ids []string) ([]signoff.Finding, error) {
	var found []signoff.Finding
	for _, id := range ids {
		i := slices.IndexFunc(r.Findings, func(f signoff.Finding) bool { return strings.EqualFold(f.ID, id) })
		if i < 0 {
			var known []string
			for _, f := range r.Findings {
				known = append(known, f.ID)
			}
			return nil, fmt.Errorf("the sign-off of run %s has no %q%s", r.Run, id, suggested(id, known))
		}
		found = append(found, r.Findings[i])
	}
	return found, nil
}

// aim takes the target of the record, as the configuration has it: the same by name and by
// the addresses of its faces.
func (s *session) aim(r signoff.Record, first signoff.Finding) error {
	if r.Kind != harness.Live {
		return usage{fmt.Errorf("run %s was a %s, of a stack that has ended: %s starts one anew", r.Run, r.Kind, report.Line(first.Rerun))}
	}
	if s.allow != "" {
		s.from.set = append(s.from.set, "rails.allow="+s.allow)
	}
	all, err := s.from.load()
	if err != nil {
		return err
	}
	var wrong []string
	for i, l := range all {
		if why := differs(r, l); why != "" {
			wrong = append(wrong, why)
			continue
		}
		s.loaded = &all[i]
		return nil
	}
	return usage{fmt.Errorf("%s is of another target than run %s: %s", all[0].Source, r.Run, strings.Join(wrong, "; "))}
}

// differs says how a configuration's target is another than a record's; empty where it is
// the same.
func differs(r signoff.Record, l config.Loaded) string {
	if name := l.Target.Called(); name != r.Target.Name {
		return fmt.Sprintf("it names %q, the sign-off is of %q", name, r.Target.Name)
	}
	var urls []string
	for _, at := range []string{l.Target.URL, l.Target.MTLSURL} {
		if at != "" {
			urls = append(urls, at)
		}
	}
	for _, mode := range slices.Sorted(slices.Values(r.Target.Modes)) {
		if at := r.Target.URLs[mode]; at != "" && !slices.Contains(urls, at) {
			return fmt.Sprintf("its face of mode %s was %s, which the configuration does not have", mode, at)
		}
	}
	return ""
}

// look judges a few expectations at a live target, and makes a record that is written
// nowhere.
func (s *session) look(ctx context.Context, ids []string) (signoff.Record, error) {
	selected, err := choose(suites.All(), ids)
	if err != nil {
		return signoff.Record{}, usage{err}
	}
	in := suites.Input(harness.Live, run.NewID(), time.Now())
	in.Filter, in.Rerun, in.Claim = strings.Join(ids, ","), s.again, s.claimed()
	for _, x := range selected {
		in.Selected = append(in.Selected, x.ID)
	}
	if err := s.judgeLive(ctx, &in, selected); err != nil {
		return signoff.Record{}, err
	}
	if in.Interrupted != "" {
		return signoff.Record{}, errors.Join(errors.New("looking again was interrupted: "+in.Interrupted), ctx.Err())
	}
	in.Ended = time.Now()
	return signoff.Conclude(in), nil
}

// thenAndNow tells what was seen then and what is seen now, and ends as what is seen now does.
func thenAndNow(out io.Writer, record signoff.Record, then []signoff.Finding, now signoff.Record) error {
	code := exitPass
	if record.Catalogue.Digest != now.Catalogue.Digest {
		_, _ = fmt.Fprintln(out, "note: the catalogue is another than then; the rule may be worded or sent otherwise")
	}
	for _, was := range then {
		is, err := findings(now, []string{was.ID})
		if err != nil {
			return usage{err}
		}
		_, _ = io.WriteString(out, compared(record, was, now, is[0]))
		switch {
		case is[0].Verdict == harness.Fail:
			code = exitFail
		case is[0].Verdict != harness.Pass && is[0].Verdict != harness.NotApplicable && code == exitPass:
			code = exitIncomplete
		}
	}
	if code != exitPass {
		return status(code)
	}
	return nil
}

// compared is one expectation then and now: its verdicts, and each request with both answers.
func compared(record signoff.Record, was signoff.Finding, now signoff.Record, is signoff.Finding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", was.ID, report.Line(was.Title))
	for _, side := range []struct {
		word string
		at   time.Time
		run  string
		f    signoff.Finding
	}{{"then", record.Ended, record.Run, was}, {"now", now.Ended, now.Run, is}} {
		fmt.Fprintf(&b, "  %-5s %s  %s, run %s\n", side.word, side.at.UTC().Format("2006-01-02 15:04:05Z"), sayVerdict(side.f), side.run)
	}
	answers := map[string]string{}
	for _, e := range is.Evidence {
		if key := request(e); answers[key] == "" {
			answers[key] = e.Response
		}
	}
	for _, e := range was.Evidence {
		key := request(e)
		answer, known := answers[key]
		delete(answers, key)
		if !known {
			answer = "not among the evidence kept"
		}
		fmt.Fprintf(&b, "  %s\n    then  %s\n    now   %s\n", report.Line(key), report.Line(e.Response), report.Line(answer))
	}
	fmt.Fprintf(&b, "  %s\n", outcomeOf(was, is))
	return b.String()
}

// request names a request: those of one name are the same request.
func request(e harness.Evidence) string {
	words := e.Request
	if e.Variant != "" && !strings.HasSuffix(e.Request, e.Variant) {
		words += " (" + e.Variant + ")"
	}
	if e.Control {
		return "control: " + words
	}
	return words
}

func sayVerdict(f signoff.Finding) string {
	text := string(f.Verdict)
	if f.Bucket != "" {
		text += " (" + string(f.Bucket) + ")"
	}
	if why := f.Reason; why != "" {
		text += ": " + report.Line(why)
	}
	return text
}

// outcomeOf says what became of a finding.
func outcomeOf(was, is signoff.Finding) string {
	switch {
	case is.Verdict == harness.Fail && was.Verdict == harness.Fail:
		return "shown again"
	case is.Verdict == harness.Fail:
		return "it fails now, and did not then"
	case is.Verdict == harness.Pass && was.Verdict == harness.Fail:
		return "it failed, and holds now"
	case is.Verdict == harness.Pass:
		return "it holds now"
	default:
		return "it was not seen now, so nothing is said of it"
	}
}
