// Command conformance holds an Aegis deployment against its runbook.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	_ "golang.org/x/crypto/x509roots/fallback" // authorities where the system knows none: in our image

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/harness/stack"
)

// Exit statuses (design section 7).
const (
	exitPass        = 0
	exitFail        = 1
	exitUsage       = 2
	exitIncomplete  = 3
	exitEnvironment = 4
	exitInternal    = 5
)

// status is an error that is only an exit status: what there was to say has
// been said.
type status int

func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// usage is a mistake in the command line.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// secrets are what this process has met, and must not show.
var secrets signoff.Redactor

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	os.Exit(exit(err))
}

// exit says an error and gives its status.
func exit(err error) int {
	var said status
	if err == nil {
		return exitPass
	}
	if errors.As(err, &said) {
		return int(said)
	}
	fmt.Fprintln(os.Stderr, "conformance: "+secrets.Redact(err.Error()))
	var mistake usage
	var environment *stack.EnvironmentError
	var unwritten signoff.Unwritten
	var leak signoff.Leak
	switch {
	case errors.As(err, &mistake):
		return exitUsage
	case errors.As(err, &environment), errors.As(err, &unwritten):
		return exitEnvironment
	case errors.As(err, &leak):
		return exitInternal
	default:
		return exitInternal
	}
}

// newcomer is what the program says when it is asked for nothing: three commands.
const newcomer = `conformance holds an Aegis deployment against its runbook, and writes a release
sign-off: may this build go to production with authentication enforced?

  conformance run --runtime embedded   try it here, in process: no engine, no network
  conformance run                      judge a stack in containers; read build/signoff/signoff.html
  conformance explain OIDC-005         what an expectation requires, and which faults prove it

conformance --help lists every command; conformance completion --help, how your shell completes them.`

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "conformance",
		Short: "hold an Aegis deployment against its runbook, and write a release sign-off",
		Long: `conformance holds an Aegis deployment against its runbook: secrets from Vault,
and OIDC or mTLS on every critical endpoint.

  conformance run             start a stack, judge every expectation, write a sign-off
  conformance run --config staging.yaml
                              the same for a deployment that is there; init, plan
                              and doctor come before
  conformance release         make one sign-off of the image's run and staging's
  conformance explain ID      what one expectation requires, and which faults prove it
  conformance faults          plant the seeded faults, and see each of them caught

Exit status: 0 pass, 1 fail, 2 usage, 3 incomplete or invalid, 4 environment
(no engine, no image, a full disk), 5 internal error, or a leak that was prevented.`,
		SilenceErrors: true, SilenceUsage: true,
		Version: harness.Version,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage{fmt.Errorf("no command %q%s: %s --help lists them", args[0], suggested(args[0], commandNames(c)), c.Name())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return tell(c, newcomer) },
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage{fmt.Errorf("%w%s: %s --help lists the flags", err, nearestFlag(c, err), c.CommandPath())}
	})
	c.AddCommand(runCommand(), mergeCommand(), releaseCommand(), listCommand(), explainCommand(), faultsCommand(), certsCommand(),
		imagesCommand(), soakCommand(), sweepCommand(), versionCommand())
	c.AddCommand(initCommand(), schemaCommand(), configCommand(), planCommand(), doctorCommand())
	c.AddCommand(reportCommand(), replayCommand(), watchCommand(), signoffCommand(), waiversCommand(), signCommand(), verifyCommand(), diffCommand(), lintCommand())
	return c
}

// suggested is the known word that differs least, as a question.
func suggested(word string, known []string) string {
	if near := harness.Nearest(word, known); near != "" {
		return fmt.Sprintf(" (did you mean %s?)", near)
	}
	return ""
}

func commandNames(c *cobra.Command) []string {
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, sub.Name())
	}
	return names
}

// nearestFlag suggests a flag where one is not known.
func nearestFlag(c *cobra.Command, err error) string {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return ""
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return suggested("--"+unknown.GetSpecifiedName(), names)
}

// exactly is cobra.ExactArgs with our exit status.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usage{fmt.Errorf("%s takes %s, got %d arguments", c.CommandPath(), what, len(args))}
		}
		return nil
	}
}

// none is for commands without arguments.
var none = exactly(0, "no arguments")

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the harness's version and the catalogue's digest", Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			return tell(c, versionText())
		},
	}
}

// tell prints to the command's output.
func tell(c *cobra.Command, text string) error {
	_, err := fmt.Fprintln(c.OutOrStdout(), text)
	return err
}

// say prints prose to the command's output, broken between words where a terminal is narrow.
func say(c *cobra.Command, text string) error {
	return tell(c, report.Wrap(text, columns(c.OutOrStdout())))
}
