package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/outbound"
	"aegis.test/conformance/harness/stack/localhost"
)

// maxLog is how much of a log is read at once, bytes.
const maxLog = 16 << 20

// logs answer what became of a probe, as a request log of ours would. A log that
// is written later than the answer is never known to be complete: what is in it
// counts, and what is not proves nothing.
func (b *builder) logs(t *harness.Target) error {
	if b.Grants.Logs.Handled == "" {
		return nil
	}
	t.Oracles = map[harness.Mode]string{}
	at := "on paper"
	if !b.paper {
		l, err := localhost.Listen()
		if err != nil {
			return err
		}
		handled, err := regexp.Compile(b.Grants.Logs.Handled)
		if err != nil {
			return err
		}
		server := &http.Server{Handler: &oracle{lines: b.lines(time.Now()), handled: handled}, ReadHeaderTimeout: fetchBound}
		go func() { _ = server.Serve(l) }()
		b.onStop(func(context.Context) error { return server.Close() })
		at = "http://" + l.Addr().String()
	}
	for mode := range t.Faces {
		t.Oracles[mode] = at
	}
	return nil
}

// oracle answers GET /{probe ID} from a log.
type oracle struct {
	lines   func(ctx context.Context, probe string) ([]byte, error)
	handled *regexp.Regexp
}

func (o *oracle) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	probe := strings.TrimPrefix(r.URL.Path, "/")
	text, err := o.lines(r.Context(), probe)
	if err != nil || probe == "" {
		http.Error(w, "the log was not read", http.StatusServiceUnavailable)
		return
	}
	var reached harness.Reached
	for line := range bytes.Lines(text) {
		if !bytes.Contains(line, []byte(probe)) {
			continue
		}
		reached.Seen++
		match := o.handled.FindSubmatch(line)
		if match == nil {
			continue
		}
		reached.Handled++
		if i := o.handled.SubexpIndex("identity"); i > 0 {
			reached.Identity = append(reached.Identity, string(match[i]))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(reached)
}

// lines reads the log's lines that may be of a probe, written since a time.
func (b *builder) lines(since time.Time) func(context.Context, string) ([]byte, error) {
	g := b.Grants.Logs
	switch {
	case g.File != "":
		path := b.Lookup.Path(g.File)
		var begins int64
		if info, err := os.Stat(path); err == nil {
			begins = info.Size()
		}
		return func(context.Context, string) ([]byte, error) { return appended(path, begins) }
	case len(g.Command) > 0:
		return func(ctx context.Context, probe string) ([]byte, error) { return printed(ctx, g.Command, probe) }
	default:
		return func(ctx context.Context, probe string) ([]byte, error) {
			by, err := b.signedBy(g.Loki.CABundle, "grants.logs.loki.ca_bundle")
			if err != nil {
				return nil, err
			}
			return fromLoki(ctx, g.Loki, by, probe, since)
		}
	}
}

// appended is what was appended to a file behind an offset.
func appended(path string, offset int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() < offset { // it was rotated
		offset = 0
	}
	return io.ReadAll(io.NewSectionReader(f, offset, maxLog))
}

// printed is what a command prints. It does not outlive the run, nor its time.
func printed(ctx context.Context, command []string, probe string) ([]byte, error) {
	args := make([]string, len(command))
	for i, arg := range command {
		args[i] = strings.ReplaceAll(arg, "{{probe}}", probe)
	}
	printer := exec.CommandContext(ctx, args[0], args[1:]...) // #nosec G204 -- the operator's own
	printer.SysProcAttr = dying()
	printer.Cancel = func() error { return syscall.Kill(-printer.Process.Pid, syscall.SIGKILL) }
	printer.WaitDelay = time.Second // for what it has started, and does not end
	runtime.LockOSThread()          // it dies with the thread that starts it
	defer runtime.UnlockOSThread()
	return printer.Output()
}

// components are the logs of components, where commands print them.
func (b *builder) components(t *harness.Target) error {
	if g := b.Grants.Components; len(g.Ingress) > 0 {
		t.Control.Logs = printing{"ingress": g.Ingress, "service-oidc": g.OIDC, "service-mtls": g.MTLS}
	}
	return nil
}

// printing are commands by the component whose log they print.
type printing map[string][]string

// Read runs the component's command.
func (p printing) Read(ctx context.Context, component string) (string, error) {
	command := p[component]
	if len(command) == 0 {
		return "", fmt.Errorf("reading the log of %q: grants.component_logs gives no command for it", component)
	}
	text, err := printed(ctx, command, "")
	if err != nil {
		return "", fmt.Errorf("reading the log of %q: %s: %w", component, command[0], err)
	}
	return string(text), nil
}

// fromLoki asks Loki for lines that hold the probe's ID.
func fromLoki(ctx context.Context, l config.Loki, by harness.Trust, probe string, since time.Time) ([]byte, error) {
	query := url.Values{
		"query": {l.Query + " |= " + strconv.Quote(probe)},
		"start": {strconv.FormatInt(since.UnixNano(), 10)}, "limit": {"100"},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL+"/loki/api/v1/query_range?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	response, err := outbound.Client(outbound.Options{TimeOut: fetchBound, Most: maxLog}.By(by)).Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Data struct {
			Result []struct {
				Values [][2]string `json:"values"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking Loki: got %d, want 200 with streams", response.StatusCode)
	}
	var lines bytes.Buffer
	for _, stream := range answer.Data.Result {
		for _, value := range stream.Values {
			lines.WriteString(value[1] + "\n")
		}
	}
	return lines.Bytes(), nil
}
