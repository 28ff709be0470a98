package lint_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/ingress"
	"aegis.test/conformance/fixtures/vault"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint"
)

// words are a clause's, which these tests do not look at.
func words(id string) string { return id }

// sound copies the sound files into a folder of the test's own.
func sound(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/sound")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// write puts a file into a folder.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// clean wants nothing found, everything read, and something held.
func clean(t *testing.T, r *lint.Result) {
	t.Helper()
	if r.Exit() != 0 || len(r.Findings) > 0 {
		t.Errorf("got exit %d, want 0:\n%s", r.Exit(), lint.Text(r, words, true))
	}
}

func TestSoundFilesGiveNoFinding(t *testing.T) {
	r := lint.Run([]string{sound(t), script(t, func(*made, *certs.Leaf) {})}, lint.Options{})
	clean(t, r)
	if len(r.Held) != len(lint.Rules()) {
		t.Errorf("held to %d rules of %d: the sound files are not about all", len(r.Held), len(lint.Rules()))
	}
}

// exempt are findings at SHOULD in strangers' files, which are as they were found.
var exempt = []struct{ rule, file, because string }{
	{"LNT-045", "caddy-mtls/Caddyfile", "its service reads x-client-cn in that spelling only"},
	{"LNT-045", "haproxy-mtls/haproxy.cfg", "its service reads x-client-cn in that spelling only"},
}

// alertChanges are changes of rules that operators are woken by.
var alertChanges = []change{
	{"LNT-080", "alerts/rules.yml", "rate(aegis_auth_failures_total[5m])", "rate(aegis_calls_total[5m])", "restarts_total"},
	{"LNT-081", "alerts/rules.yml", "> 5 *", "> 1e6 *", "expr: job:"},
	{"LNT-081", "alerts/rules.yml", "for: 2m", "for: 2h", "expr: job:"},
	{"LNT-081", "alerts/rules.yml", "sum by (job)", "sum by (instance)", "expr: job:"},
	{"LNT-082", "alerts/prometheusrule.yaml", "[10m]) > 3", "[10m]) > 300", "restarts_total"},
	{"LNT-082", "alerts/prometheusrule.yaml", "for: 5m", "for: 5h", "restarts_total"},
	{"LNT-083", "alerts/rules.yml", "> 5 *", "> 0.5 *", "expr: job:"},
}

// TestOwnFilesGiveNoFinding holds this project's own files, and what it renders, to the
// rules.
func TestOwnFilesGiveNoFinding(t *testing.T) {
	t.Run("examples and strangers", func(t *testing.T) {
		r := lint.Run([]string{"../../suites/examples", "../../suites/strangers"}, lint.Options{})
		for _, e := range exempt {
			at := "../../suites/strangers/" + e.file
			n := len(r.Findings)
			r.Findings = slices.DeleteFunc(r.Findings, func(f lint.Finding) bool { return f.Rule == e.rule && f.File == at })
			if len(r.Findings) == n {
				t.Errorf("%s no longer finds anything in %s: take its exemption away", e.rule, e.file)
			}
		}
		clean(t, r)
	})
	t.Run("fixtures", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, vault.PolicyName+".hcl"), vault.Policy)
		role, err := json.Marshal(vault.SoundBinding().Role)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, vault.KubernetesRole+".json"), string(role))
		for name, render := range renderings {
			text, err := render(servers())
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, name), text)
		}
		r := lint.Run([]string{dir, "../../fixtures/monitoring"}, lint.Options{})
		clean(t, r)
		if n := r.Read[lint.Ingress]; n != len(renderings) {
			t.Errorf("read %d configurations, want %d", n, len(renderings))
		}
	})
}

// renderings are the ingresses of the stack that lint reads, by their file's name.
var renderings = map[string]func([]ingress.Server) (string, error){
	"nginx/nginx.conf": ingress.Nginx, "haproxy/haproxy.cfg": ingress.HAProxy, "caddy/Caddyfile": ingress.Caddy,
	"envoy/envoy.yaml": ingress.Envoy,
}

// servers are the two that a stack has.
func servers() []ingress.Server {
	server := func(mode harness.Mode, port string) ingress.Server {
		return ingress.Server{
			Name: string(mode), Mode: mode, Host: string(mode) + ".aegis.test", Listen: "0.0.0.0:" + port,
			Backend: "http://service-" + string(mode) + ":8080", IdentityHeader: "x-ssl-client-cn", ProxySecret: "s3cret",
			CertFile: "/" + string(mode) + ".pem", KeyFile: "/" + string(mode) + "-key.pem", ClientCAFile: "/ca.pem",
		}
	}
	return []ingress.Server{server(harness.OIDC, "9443"), server(harness.MTLS, "9444")}
}

