package lint_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"aegis.test/conformance/harness/lint"
)

// held is a sound policy, so that a run beside bad input is not an empty one.
const held = `path "secret/data/aegis/runtime" { capabilities = ["read"] }`

// TestBadInputIsTold gives files that cannot or must not be read: each is told, with
// its place, and the run's exit status is 2.
func TestBadInputIsTold(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'i'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ",") + "]\n"
	}
	deep := strings.Repeat("[", 1<<20)
	for _, c := range []struct {
		what, name string
		make       func(path string) error
		want       string
	}{
		{"broken YAML", "a.yaml", text("a: [\nb"), "it is no YAML"},
		{"a key twice", "a.yaml", text("apiVersion: v1\nkind: ConfigMap\nkind: Secret\n"), "kind"},
		{"a template of Helm's", "a.yaml", text("apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}\n"), "helm template"},
		{"a template in a text", "a.yaml", text("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: \"{{ .Values.name }}\"\n"),
			"helm template"},
		{"a field that a kind has not", "a.yaml", text("apiVersion: apps/v1\nkind: Deployment\nspec:\n  replica: 2\n"),
			`unknown field "spec.replica"`},
		{"a value of another type", "a.yaml", text("apiVersion: apps/v1\nkind: Deployment\nspec:\n  replicas: two\n"), "replicas"},
		{"a kind that is misspelt", "a.yaml", text("apiVersion: apps/v1\nkind: Deploiment\n"), "the nearest is Deployment"},
		{"a bomb of aliases", "a.yaml", text(bomb), "excessive aliasing"},
		{"brackets in brackets", "a.yaml", text(deep), "deeper than"},
		{"brackets in a policy", "a.hcl", text("a = " + deep), "deeper than"},
		{"brackets in nginx", "a.conf", text("http {\n" + strings.Repeat("{", 1<<20)), "deeper than"},
		{"broken HCL", "a.hcl", text("path \"x\" {\n  capabilities = [\"read\"\n"), "it is no HCL"},
		{"an unknown capability", "a.hcl", text(`path "x" { capabilities = ["raed"] }`), "raed"},
		{"an unknown key", "a.hcl", text(`path "x" { capabilites = ["read"] }`), "capabilites"}, //nolint:misspell // the mistake is the case
		{"an expression that is none", "a.yaml", text("groups:\n- name: a\n  rules:\n  - alert: A\n    expr: sum(rate(x[5m])\n"),
			"it is no rule file"},
		{"an unknown key of a rule", "a.yaml", text("groups:\n- name: a\n  rules:\n  - alert: A\n    exp: up\n"), "it is no rule file"},
		{"broken nginx", "nginx.conf", text("http {\n\tserver {\n\t\tlisten 443 ssl\n\t}\n}\n"), "no configuration of nginx"},
		{"too large", "a.yaml", func(path string) error {
			return os.WriteFile(path, bytes.Repeat([]byte("#\n"), lint.MaxFile/2+1), 0o600)
		},
			"larger than 8 MiB"},
		{"binary", "a.yaml", text("a: b\x00\x01"), "it is binary"},
		{"UTF-16", "a.yaml", text("\xff\xfea\x00:\x00"), "UTF-16"},
		{"a pipe", "a.yaml", func(path string) error { return syscall.Mkfifo(path, 0o600) }, "a named pipe"},
		{"no file to read", "a.yaml", func(path string) error { return os.WriteFile(path, nil, 0) }, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "aegis-runtime.hcl"), held)
			path := filepath.Join(dir, c.name)
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			r := lint.Run([]string{dir}, lint.Options{})
			if c.want == "" { // an empty file holds nothing, and root may read all
				if len(r.Findings) > 0 {
					t.Errorf("got %v, want nothing", r.Findings)
				}
				return
			}
			if len(r.Unreadable) != 1 || r.Exit() != 2 {
				t.Fatalf("got exit %d, want 2 and one file that is not read:\n%s", r.Exit(), lint.Text(r, words, true))
			}
			if n := r.Unreadable[0]; n.File != path || !strings.Contains(n.What, c.want) {
				t.Errorf("got %s: %s, want %s and %q", n.Place, n.What, path, c.want)
			}
		})
	}
}

