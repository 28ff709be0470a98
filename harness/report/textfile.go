package report

import (
	"fmt"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
)

// watched is every verdict that a sign-off may have.
var watched = []signoff.Verdict{signoff.Passed, signoff.WithWaivers, signoff.Incomplete, signoff.Failed, signoff.Invalid}

// Textfile tells the latest look of a watch as Prometheus' node exporter collects it
// (textfile collector). Labels are the target, a verdict and a bucket: of a bounded set each.
func Textfile(target string, p Point, changes int) []byte {
	var b strings.Builder
	of := `target="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(target) + `"`
	family := func(name, kind, help string) { fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", name, help, kind) }
	up := 0
	if p.Verdict != "" {
		up = 1
	}
	family("aegis_conformance_up", "gauge", "1 where the last look gave a verdict.")
	fmt.Fprintf(&b, "aegis_conformance_up{%s} %d\n", of, up)
	family("aegis_conformance_last_look_timestamp_seconds", "gauge", "When the last look ended.")
	fmt.Fprintf(&b, "aegis_conformance_last_look_timestamp_seconds{%s} %d\n", of, p.At.Unix())
	family("aegis_conformance_changes_total", "counter", "Expectations that changed and stayed so at a second look.")
	fmt.Fprintf(&b, "aegis_conformance_changes_total{%s} %d\n", of, changes)
	family("aegis_conformance_unstable", "gauge", "Expectations that changed in the last look and changed back.")
	fmt.Fprintf(&b, "aegis_conformance_unstable{%s} %d\n", of, len(p.Unstable))
	if up == 0 {
		return []byte(b.String())
	}
	family("aegis_conformance_verdict", "gauge", "1 for the verdict of the last look.")
	for _, v := range watched {
		is := 0
		if p.Verdict == v {
			is = 1
		}
		fmt.Fprintf(&b, "aegis_conformance_verdict{%s,verdict=%q} %d\n", of, v, is)
	}
	family("aegis_conformance_findings", "gauge", "Expectations by what was found of them in the last look.")
	for _, v := range harness.Verdicts {
		fmt.Fprintf(&b, "aegis_conformance_findings{%s,verdict=%q} %d\n", of, v, p.Totals[v])
	}
	family("aegis_conformance_security_failures", "gauge", "Expectations that fail because an unauthorised request was served.")
	fmt.Fprintf(&b, "aegis_conformance_security_failures{%s} %d\n", of, p.Security)
	return []byte(b.String())
}