// change is one field of a sound file that is made unsound, and the rule that finds it.
type change struct {
	rule, file string
	old, new   string // old stands once in the file
	at         string // stands in the line of the finding
}

// changes name every rule at least once.
var changes = slices.Concat(serviceChanges, vaultChanges, proxyChanges, annotated, agreementChanges, alertChanges)

var serviceChanges = []change{
	{"LNT-001", "kubernetes/mtls.yaml", "            - name: AUTH_MODE\n              value: mtls\n", "", "env:"},
	{"LNT-002", "kubernetes/mtls.yaml", "value: mtls\n", "value: MTLS\n", "name: AUTH_MODE"},
	{"LNT-002", "kubernetes/oidc.yaml", "value: oidc\n", "value: none\n", "name: AUTH_MODE"},
	{"LNT-003", "kubernetes/oidc.yaml", "  OIDC_ISSUER: https://idp.example.com/realms/aegis\n", "  LOG_FORMAT: json\n", "env:"},
	{"LNT-003", "kubernetes/oidc.yaml", "https://idp.example.com/realms/aegis\n", "\"\"\n", "configMapRef"},
	{"LNT-004", "kubernetes/oidc.yaml", "value: aegis\n", "value: \"\"\n", "OIDC_AUDIENCE"},
	{"LNT-005", "kubernetes/oidc.yaml", "name: LOG_LEVEL\n              value: info",
		"name: OIDC_JWKS_URI\n              value: http://idp.example.com/keys", "OIDC_JWKS_URI"},
	{"LNT-006", "kubernetes/mtls.yaml", "            - name: MTLS_ID_HEADER\n              value: x-ssl-client-cn\n", "", "env:"},
	{"LNT-007", "kubernetes/aws.yaml", "name: AWS_SECRET_ID", "name: AWS_REGION", "env:"},
	{"LNT-008", "kubernetes/mtls.yaml", "type: ClusterIP", "type: NodePort", "NodePort"},
	{"LNT-008", "kubernetes/mtls.yaml", "- containerPort: 8080\n", "- {containerPort: 8080, hostPort: 8080}\n", "hostPort"},
	{"LNT-010", "kubernetes/oidc.yaml", "name: LOG_LEVEL\n              value: info",
		"name: VAULT_TOKEN\n              valueFrom: {secretKeyRef: {name: vault, key: token}}", "VAULT_TOKEN"},
	{"LNT-011", "kubernetes/oidc.yaml", "name: LOG_LEVEL\n              value: info", "name: DB_PASSWORD\n              value: hunter2",
		"DB_PASSWORD"},
	{"LNT-011", "kubernetes/oidc.yaml", "image: registry.example.com/aegis:1.4.0",
		"image: registry.example.com/aegis:1.4.0\n          args: [--db=postgres://aegis:hunter2@db/aegis]", "--db="},
	{"LNT-012", "kubernetes/oidc.yaml", "  OIDC_ISSUER: https://idp.example.com/realms/aegis\n",
		"  OIDC_ISSUER: https://idp.example.com/realms/aegis\n  OIDC_CLIENT_SECRET: hunter2\n", "OIDC_CLIENT_SECRET"},
	{"LNT-013", "kubernetes/mtls.yaml", "  ca.crt: \"\"", "  tls.key: aHVudGVyMg==", "tls.key"},
	{"LNT-014", "kubernetes/mtls.yaml", "vaultAddress: https:", "vaultAddress: http:", "vaultAddress"},
	{"LNT-014", "kubernetes/oidc.yaml", "vault.hashicorp.com/role: aegis",
		"vault.hashicorp.com/role: aegis\n        vault.hashicorp.com/tls-skip-verify: \"true\"", "tls-skip-verify"},
	{"LNT-015", "kubernetes/oidc.yaml", "        vault.hashicorp.com/role: aegis\n", "", "agent-inject:"},
	{"LNT-016", "kubernetes/oidc.yaml", "        vault.hashicorp.com/agent-inject-secret-oidc_jwks_uri: secret/data/aegis/runtime\n", "",
		"agent-inject:"},
	{"LNT-017", "kubernetes/oidc.yaml", `"0440"`, `"0644"`, "0644"},
	{"LNT-018", "kubernetes/mtls.yaml", "        secretKey: clients/allowed\n", "", "objects: |"},
	{"LNT-018", "kubernetes/mtls.yaml", "    roleName: aegis\n", "", "parameters:"},
	{"LNT-019", "kubernetes/mtls.yaml", "            readOnly: true\n", "", "csi:"},
	{"LNT-020", "kubernetes/oidc.yaml", "serviceAccountName: aegis-service-account\n", "serviceAccountName: default\n",
		"serviceAccountName: default"},
	{"LNT-021", "kubernetes/oidc.yaml", "verbs: [get]", `verbs: ["*"]`, "- apiGroups:"},
	{"LNT-022", "kubernetes/oidc.yaml", "    resourceNames: [aegis-tls]\n", "", "- apiGroups:"},
	{"LNT-023", "kubernetes/oidc.yaml", "  - kind: ServiceAccount\n    name: aegis-service-account\n    namespace: aegis",
		"  - kind: Group\n    name: system:serviceaccounts", "- kind: Group"},
}

