package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"aegis.test/conformance/harness/config"
)

// usualConfig is where the configuration is looked for when nothing says where
// it is.
const usualConfig = "staging.yaml"

// sources are the flags by which a command is told of a configuration.
type sources struct {
	path string
	set  []string
}

func (s *sources) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.path, "config", "", "the target's configuration (default $"+config.ConfigVariable+", or "+usualConfig+")")
	c.Flags().StringArrayVar(&s.set, "set", nil, "override one value: --set target.url=https://...; may be given again")
}

// errNoConfig is the error of a command that needs a configuration and is told
// of none.
var errNoConfig = errors.New("there is no configuration: --config FILE names one, and conformance init writes " + usualConfig)

// load reads the configuration.
func (s sources) load() ([]config.Loaded, error) {
	path := s.path
	if path == "" {
		path = config.Read(os.Getenv, "").Config
	}
	if path == "" {
		path = usualConfig
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, usage{errNoConfig}
		}
	}
	all, err := config.Load(config.Sources{Path: path, Environ: os.Environ(), Set: s.set})
	if err != nil {
		return nil, usage{err}
	}
	return all, nil
}

func initCommand() *cobra.Command {
	force := false
	c := &cobra.Command{
		Use: "init [FILE]", Short: "write a commented " + usualConfig + " to begin with",
		Long: `init writes a commented configuration of a live target: where it is, what it
declares and what it grants. Examples for other situations are in suites/examples.`,
		Example: "  conformance init\n  conformance init eu.yaml",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage{fmt.Errorf("init takes one file at most, got %d arguments", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			path := usualConfig
			if len(args) == 1 {
				path = args[0]
			}
			if err := begin(path, force); err != nil {
				return usage{err}
			}
			return tell(c, path+": fill it in, then conformance plan --config "+path+" shows what would run")
		},
	}
	c.Flags().BoolVar(&force, "force", false, "overwrite a file that is there")
	return c
}

// begin writes the beginning of a configuration where nothing is.
func begin(path string, force bool) error {
	how := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		how = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(path, how, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("writing %s: it is there already: --force overwrites it", path)
	}
	if err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	_, err = file.WriteString(config.Beginning)
	return errors.Join(err, file.Close())
}

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "print the JSON Schema of " + usualConfig, Args: none,
		Example: "  conformance schema > staging.schema.json",
		RunE: func(c *cobra.Command, _ []string) error {
			schema, err := config.Schema()
			if err != nil {
				return err
			}
			return tell(c, string(schema))
		},
	}
}

func configCommand() *cobra.Command {
	var from sources
	c := &cobra.Command{
		Use: "config", Short: "print the configuration as it holds, and where each value came from", Args: none,
		Long: `config reads the configuration, the environment (CONFORMANCE_TARGET_URL overrides
target.url) and --set, in this order, and prints what holds. What a reference
names is shown as dots.`,
		Example: "  conformance config --config staging.yaml\n  CONFORMANCE_RAILS_RATE=2 conformance config --set target.url=https://eu.aegis.staging.example",
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := from.load()
			if err != nil {
				return err
			}
			for _, l := range all {
				if len(all) > 1 {
					_ = tell(c, "# "+l.Target.Name)
				}
				if err := tell(c, l.Effective()); err != nil {
					return err
				}
			}
			return nil
		},
	}
	from.flags(c)
	return c
}
