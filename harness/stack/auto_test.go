package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"aegis.test/conformance/fixtures/images"
)

func TestUnknownRuntimeIsNamedWithTheKnownOnes(t *testing.T) {
	_, err := Start(t.Context(), Spec{Runtime: "docker"})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, word := range []string{`"docker"`, "auto", "containers", "embedded"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not name %s", err, word)
		}
	}
	if environment, ok := errors.AsType[*EnvironmentError](err); ok {
		t.Errorf("a wrong word is no matter of the environment: %v", environment)
	}
}

func TestReasonIsOneLine(t *testing.T) {
	vault := &images.Unavailable{Image: images.Vault, Tried: []string{"pull: no\nregistry"}}
	nginx := &images.Unavailable{Image: images.Nginx}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&images.NoEngine{Err: errors.New("a\nb")}, "no container engine answers"},
		{errors.Join(vault), "no image for vault (make images builds it, about 6 minutes)"},
		{errors.Join(nginx, vault), "no image for vault (make images builds it, about 6 minutes), no image for nginx (make images builds it, under a minute)"},
		{fmt.Errorf("x: %w", nginx), "no image for nginx (make images builds it, under a minute)"},
		{errors.New("first\nsecond"), "first"},
	} {
		if got := reason(c.err); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestTallyCountsByOrigin(t *testing.T) {
	have := map[string]images.Have{
		"a": {Origin: images.Built}, "b": {Origin: images.Present}, "c": {Origin: images.Present},
	}
	if got, want := tally(have), "images: 2 present, 1 built"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestWithoutAnEngine runs in a process of its own: the library looks for the
// engine once.
func TestWithoutAnEngine(t *testing.T) {
	const nowhere = "unix:///nonexistent/docker.sock"
	if os.Getenv("DOCKER_HOST") != nowhere {
		child := exec.Command(os.Args[0], "-test.run=^TestWithoutAnEngine$", "-test.v")
		child.Env = append(os.Environ(), "DOCKER_HOST="+nowhere)
		if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestWithoutAnEngine") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	_, err := Start(t.Context(), Spec{Runtime: Containers})
	environment, ok := errors.AsType[*EnvironmentError](err)
	if !ok || environment.Runtime != Containers || !strings.Contains(err.Error(), "--runtime embedded") {
		t.Errorf("containers: got %v", err)
	}
	var told []string
	s, err := Start(t.Context(), Spec{Runtime: Auto, Progress: func(line string) { told = append(told, line) }})
	if err != nil {
		t.Fatal(err)
	}
	if want := "embedded: no container engine answers"; s.Choice != want || len(told) == 0 || told[0] != want {
		t.Errorf("auto: got %q, told %q", s.Choice, told)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}