var vaultChanges = []change{
	{"LNT-030", "vault/aegis-runtime.hcl", `["read"]`, `["read", "update"]`, "update"},
	{"LNT-031", "vault/aegis-runtime.hcl", `"secret/data/aegis/runtime"`, `"secret/data/*"`, "secret/data/*"},
	{"LNT-031", "vault/aegis-runtime.hcl", `"secret/data/aegis/runtime"`, `"+/data/+/runtime"`, "+/data"},
	{"LNT-033", "vault/aegis.json", `["aegis-service-account"]`, `["*"]`, "account_names"},
	{"LNT-033", "vault/aegis.json", `["aegis"]`, `"*"`, "account_namespaces"},
	{"LNT-034", "vault/aegis.json", `"20m"`, `"720h"`, "720h"},
	{"LNT-035", "vault/aegis.json", "  \"audience\": \"vault\",\n", "", "{"},
}

var proxyChanges = []change{
	{"LNT-040", "nginx/nginx.conf", "		ssl_client_certificate /etc/tls/clients.pem;\n		ssl_verify_client on;\n",
		"		ssl_verify_client off;\n", "off"},
	{"LNT-041", "nginx/nginx.conf", `"SUCCESS"`, `"FAILED"`, "optional_no_ca"},
	{"LNT-042", "nginx/nginx.conf", "		ssl_client_certificate /etc/tls/clients.pem;\n		ssl_verify_client on;\n",
		"		ssl_verify_client on;\n", "ssl_verify_client on"},
	{"LNT-043", "nginx/nginx.conf", "		location / {\n			proxy_pass", "		location / {\n			proxy_set_header Host $host;\n			proxy_pass",
		"proxy_pass"},
	{"LNT-043", "nginx/locations.inc", "	proxy_set_header X-SSL-Client-CN $client_cn; # overwritten, whatever the caller says\n", "",
		"proxy_pass"},
	{"LNT-043", "nginx/locations.inc", "$client_cn;", "$http_x_ssl_client_cn;", "$http_x_ssl_client_cn"},
	{"LNT-044", "nginx/locations.inc", "$client_cn;", "anybody;", "proxy_pass"},
	{"LNT-045", "nginx/nginx.conf", "underscores_in_headers off", "underscores_in_headers on", "proxy_pass"},
	{"LNT-046", "nginx/nginx.conf", "return 301 https://$host$request_uri;",
		"location / { proxy_set_header X-SSL-Client-CN \"\"; proxy_pass http://aegis-mtls; }", "location / { proxy"},
	{"LNT-047", "nginx/nginx.conf", "ssl_protocols TLSv1.2", "ssl_protocols TLSv1.1 TLSv1.2", "TLSv1.1"},
	{"LNT-048", "nginx/nginx.conf", `"~^CN=(?<cn>[A-Za-z0-9._-]+)(,O=[A-Za-z ]+)?$"`, `"~(^|,)CN=(?<cn>[^,]+)"`, "(^|,)"},
}

// annotated are changes of annotations of ingress-nginx.
var annotated = []change{
	{"LNT-040", "kubernetes/ingress.yaml", `verify-client: "on"`, `verify-client: "off"`, "verify-client"},
	{"LNT-040", "kubernetes/ingress.yaml", "    nginx.ingress.kubernetes.io/auth-tls-secret: aegis/client-ca\n", "", "verify-client"},
	{"LNT-041", "kubernetes/ingress.yaml", `verify-client: "on"`, `verify-client: optional_no_ca`, "verify-client"},
	{"LNT-043", "kubernetes/ingress.yaml", "x-ssl-client-cn $ssl", "x-client $ssl", "- path: /"},
	{"LNT-043", "kubernetes/ingress.yaml", "$ssl_client_s_dn;", "$http_x_ssl_client_cn;", "configuration-snippet"},
	{"LNT-046", "kubernetes/ingress.yaml", "  tls:\n    - hosts: [aegis.example.com]\n      secretName: aegis-tls\n", "", "- path: /"},
}

