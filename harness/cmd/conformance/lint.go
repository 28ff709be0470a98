package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint"
	"aegis.test/conformance/harness/saved"
	"aegis.test/conformance/harness/signoff"
)

// lintFormats are the ways to tell what lint has found.
var lintFormats = []string{"text", "json", "sarif"}

func lintCommand() *cobra.Command {
	var format, out string
	var modes []string
	var listed, all bool
	var o lint.Options
	c := &cobra.Command{
		Use: "lint PATH…", Short: "hold what a team commits to the runbook, before anything runs",
		Long: `lint reads files and folders, asks nobody, and holds what they say to the runbook:

  *.yaml, *.yml, *.json   Kubernetes manifests, by the types of its API: a field that a kind
                          does not have is an error; Vault injector and CSI annotations,
                          ingress-nginx's annotations; roles of Vault's Kubernetes auth
  *.hcl, *.json           Vault policies, by Vault's own parser
  nginx.conf, *.conf      nginx, with what it includes from the same folder
  haproxy.cfg, *.cfg      HAProxy
  Caddyfile, *.caddyfile  Caddy, with what it imports from the same folder
  envoy.yaml, *.yaml      a bootstrap of Envoy's, by the types of its API
  *.yaml, *.yml           Prometheus's rule files and the operator's PrometheusRule: each alert is
                          tried on an incident by Prometheus's own engine
  *.pem, *.crt, *.key     certificates and private keys, as generate_certs.sh leaves them

Files are read together: the header that the ingress sets is held to MTLS_ID_HEADER, the
paths of annotations to the policies. Name all of a release in one call. A template of
Helm's or Kustomize's patches say nothing by themselves: render them first
(helm template, kubectl kustomize), and give what comes out.

In a folder, files of no known kind are passed over and counted (--all lists them); a file
that you name must be known. Symbolic links are not followed, files over 8 MiB not read.

A finding has file:line:column, rule, what was got and wanted, the remedy and the clause.
It says nothing of what is deployed: what lint does not find has passed nowhere. conformance
release --lint puts what --format json wrote into a release's record, as a part of its own.

Exit status: 0 no finding at MUST, 1 a finding at MUST, 2 a file could not be read, or a
mistake in the command line, 3 nothing was read that a rule is about, or something that is
not among the files decides.`,
		Example: "  conformance lint deploy/ policies/ nginx.conf\n  helm template chart | conformance lint --mode mtls -\n" +
			"  conformance lint --format sarif --out lint.sarif deploy/\n  conformance lint --list",
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case listed:
				return tell(c, lintRules())
			case len(args) == 0:
				return usage{errors.New("lint wants a path: a file or a folder of what you commit (lint --list prints the rules)")}
			}
			if err := lintOptions(&o, modes, format); err != nil {
				return usage{err}
			}
			return lintPaths(c, args, o, format, out, all)
		},
	}
	f := c.Flags()
	f.BoolVar(&listed, "list", false, "print the rules")
	f.BoolVar(&all, "all", false, "list what was passed over, too")
	f.StringVar(&format, "format", "text", "how to tell: "+strings.Join(lintFormats, ", "))
	f.StringVar(&out, "out", "", "write to this file, not to the standard output")
	f.StringSliceVar(&modes, "mode", nil, "the modes of the release, oidc or mtls: what the manifests declare where it is not given")
	f.StringVar(&o.IDHeader, "id-header", "", "the identity header: what the manifests declare where it is not given")
	f.StringSliceVar(&o.Only, "only", nil, "only these rules")
	complete(c, map[string]completion{"format": oneOf(lintFormats...), "mode": oneOf(words(lintModes)...), "only": oneOf(ruleIDs()...)})
	return c
}

// lintModes are the modes that a release may run in.
var lintModes = []harness.Mode{harness.OIDC, harness.MTLS}

func ruleIDs() []string {
	var ids []string
	for _, r := range lint.Rules() {
		ids = append(ids, r.ID)
	}
	return ids
}

// lintOptions checks what was said in flags.
func lintOptions(o *lint.Options, modes []string, format string) error {
	if !slices.Contains(lintFormats, format) {
		return fmt.Errorf("--format %q%s: want %s", format, suggested(format, lintFormats), strings.Join(lintFormats, ", "))
	}
	for _, m := range modes {
		if !slices.Contains(lintModes, harness.Mode(m)) {
			return fmt.Errorf("--mode %q%s: want oidc or mtls", m, suggested(m, words(lintModes)))
		}
		o.Modes = append(o.Modes, harness.Mode(m))
	}
	for _, id := range o.Only {
		if !slices.Contains(ruleIDs(), id) {
			return fmt.Errorf("--only %q%s: lint --list prints the rules", id, suggested(id, ruleIDs()))
		}
	}
	return nil
}

// lintPaths reads, tells, and gives the exit status.
func lintPaths(c *cobra.Command, paths []string, o lint.Options, format, out string, all bool) error {
	o.Stdin = c.InOrStdin()
	done := make(chan *lint.Result, 1)
	go func() { done <- lint.Run(paths, o) }()
	var r *lint.Result
	select {
	case r = <-done:
	case <-c.Context().Done(): // what a parser does cannot be interrupted; the process ends
		return fmt.Errorf("reading %s: %w", strings.Join(paths, " "), c.Context().Err())
	}
	text, err := lintTold(r, format, all)
	if err != nil {
		return err
	}
	if out != "" {
		if err := os.WriteFile(out, []byte(text+"\n"), 0o644); err != nil {
			return usage{fmt.Errorf("--out: %w", err)}
		}
		fmt.Fprintln(c.ErrOrStderr(), r.Summary())
	} else if err := tell(c, text); err != nil {
		return err
	}
	if n := r.Exit(); n != exitPass {
		return status(n)
	}
	return nil
}

func lintTold(r *lint.Result, format string, all bool) (string, error) {
	switch format {
	case "json":
		data, err := lint.JSON(r, time.Now())
		return string(data), err
	case "sarif":
		data, err := lint.SARIF(r, clause)
		return string(data), err
	default:
		return strings.TrimSuffix(lint.Text(r, clause, all), "\n"), nil
	}
}

// committed is what lint wrote, as a part of a release's record; nil where no file is
// named.
func committed(path string) (*signoff.Committed, error) {
	if path == "" {
		return nil, nil
	}
	data, err := saved.File(path)
	if err != nil {
		return nil, fmt.Errorf("--lint: %w", err)
	}
	s, err := lint.Load(data)
	if err != nil {
		return nil, fmt.Errorf("--lint: %s: %w", path, err)
	}
	sum := sha256.Sum256(data)
	c := &signoff.Committed{Harness: s.Harness, Digest: "sha256:" + hex.EncodeToString(sum[:]), At: s.At, Summary: s.Summary,
		Findings: []signoff.CommittedFinding{}, Unread: []string{}}
	for _, f := range s.Findings {
		c.Findings = append(c.Findings, signoff.CommittedFinding{At: f.Place.String(), Rule: f.Rule, Level: f.Level, Clauses: f.Clauses,
			Got: f.Got, Want: f.Want, Remedy: f.Remedy})
	}
	for _, n := range slices.Concat(s.Unreadable, s.Undecided) {
		c.Unread = append(c.Unread, n.Place.String()+": "+n.What)
	}
	return c, nil
}

// lintRules lists the rules, a line each.
func lintRules() string {
	var b strings.Builder
	for _, r := range lint.Rules() {
		fmt.Fprintf(&b, "%s %-6s %-12s %s (runbook %s)\n", r.ID, r.Level, r.Kind, r.Says, strings.Join(r.Clauses, ", "))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
