package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/signoff"
	"aegis.test/conformance/suites"
)

// TestImageRuns runs the harness's own image, which has nothing but the program,
// as one Pod of an Indexed Job would be, with no network but its own: its part of
// a rehearsal comes out of it.
func TestImageRuns(t *testing.T) {
	have, err := images.Ensure(t.Context(), []string{images.Harness}, images.Options{Build: true})
	if _, none := errors.AsType[*images.NoEngine](err); none && os.Getenv("CI") != "true" {
		t.Skip("no container engine answers: make test runs the harness's image where one does")
	}
	if err != nil {
		t.Fatal(err)
	}
	engine, err := images.Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	made, err := engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Config: &container.Config{
			Image: have[images.Harness].Reference,
			Cmd:   []string{"run", "--runtime", "embedded", "--shard", "0/4", "--out", "/tmp/signoff", "--done", "/tmp/done"},
		},
		HostConfig: &container.HostConfig{NetworkMode: "none", CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := engine.ContainerRemove(context.Background(), made.ID, client.ContainerRemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
	code, said := ended(t, engine, made.ID)
	r, err := signoff.Read(copied(t, engine, made.ID, "/tmp/signoff/"+signoff.RecordName))
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if code != exitIncomplete || r.Verdict != signoff.Invalid || r.Kind != harness.Rehearsal {
		t.Errorf("status %d, %s of a %s: want %d, INVALID, of a rehearsal: it is a part\n%s", code, r.Verdict, r.Kind, exitIncomplete, said)
	}
	if passed, failed := r.Totals[harness.Pass], r.Totals[harness.Fail]; passed < len(suites.All())/5 || failed > 0 {
		t.Errorf("%d passed, %d failed: want nearly a quarter and none\n%s", passed, failed, said)
	}
	if done := copied(t, engine, made.ID, "/tmp/done"); string(done) != "/tmp/signoff/junit.xml" {
		t.Errorf("done says %q: want where the JUnit file lies", done)
	}
}

// ended starts a container, and waits for its end: its status, and its output.
func ended(t *testing.T, engine *client.Client, id string) (code int, said string) {
	t.Helper()
	end := engine.ContainerWait(t.Context(), id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	if _, err := engine.ContainerStart(t.Context(), id, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case status := <-end.Result:
		code = int(status.StatusCode)
	case err := <-end.Error:
		t.Fatal(err)
	}
	stream, err := engine.ContainerLogs(t.Context(), id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, stream); err != nil {
		t.Fatal(err)
	}
	return code, out.String()
}

// copied is a file out of a container.
func copied(t *testing.T, engine *client.Client, id, path string) []byte {
	t.Helper()
	from, err := engine.CopyFromContainer(t.Context(), id, client.CopyFromContainerOptions{SourcePath: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Content.Close() }()
	archive := tar.NewReader(from.Content)
	if _, err := archive.Next(); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(archive)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