// otherProxies are the sound renderings of this project's own stack, changed.
var otherProxies = []change{
	{"LNT-040", "haproxy/haproxy.cfg", " verify required", " verify none", "verify none"},
	{"LNT-041", "haproxy/haproxy.cfg", " verify required", " verify optional crt-ignore-err all ca-ignore-err all", "crt-ignore-err"},
	{"LNT-042", "haproxy/haproxy.cfg", " ca-file /ca.pem", "", "verify required"},
	{"LNT-043", "haproxy/haproxy.cfg", "%[ssl_c_s_dn(cn)]", "%[req.hdr(x-client)]", "req.hdr"},
	{"LNT-044", "haproxy/haproxy.cfg", "	http-request set-header x-ssl-client-cn %[ssl_c_s_dn(cn)] if plain_cn !second_cn\n", "",
		"default_backend"},
	{"LNT-045", "haproxy/haproxy.cfg", "	http-request del-header _ -m sub\n	http-request del-header x-ssl-client-cn\n	# The one",
		"	http-request del-header x-ssl-client-cn\n	# The one", "default_backend"},
	{"LNT-047", "haproxy/haproxy.cfg", " verify required", " verify required ssl-min-ver TLSv1.1", "ssl-min-ver"},
	{"LNT-040", "caddy/Caddyfile", "			mode require_and_verify\n			trust_pool file /ca.pem\n", "			mode none\n", "mode none"},
	{"LNT-041", "caddy/Caddyfile", "require_and_verify", "require", "mode require"},
	{"LNT-042", "caddy/Caddyfile", "			trust_pool file /ca.pem\n", "", "mode"},
	{"LNT-043", "caddy/Caddyfile", "		header_up x-ssl-client-cn {client_cn}\n", "", "reverse_proxy"},
	{"LNT-043", "caddy/Caddyfile", "		header_up x-ssl-client-cn {client_cn}\n", "		header_up +x-ssl-client-cn {client_cn}\n", "header_up +"},
	{"LNT-044", "caddy/Caddyfile", "header_up x-ssl-client-cn {client_cn}", "header_up x-ssl-client-cn anybody", "reverse_proxy"},
	{"LNT-048", "caddy/Caddyfile", "[,+])*?CN=", "[,+])*?.*?CN=", "CN="},
	{"LNT-040", "envoy/envoy.yaml", "            validation_context:\n              trusted_ca: {filename: /ca.pem}\n" +
		"              trust_chain_verification: VERIFY_TRUST_CHAIN\n          require_client_certificate: true\n", "", "typed_config"},
	{"LNT-041", "envoy/envoy.yaml", "VERIFY_TRUST_CHAIN", "ACCEPT_UNTRUSTED", "require_client"},
	{"LNT-041", "envoy/envoy.yaml", "              trusted_ca: {filename: /ca.pem}\n", "", "require_client"},
	{"LNT-043", "envoy/envoy.yaml", `headers:remove("x-ssl-client-cn")`, "", "filters.http.lua"},
	{"LNT-044", "envoy/envoy.yaml", "subjectPeerCertificate()", "sessionId()", "match:"},
	{"LNT-045", "envoy/envoy.yaml", "headers_with_underscores_action: DROP_HEADER", "max_headers_count: 100", "match:"},
	{"LNT-047", "envoy/envoy.yaml", "minimum_protocol_version: TLSv1_2", "minimum_protocol_version: TLSv1_1", "TLSv1_1"},
}

// TestEachRuleFindsItsChangeElsewhere changes one field at a time of what the stack's
// other ingresses are rendered as.
func TestEachRuleFindsItsChangeElsewhere(t *testing.T) {
	for _, c := range otherProxies {
		t.Run(c.rule+" "+c.file+" "+strings.TrimSpace(c.new), func(t *testing.T) {
			dir := t.TempDir()
			text, err := renderings[c.file](servers()[1:])
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, c.file), text)
			c.found(t, dir)
		})
	}
}

