package faults_test

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	planted "aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack"
	"aegis.test/conformance/suites"
	"aegis.test/conformance/suites/faults"
)

// exempt are the expectations that no fault fails, each with the reason.
var exempt = map[string]string{
	"ROT-009": "no stack of ours takes API keys: it applies to none",
	"ROT-011": "no stack of ours loads models: it applies to none",
}

// settings are those of the tests; sample is what they choose by.
var (
	settings = config.Read(os.Getenv, "")
	sample   = faults.Sample{Seed: settings.Sample}
)

// inContainersOnly skips a test of what only containers show where none are asked for.
func inContainersOnly(t *testing.T) {
	t.Helper()
	if settings.Runtime != string(stack.Containers) {
		t.Skip("not in containers: make test judges this where a container engine answers")
	}
}

// turns are what is judged in containers by turns, as a sample has it: each starts
// stacks of its own, and together they take longer than all other tests.
var turns = []string{
	"nginx and Vault", "Prometheus", "Vault's PKI", "Vault's failover", "logins to Vault", "an ingress", "another service", "faults of another service",
}

// atOnce is how many of the turns one sample takes.
const atOnce = 3

// inTurn skips a test of containers that this sample leaves out, or where none are
// asked for. Such a test mostly waits: it runs beside another.
func inTurn(t *testing.T, turn string) {
	t.Helper()
	if !slices.Contains(turns, turn) {
		t.Fatalf("%q is none of the turns", turn)
	}
	inContainersOnly(t)
	if !slices.Contains(sample.Of(turns, atOnce), turn) {
		t.Skip(faults.NotSampled)
	}
	t.Parallel()
}

// TestEveryFaultIsCaught plants every fault in an embedded stack of its own: what it
// names fails, and of those that are judged on everything nothing else does. On the
// reference nothing fails.
func TestEveryFaultIsCaught(t *testing.T) {
	plan := faults.Plan{Runtime: stack.Embedded, Sample: sample}
	for _, f := range planted.All() {
		if f.Embedded() {
			plan.Faults = append(plan.Faults, f)
		}
	}
	if *update && sample.Seed != "" {
		t.Fatalf("what falls with a fault is seen where all is judged: unset %s", config.SampleVariable)
	}
	sound, results := judgeMatrix(t, plan)
	t.Log(plan.Told())
	t.Log(faults.Count(sound, results))
	if *update {
		writeFalls(t, results)
		writeScore(t, faults.Count(sound, results))
	}
}

var update = flag.Bool("update", false, "write fixtures/faults/falls.json and suites/faultscore.json from what is seen")

// writeFalls writes, by fault, what failed beside what its literal names.
func writeFalls(t *testing.T, results []faults.Result) {
	t.Helper()
	falls := map[string][]string{}
	for _, f := range planted.All() {
		for _, r := range results {
			also := slices.DeleteFunc(slices.Sorted(slices.Values(r.CaughtBy)), func(id string) bool { return slices.Contains(f.Named, id) })
			if r.ID == f.ID && len(also) > 0 {
				falls[f.ID] = also
			}
		}
	}
	write(t, "../../fixtures/faults/falls.json", falls)
}

// writeScore writes the score that sign-offs show, with the digest of the catalogue
// that it was seen of.
func writeScore(t *testing.T, s faults.Score) {
	t.Helper()
	write(t, "../faultscore.json", suites.FaultScore{
		Catalogue: suites.CatalogueDigest(), Planted: s.Planted, Caught: s.Caught, Exact: s.Exact, FalseAlarms: s.FalseAlarms,
	})
}