func text(s string) func(string) error {
	return func(path string) error { return os.WriteFile(path, []byte(s), 0o600) }
}

// TestWhatIsPassedOverIsTold: folders of others, links and strange files are no error in
// a folder; a file that was named is.
func TestWhatIsPassedOverIsTold(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "aegis-runtime.hcl"), held)
	write(t, filepath.Join(dir, "vendor", "p.hcl"), `path "*" { capabilities = ["sudo"] }`)
	write(t, filepath.Join(dir, "values.yaml"), "image: aegis\n")
	write(t, filepath.Join(dir, "route.yaml"), "apiVersion: route.openshift.io/v1\nkind: Route\n")
	write(t, filepath.Join(dir, "README.md"), "# words\n")
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	r := lint.Run([]string{dir}, lint.Options{})
	if r.Exit() != 0 || len(r.Unreadable) > 0 {
		t.Errorf("got exit %d, want 0:\n%s", r.Exit(), lint.Text(r, words, true))
	}
	for _, name := range []string{"vendor", "values.yaml", "route.yaml", "README.md", "loop"} {
		if !slices.ContainsFunc(r.Unknown, func(n lint.Note) bool { return n.File == filepath.Join(dir, name) }) {
			t.Errorf("%s was passed over without a word: %v", name, r.Unknown)
		}
	}
	for _, name := range []string{"values.yaml", "README.md", "gone.yaml"} {
		if r := lint.Run([]string{filepath.Join(dir, name)}, lint.Options{}); r.Exit() != 2 || len(r.Unreadable) != 1 {
			t.Errorf("%s was named: got exit %d and %v, want 2", name, r.Exit(), r.Unreadable)
		}
	}
}

func TestAnEmptyRunIsNoPass(t *testing.T) {
	if r := lint.Run([]string{t.TempDir()}, lint.Options{}); r.Exit() != 3 {
		t.Errorf("an empty folder: exit %d, want 3", r.Exit())
	}
}

// TestWhatIsElsewhereIsNotDecided: a variable that may come from an object that is not
// among the files is no finding, and no pass.
func TestWhatIsElsewhereIsNotDecided(t *testing.T) {
	dir := sound(t)
	path := filepath.Join(dir, "kubernetes", "aws.yaml")
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(was), "          env:\n            - {name: AUTH_MODE, value: oidc}\n",
		"          envFrom:\n            - configMapRef: {name: elsewhere}\n          env:\n", 1)
	write(t, path, changed)
	r := lint.Run([]string{dir}, lint.Options{})
	if len(r.Findings) > 0 || len(r.Undecided) != 1 || r.Exit() != 3 || !strings.Contains(r.Undecided[0].What, "ConfigMap/elsewhere") {
		t.Errorf("got exit %d, want 3 and the ConfigMap named:\n%s", r.Exit(), lint.Text(r, words, false))
	}
}

// TestNoSecretIsShown: what is found of a secret is its name and its length.
func TestNoSecretIsShown(t *testing.T) {
	dir := t.TempDir()
	const value = "hunter2hunter2"
	write(t, filepath.Join(dir, "a.yaml"), `apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  template:
    spec:
      containers:
        - name: a
          image: a
          args: ["--url=https://a:`+value+`@b/"]
          env:
            - {name: DB_PASSWORD, value: `+value+`}
            - {name: VAULT_TOKEN, value: `+value+`}
---
apiVersion: v1
kind: Secret
metadata: {name: b}
stringData: {c: `+value+`}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {api_key: `+value+`}
`)
	r := lint.Run([]string{dir}, lint.Options{})
	if len(r.Findings) != 5 {
		t.Errorf("got %d findings, want five: %v", len(r.Findings), r.Findings)
	}
	for name, told := range tellings(t, r) {
		if strings.Contains(told, value) {
			t.Errorf("%s shows a secret:\n%s", name, told)
		}
	}
}