var agreementChanges = []change{
	{"LNT-032", "vault/aegis-runtime.hcl", "path \"auth", "path \"secret/aegis/runtime\" {\n  capabilities = [\"read\"]\n}\n\npath \"auth",
		"secret/aegis/runtime"},
	{"LNT-061", "kubernetes/oidc.yaml", "uri: secret/data/aegis/runtime", "uri: secret/data/aegis/run-time", "run-time"},
	{"LNT-061", "kubernetes/mtls.yaml", "secretPath: secret/data/aegis/runtime", "secretPath: secret/aegis/runtime", "objects: |"},
	{"LNT-062", "vault/aegis.json", `["aegis-service-account"]`, `["aegis"]`, "hashicorp.com/role"},
	{"LNT-063", "kubernetes/oidc.yaml", "value: /vault/secrets", "value: /run/secrets", "SECRETS_DIR"},
	{"LNT-060", "kubernetes/mtls.yaml", "value: x-ssl-client-cn", "value: x-client-cn", "MTLS_ID_HEADER"},
	{"LNT-064", "vault/aegis.json", `["aegis-runtime"]`, `["aegis-runtime", "aegis-runtme"]`, "token_policies"},
}

// lineOf is the line that a finding stands at, from its column on.
func lineOf(t *testing.T, f lint.Finding) string {
	t.Helper()
	text, err := os.ReadFile(f.File)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Split(string(text), "\n")[f.Line-1]
	if f.Column < 1 || f.Column > len(line) || strings.HasPrefix(line[f.Column-1:], " ") {
		t.Errorf("%s: no column of %q", f.Place, line)
	}
	return line
}

// found makes the change in a folder of sound files, and wants its rule alone to find it,
// where it is.
func (c change) found(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, c.file)
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(was), c.old); n != 1 {
		t.Fatalf("%q stands %d times in %s, want once", c.old, n, c.file)
	}
	write(t, path, strings.Replace(string(was), c.old, c.new, 1))
	r := lint.Run([]string{dir}, lint.Options{})
	if len(r.Findings) == 0 || len(r.Unreadable) > 0 {
		t.Fatalf("nothing was found, or not all was read:\n%s", lint.Text(r, words, true))
	}
	for _, f := range r.Findings {
		if f.Rule != c.rule {
			t.Errorf("found by %s, want %s alone: %s: %s", f.Rule, c.rule, f.Place, f.Got)
		}
	}
	if f := r.Findings[0]; !strings.Contains(lineOf(t, f), c.at) {
		t.Errorf("got %s: %q, want the line of %q", f.Place, lineOf(t, f), c.at)
	}
}

// TestEachRuleFindsItsChange changes one field of the sound files at a time.
func TestEachRuleFindsItsChange(t *testing.T) {
	proven := map[string]bool{}
	for _, c := range changes {
		proven[c.rule] = true
		t.Run(c.rule+" "+strings.TrimSpace(c.new), func(t *testing.T) { c.found(t, sound(t)) })
	}
	for _, c := range certificateChanges {
		proven[c.rule] = true
	}
	for _, rule := range lint.Rules() {
		if !proven[rule.ID] {
			t.Errorf("%s: no change of a sound file shows that it bites", rule.ID)
		}
	}
}

// TestOtherSoundFormsGiveNoFinding changes the sound files into what is as sound.
func TestOtherSoundFormsGiveNoFinding(t *testing.T) {
	for _, c := range []change{
		{"ssl on", "nginx/nginx.conf", "listen 443 ssl;", "listen 443;\n		ssl on;", ""},
		{"a refusal in place of a verification", "nginx/nginx.conf", "ssl_verify_client on;",
			"ssl_verify_client optional;\n		if ($ssl_client_verify != SUCCESS) { return 403; }", ""},
		{"a token alone", "kubernetes/oidc.yaml", "vault.hashicorp.com/agent-inject-secret-oidc_jwks_uri: secret/data/aegis/runtime",
			"vault.hashicorp.com/agent-inject-token: \"true\"", ""},
		{"a variable that the injector renders", "kubernetes/oidc.yaml",
			"            - name: OIDC_AUDIENCE\n              value: aegis\n", "            - name: A\n              value: b # OIDC_AUDIENCE\n", ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			dir := sound(t)
			path := filepath.Join(dir, c.file)
			was, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(was), c.old); n != 1 {
				t.Fatalf("%q stands %d times in %s, want once", c.old, n, c.file)
			}
			text := strings.Replace(string(was), c.old, c.new, 1)
			if strings.Contains(c.new, "OIDC_AUDIENCE") {
				text = strings.Replace(text, "{{- with", "export OIDC_AUDIENCE=aegis {{- with", 1)
			}
			write(t, path, text)
			clean(t, lint.Run([]string{dir}, lint.Options{}))
		})
	}
}