func write(t *testing.T, file string, content any) {
	t.Helper()
	data, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// inContainers are the faults that fail the same expectations in nginx and in
// Vault as in process; of the others nginx masks a part.
var inContainers = []string{
	"M-082", "M-086", "M-087", "M-091", "M-092", "M-099", "M-101", "M-109", "M-186", "X-402", "X-950",
	"M-142", "X-012", "X-766", "M-196", "X-767", "X-762",
	"X-770", "X-771", "X-772", "X-773",
}

// TestFaultsAreCaughtInContainers plants what nginx's configuration can express
// in the real nginx, and what only a real Vault judges in Vault.
func TestFaultsAreCaughtInContainers(t *testing.T) {
	inTurn(t, "nginx and Vault")
	judgeMatrix(t, faults.Plan{
		Runtime: stack.Containers, Faults: chosen(t, "nginx and Vault", inContainers, 2), Areas: []string{"MTLS", "CHN", "HDR", "EPT", "SEC"},
	})
}

// alerts are the faults that only a real Prometheus shows.
var alerts = []string{"M-156", "M-157", "X-607", "X-608", "X-609", "X-951", "X-952"}

// TestAlertFaultsAreCaughtInContainers plants them in what watches the service.
func TestAlertFaultsAreCaughtInContainers(t *testing.T) {
	inTurn(t, "Prometheus")
	judgeMatrix(t, faults.Plan{Runtime: stack.Containers, Faults: chosen(t, "Prometheus", alerts, 1), Areas: []string{"MET"}})
}

// issuing are the faults in how Vault issues certificates, failing those that show when
// its active node is lost, binding those in whom it lets in as the service: these need
// an image of a cluster.
var (
	failing = []string{"X-774"}
	issuing = []string{"M-143", "X-641", "X-642", "X-643", "X-644", "X-645", "X-646", "X-647"}
	binding = []string{"M-141", "X-651", "X-652", "X-653", "X-654", "X-655"}
)

// TestVaultsFaultsAreCaughtInContainers plants them in Vault. The reference is
// judged above.
func TestVaultsFaultsAreCaughtInContainers(t *testing.T) {
	inTurn(t, "Vault's PKI")
	judgePlanted(t, faults.Plan{Runtime: stack.Containers, Faults: chosen(t, "Vault's PKI", issuing, 1), IDs: []string{"SEC-003", "ROT-005", "ROT-006"}})
}

// TestFailoverFaultsAreCaughtInContainers plants them behind a Vault of three nodes.
func TestFailoverFaultsAreCaughtInContainers(t *testing.T) {
	inTurn(t, "Vault's failover")
	judgePlanted(t, faults.Plan{Runtime: stack.Containers, Faults: chosen(t, "Vault's failover", failing, 1), IDs: []string{"ROT-013"}})
}

// TestLoginFaultsAreCaughtInContainers plants them in Vault before a real cluster,
// whose image takes minutes to build.
func TestLoginFaultsAreCaughtInContainers(t *testing.T) {
	inTurn(t, "logins to Vault")
	placement, err := stack.Decide(t.Context(), stack.Containers)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(placement.Beyond, harness.VaultKubernetes) {
		t.Skip("there is no image of a cluster: conformance images --build kubernetes has it")
	}
	judgePlanted(t, faults.Plan{Runtime: stack.Containers, Faults: chosen(t, "logins to Vault", binding, 1), IDs: []string{"SEC-003", "SEC-004", "ROT-005"}})
}

// chosen are the faults of so many of the IDs, or of all where nothing is sampled.
// The log says so.
func chosen(t *testing.T, where string, ids []string, n int) []planted.Fault {
	t.Helper()
	of := sample.Of(ids, n)
	var all []planted.Fault
	for _, id := range of {
		f, ok := planted.ByID(id)
		if !ok {
			t.Fatalf("there is no fault %s", id)
		}
		all = append(all, f)
	}
	t.Logf("planted %d of %d in %s: %s", len(of), len(ids), where, strings.Join(of, ", "))
	return all
}

// judgeMatrix judges the reference, and the faults of a plan.
func judgeMatrix(t *testing.T, plan faults.Plan) (sound faults.Result, results []faults.Result) {
	t.Helper()
	sound = plan.Sound(t.Context())
	for id, reason := range sound.Reasons {
		t.Errorf("the reference is accused: %s: %s", id, reason)
	}
	if sound.Error != "" {
		t.Error(sound.Error)
	}
	return sound, judgePlanted(t, plan)
}

// judgePlanted judges the faults of a plan.
func judgePlanted(t *testing.T, plan faults.Plan) []faults.Result {
	t.Helper()
	plan.Each = func(r faults.Result) { t.Log(r) }
	results := faults.Run(t.Context(), plan)
	for _, r := range results {
		switch {
		case r.Error != "":
			t.Errorf("%s: %s", r.ID, r.Error)
		case !r.Exact:
			t.Errorf("%s\n%v", r, r.Reasons)
		}
	}
	return results
}

// TestEveryExpectationIsFailedBySomeFault proves the net by the fish.
func TestEveryExpectationIsFailedBySomeFault(t *testing.T) {
	named := map[string]bool{}
	for _, f := range planted.All() {
		for _, id := range f.Falls() {
			named[id] = true
			if _, ok := suites.Find(id); !ok {
				t.Errorf("%s names %s, which is not in the catalogue", f.ID, id)
			}
		}
	}
	for _, x := range suites.All() {
		reason, ok := exempt[x.ID]
		if named[x.ID] == ok {
			t.Errorf("%s: failed by a fault: %v, exempt %q: want one of the two", x.ID, named[x.ID], reason)
		}
		delete(exempt, x.ID)
	}
	for id := range exempt {
		t.Errorf("%s is exempt, and not in the catalogue", id)
	}
}
