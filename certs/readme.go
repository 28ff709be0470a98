package certs

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// readme is the README.txt beside the files.
func readme(o WriteOptions, a *Authority, personas []Persona, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, readmeHead, stamp(now), o.EnrolledCN, o.UnenrolledCN)
	fmt.Fprintf(&b, "ca.pem\n    The authority %q, valid until %s. Its key was thrown away.\n\n", o.Authority, stamp(a.root.NotAfter))
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILES\tEXPECT\tCOMMON NAME\tVALID FROM\tUNTIL")
	for _, p := range personas {
		c := p.Pair.Certificate
		fmt.Fprintf(table, "%s.pem, .key\t%s\t%q\t%s\t%s\n", p.Name, p.Expect, c.Subject.CommonName, stamp(c.NotBefore), stamp(c.NotAfter))
	}
	_ = table.Flush() // a strings.Builder takes everything
	b.WriteString("\n")
	for _, p := range personas {
		fmt.Fprintf(&b, "%s: %s.\n", p.Name, p.Says)
	}
	b.WriteString(readmeTail)
	return b.String()
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

const readmeHead = `Client certificates for trying an mTLS ingress by hand (runbook section 4)
Made by conformance certs at %s. For staging only.

Set the stage:
1. Give the ingress ca.pem as its client CA. In nginx:
     ssl_client_certificate ca.pem; ssl_verify_client on; ssl_verify_depth 2;
2. Put %q on the enrolment list (clients/allowed in aegis/runtime), and not
   %q.

The certificates last a day. conformance certs --force makes new ones, of a new
authority: then step 1 again.

NAME.pem is a certificate with the intermediates to send, NAME.key its key.

`

const readmeTail = `
EXPECT is the answer of a sound stack: 200 is served; 403 is verified and not
enrolled; refused is 401, or what your ingress is declared to answer instead:
400, or a TLS alert. From its VALID FROM on, not-yet-valid is sound: make it anew.

Try one, from this directory (--cacert names the CA of the ingress's own server
certificate; leave it out if that one is publicly trusted):

  curl --cert enrolled.pem --key enrolled.key --cacert SERVER-CA.pem \
    -H 'Content-Type: application/json' -d '{}' https://STAGING-HOST/predict

No certificate at all must be refused too: leave out --cert and --key.
A refusal counts only if enrolled.pem gets 200 right before and right after it.
`
