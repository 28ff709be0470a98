package stack

import (
	"io"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"aegis.test/conformance/fixtures/faults"
	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

func TestCoreFiles(t *testing.T) {
	const limits = "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max data size             unlimited            unlimited            bytes     \n" +
		"Max core file size        0                    4096                 bytes     \n"
	if got := coreLimit(limits); got != "0" {
		t.Errorf("got %q, want the soft limit", got)
	}
	if got := coreLimit("Max data size unlimited"); got != "" {
		t.Errorf("got %q of limits without it, want none", got)
	}
	for pattern, want := range map[string]bool{"core\n": false, "/var/crash/core.%p": false, "|/usr/lib/systemd/systemd-coredump %P": true, "@/run/cores": true, "": false} {
		if handsOn(pattern) != want {
			t.Errorf("%q: got %v, want %v", pattern, !want, want)
		}
	}
}

// TestWhatACrashLeaves has a service crash that holds a token, which nothing in its
// environment tells: it leaves nothing, but with a fault, which the search finds.
func TestWhatACrashLeaves(t *testing.T) {
	t.Parallel()
	have := had(t)
	for _, row := range []struct {
		fault string
		left  string
		shown bool // the token stands in the environment
	}{{}, {fault: "X-770", shown: true}, {fault: "X-772", left: "/tmp/heap.dump"}, {fault: "X-773", left: "/tmp/core"}} {
		fault, _ := faults.ByID(row.fault)
		r, token := alone(t, have, fault)
		seen, err := r.engine.client.ContainerInspect(t.Context(), r.id, client.ContainerInspectOptions{})
		if err != nil || strings.Contains(string(seen.Raw), token.Reveal()) != row.shown {
			t.Errorf("fault %q: %v, token in the environment: %v, want %v", row.fault, err, !row.shown, row.shown)
		}
		left := ""
		crash, err := r.Crash(t.Context(), func(file string, content io.Reader) error {
			what, err := harness.Sought{"token": token}.Scan(content)
			if len(what) > 0 {
				left = file
			}
			return err
		})
		if err != nil || !crash.Ended || crash.Code == 0 || (crash.CoreLimit == "0") == fault.Cores {
			t.Errorf("fault %q: got %+v, %v, want an end by SIGABRT", row.fault, crash, err)
		}
		if crash.Piped && fault.Cores {
			continue // the kernel of this host hands cores on: there is no file
		}
		if !strings.HasPrefix(left, row.left) || row.left == "" && left != "" {
			t.Errorf("fault %q: the token is in %q, want %q", row.fault, left, row.left)
		}
	}
}

// alone is a replica without a Vault, and the token of Vault's that it was handed.
func alone(t *testing.T, have map[string]images.Have, fault faults.Fault) (*replica, harness.Secret) {
	t.Helper()
	spec := Spec{Run: "test-" + localhost.Nonce(), Log: testLog{t}, Fault: fault}
	e, err := openEngine(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	c := &containers{engine: e, have: have, replaced: map[harness.Mode]string{}}
	c.vault.token = "hvs.a-token-that-stands-in-a-file-only"
	if c.blueprint, err = newBlueprint(spec, idpURL); err != nil {
		t.Fatal(err)
	}
	if _, err := c.startIDP(t.Context()); err != nil {
		t.Fatal(err)
	}
	launched, err := c.Launch(t.Context(), harness.Launch{Mode: harness.OIDC, Env: map[string]string{"AUTH_MODE": "none"}, Crashes: true})
	if err != nil {
		t.Fatal(err)
	}
	r := launched.(*replica)
	if _, err := r.ready(t.Context(), c.answers(r.URL().URL+"/readyz", "")); err != nil {
		t.Fatal(err)
	}
	return r, c.vault.token
}
