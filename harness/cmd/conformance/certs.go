package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"aegis.test/conformance/certs"
)

func certsCommand() *cobra.Command {
	var out string
	var o certs.WriteOptions
	c := &cobra.Command{
		Use: "certs --out DIR", Short: "write an authority and a client certificate per persona", Args: none,
		Long: `certs mints an authority and one client certificate per persona: enrolled,
unenrolled, expired, of a look-alike authority, and so on. README.txt beside
them says what each is for. Keys are written with mode 0600.`,
		Example: "  conformance certs --out build/certs\n  conformance certs --out build/certs --enrolled payments --force",
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				return usage{fmt.Errorf("certs needs --out DIR: where to write")}
			}
			files, err := certs.Write(out, o)
			if err != nil {
				return usage{err}
			}
			for _, f := range files {
				if err := tell(c, fmt.Sprintf("%-40s %s", filepath.Clean(f.Path), f.Says)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "directory to write to")
	c.Flags().BoolVar(&o.Force, "force", false, "overwrite files of an earlier call")
	c.Flags().StringVar(&o.EnrolledCN, "enrolled", "", "common name of the enrolled client (default "+certs.DefaultEnrolled+")")
	c.Flags().StringVar(&o.UnenrolledCN, "unenrolled", "", "common name of the client that is not enrolled (default "+certs.DefaultUnenrolled+")")
	return c
}