// tellings are all that a result is told as.
func tellings(t *testing.T, r *lint.Result) map[string]string {
	t.Helper()
	sarif, err := lint.SARIF(r, words)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := lint.JSON(r, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"text": lint.Text(r, words, true), "sarif": string(sarif), "json": string(plain)}
}

// TestSARIFHasTheUsersPlaces: a result's location is the file as it was named, its line
// and its column.
func TestSARIFHasTheUsersPlaces(t *testing.T) {
	t.Chdir(sound(t))
	write(t, "vault/aegis-runtime.hcl", strings.Replace(held, `"read"`, `"read", "update"`, 1))
	r := lint.Run([]string{"vault"}, lint.Options{})
	var log struct {
		Runs []struct {
			Results []struct {
				RuleID    string
				Level     string
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           struct{ StartLine, StartColumn int }
					}
				}
			}
			Invocations []struct{ ExitCode int }
		}
	}
	if err := json.Unmarshal([]byte(tellings(t, r)["sarif"]), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if len(run.Results) != 1 || run.Invocations[0].ExitCode != 1 {
		t.Fatalf("got %+v, want one result and exit status 1", run)
	}
	at := run.Results[0].Locations[0].PhysicalLocation
	if run.Results[0].RuleID != "LNT-030" || run.Results[0].Level != "error" || at.ArtifactLocation.URI != "vault/aegis-runtime.hcl" ||
		at.Region.StartLine != 1 || at.Region.StartColumn != strings.Index(held, `"read"`)+len(`"read", `)+1 {
		t.Errorf("got %+v, want LNT-030 at the word update", run.Results[0])
	}
}

// TestRulesAreWhole holds the rules to their own form.
func TestRulesAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, rule := range lint.Rules() {
		if seen[rule.ID] || len(rule.Clauses) == 0 || rule.Source == "" || rule.Remedy == "" || !strings.HasSuffix(rule.Says, ".") ||
			rule.Check == nil ||
			(rule.Level != "MUST" && rule.Level != "SHOULD") || strings.HasSuffix(rule.Remedy, ".") {
			t.Errorf("%s: a rule has an ID of its own, clauses, a source, a level, a sentence, a remedy and a check", rule.ID)
		}
		seen[rule.ID] = true
	}
}

// TestLargeFilesEnd reads files near the bound whose every part a rule is about. Before
// what rules ask for was kept, the first took minutes.
func TestLargeFilesEnd(t *testing.T) {
	repeated := func(begin, unit, end string) string {
		return begin + strings.Repeat(unit, lint.MaxFile/2/len(unit)) + end
	}
	for name, text := range map[string]string{
		"nginx.conf": repeated("http {\n",
			"server { listen 443 ssl; location / { proxy_set_header X-SSL-Client-CN $ssl_client_s_dn; proxy_pass http://a; } }\n", "}\n"),
		"haproxy.cfg": repeated("",
			"frontend a\n bind :443 ssl verify required\n http-request set-header x-cn %[ssl_c_s_dn(cn)]\n default_backend a\n", ""),
		"rules.yml":  repeated("groups:\n- name: a\n  rules:\n", "  - alert: A\n    expr: rate(aegis_auth_failures_total[5m]) > 1e9\n", ""),
		"blocks.pem": repeated("", "-----BEGIN X-----\nAAAA\n-----END X-----\n", ""),
	} {
		path := filepath.Join(t.TempDir(), name)
		write(t, path, text)
		begun := time.Now()
		r := lint.Run([]string{path}, lint.Options{})
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("%s took %s, want a minute at most", name, took)
		}
		if len(r.Findings) > 1000*len(lint.Rules()) {
			t.Errorf("%s: %d findings are told, want a bound", name, len(r.Findings))
		}
	}
}
