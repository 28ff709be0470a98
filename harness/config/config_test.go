package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/strict"
	"aegis.test/conformance/harness/token"
)

// sound is a configuration that reads, and contradicts nothing.
const sound = `mode: both
target:
  name: aegis
  environment: staging
  url: https://aegis.test
endpoints:
  - name: inference
    path: /predict
    body: '{"inputs": [1]}'
    positive_call: harmless
`

// load reads text as staging.yaml, beside files of every kind.
func load(t *testing.T, text string, environ []string, set ...string) ([]config.Loaded, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range estate(t) {
		write(t, filepath.Join(dir, name), content)
	}
	path := filepath.Join(dir, "staging.yaml")
	write(t, path, text)
	return config.Load(config.Sources{Path: path, Environ: append(tokens(t), environ...), Set: set})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// estate are the files that configurations name.
func estate(t *testing.T) map[string]string {
	t.Helper()
	authority := try(certs.NewAuthority("Clients"))
	servers := try(certs.NewAuthority("Servers"))
	files := map[string]string{
		"staging-ca.pem": string(servers.RootPEM()), "empty.pem": "\n", "text.pem": "no PEM",
		"leaf.pem": string(try(servers.Server("aegis.test")).ChainPEM()),
	}
	for name, pair := range map[string]certs.Pair{
		"clients-ca": authority.Pair(), "idp": try(certs.NewAuthority("IdP")).Pair(),
		"enrolled": try(authority.Issue(certs.Leaf{CommonName: "enrolled"})), "unenrolled": try(authority.Issue(certs.Leaf{CommonName: "unenrolled"})),
	} {
		files[name+".crt"], files[name+".key"] = string(pair.ChainPEM()), string(try(pair.KeyPEM()))
	}
	return files
}

func try[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// tokens are the variables that configurations name.
func tokens(t *testing.T) []string {
	t.Helper()
	key := try(certs.NewAuthority("IdP")).Pair()
	target := &harness.Target{
		Profile: harness.Profile{Issuer: "https://idp.staging.example", Audience: "aegis"},
		Tokens:  harness.TokenGrant{Signing: []harness.SigningKey{{ID: "k", Algorithm: "ES256", PEM: harness.Secret(try(key.KeyPEM()))}}},
	}
	valid := try(token.Sound().Make(token.From(target)))
	expired := try(token.Expired(1e12).Make(token.From(target)))
	return []string{
		"STAGING_TOKEN=" + valid, "STAGING_EXPIRED_TOKEN=" + expired, "STAGING_OTHER_REALM_TOKEN=" + valid,
		"STAGING_CLIENT_SECRET=s3cr3t-s3cr3t", "STAGING_ROLE_ID=role", "STAGING_SECRET_ID=secret", "STAGING_SERVICE_TOKEN=hvs.x", "STAGING_CLIENT_TOKEN=hvs.y", "STAGING_AWS_KEY_ID=AKIAX", "STAGING_AWS_SECRET_KEY=s3cr3t-aws", "OPAQUE=opaque",
	}
}

func TestSound(t *testing.T) {
	all, err := load(t, sound, nil)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d targets, %v", len(all), err)
	}
	l := all[0]
	if l.Rails.Rate != 5 || l.Rails.Burst != 10 || l.Endpoints[0].Method != "POST" || l.Target.URL != "https://aegis.test" {
		t.Errorf("got %+v", l.File)
	}
}

// TestSeveralRefusals: an ingress may refuse in several ways, and one may stand alone.
func TestSeveralRefusals(t *testing.T) {
	for text, want := range map[string][]string{"tls": {"tls"}, "[http401, tls]": {"http401", "tls"}, `["http400"]`: {"http400"}} {
		for _, way := range []struct {
			file string
			set  []string
		}{{sound + "\nprofile: {bad_certificate: " + text + "}\n", nil}, {sound, []string{"profile.bad_certificate=" + text}}} {
			all, err := load(t, way.file, nil, way.set...)
			if err != nil || !slices.Equal(all[0].Profile.BadCertificate, want) {
				t.Errorf("%s: %v, %v", text, all, err)
			}
		}
	}
	for _, text := range []string{"[http401, http500]", "http500", "[401]", "401", "[[tls]]"} {
		if _, err := load(t, sound, nil, "profile.bad_certificate="+text); err == nil || !strings.Contains(err.Error(), "profile.bad_certificate") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestBeginningAndExamples: each is read, and each holds to the schema.
func TestBeginningAndExamples(t *testing.T) {
	texts := map[string]string{"beginning": config.Beginning, "beginning, every line of it": uncommented(config.Beginning)}
	examples, err := filepath.Glob("../../suites/examples/*.yaml")
	if err != nil || len(examples) < 10 {
		t.Fatalf("%d examples (%v), want ten and more", len(examples), err)
	}
	for _, path := range examples {
		texts[filepath.Base(path)] = string(try(os.ReadFile(path)))
	}
	schema := compiled(t)
	for name, text := range texts {
		if name == "beginning, every line of it" { // two ways to the same thing: read, not loaded
			text = strings.Replace(text, "    valid: env:STAGING_TOKEN\n", "", 1)
		}
		// what Kubernetes puts into a pod is not here
		if _, err := load(t, strings.ReplaceAll(text, "file:/var/run/secrets/vault/token", "env:OPAQUE"), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := schema.Validate(asJSON(t, text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// uncommented takes the hash from commented-out lines of configuration.
func uncommented(text string) string {
	return regexp.MustCompile(`(?m)^( *)# ( *(?:- |[a-z_]+: ?.*|[a-z_]+:)$)`).ReplaceAllString(text, "$1$2")
}

func asJSON(t *testing.T, text string) any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text := try(config.Schema())
	c := jsonschema.NewCompiler()
	if err := c.AddResource(config.SchemaID, try(jsonschema.UnmarshalJSON(bytes.NewReader(text)))); err != nil {
		t.Fatal(err)
	}
	return try(c.Compile(config.SchemaID))
}

// TestMistakes: each is told at its line and column, with what to do and
// without the value; those that are about the form break the schema, too.
func TestMistakes(t *testing.T) {
	const secret = "very-secret-value"
	for name, row := range map[string]struct {
		change [2]string // in sound
		wants  []string
		form   bool
	}{
		"unknown key":           {[2]string{"  url:", "  urll:"}, []string{"staging.yaml:5:3: target.urll", `the nearest is "url"`}, true},
		"unknown section":       {[2]string{"mode: both", "mod: both"}, []string{"staging.yaml:1:1: mod", `the nearest is "mode"`}, true},
		"twice":                 {[2]string{"  name: aegis", "  name: aegis\n  name: other"}, []string{"staging.yaml:4:3: target.name", "twice"}, false},
		"wrong type":            {[2]string{"mode: both", "mode: both\nrails: {rate: fast}"}, []string{"staging.yaml:2:15: rails.rate", "want a number"}, true},
		"no duration":           {[2]string{"mode: both", "mode: both\nrails: {time_out: 10}"}, []string{"staging.yaml:2:19: rails.time_out", "30s"}, true},
		"unknown value":         {[2]string{"mode: both", "mode: boht"}, []string{"staging.yaml:1:7: mode", `"both"`}, true},
		"production":            {[2]string{"environment: staging", "environment: production"}, []string{"staging.yaml:4:16: target.environment", "staging, test"}, true},
		"literal":               {[2]string{"mode: both", "mode: both\ngrants: {tokens: {valid: " + secret + "}}"}, []string{"staging.yaml:2:26: grants.tokens.valid", "a literal", "env:NAME"}, true},
		"no list":               {[2]string{"    path: /predict", "    path: [/predict]"}, []string{"staging.yaml:8:11: endpoints[0].path", "got a list, want text"}, true},
		"missing":               {[2]string{"    positive_call: harmless\n", ""}, []string{"endpoints[0].positive_call: it is missing"}, true},
		"missing section":       {[2]string{"  environment: staging\n", ""}, []string{"target.environment: it is missing"}, true},
		"anchor":                {[2]string{"mode: both", "mode: &m both"}, []string{"staging.yaml:1:7: mode", "anchors"}, false},
		"no YAML":               {[2]string{"mode: both", "mode: [both"}, []string{"staging.yaml:2:1", "no YAML"}, false},
		"path in URL":           {[2]string{"https://aegis.test", "https://aegis.test/" + secret}, []string{"staging.yaml:5:8: target.url", "it has a path"}, false},
		"password in URL":       {[2]string{"https://aegis.test", "https://me:" + secret + "@aegis.test"}, []string{"staging.yaml:5:8: target.url", "no URL"}, true},
		"body is no JSON":       {[2]string{`{"inputs": [1]}`, `{"inputs": `}, []string{"staging.yaml:9:11: endpoints[0].body", "no JSON"}, false},
		"plain mtls":            {[2]string{"https://aegis.test", "http://aegis.test"}, []string{"target.url", "mode mtls needs TLS"}, false},
		"not set":               {[2]string{"mode: both", "mode: both\ngrants: {tokens: {valid: env:NOT_SET}}"}, []string{"staging.yaml:2:26: grants.tokens.valid", "export NOT_SET"}, false},
		"no file":               {[2]string{"mode: both", "mode: both\ngrants: {tokens: {valid: file:none}}"}, []string{"staging.yaml:2:26: grants.tokens.valid", "no such file", "name another"}, false},
		"opaque token":          {[2]string{"mode: both", "mode: both\ngrants: {tokens: {valid: env:OPAQUE}}"}, []string{"grants.tokens.valid", "no JWS"}, false},
		"expired valid":         {[2]string{"mode: both", "mode: both\ngrants: {tokens: {valid: env:STAGING_EXPIRED_TOKEN}}"}, []string{"grants.tokens.valid", "has expired"}, false},
		"expired is not":        {[2]string{"mode: both", "mode: both\ngrants: {tokens: {expired: env:STAGING_TOKEN}}"}, []string{"grants.tokens.expired", "has not expired"}, false},
		"other audience":        {[2]string{"mode: both", "mode: both\nprofile: {audience: other}\ngrants: {tokens: {valid: env:STAGING_TOKEN}}"}, []string{"staging.yaml:2:21: profile.audience", "another aud"}, false},
		"other issuer":          {[2]string{"mode: both", "mode: both\nprofile: {issuer: other}\ngrants: {tokens: {valid: env:STAGING_TOKEN}}"}, []string{"profile.issuer", "another iss"}, false},
		"other key":             {[2]string{"mode: both", "mode: both\ngrants: {certificates: {enrolled: {certificate: file:enrolled.crt, key: file:unenrolled.key}}}"}, []string{"grants.certificates.enrolled", "the key is not that"}, false},
		"half a pair":           {[2]string{"mode: both", "mode: both\ngrants: {certificates: {enrolled: {certificate: file:enrolled.crt}}}"}, []string{"grants.certificates.enrolled", "not whole"}, false},
		"same client":           {[2]string{"mode: both", "mode: both\ngrants: {certificates: {enrolled: {certificate: file:enrolled.crt, key: file:enrolled.key}, unenrolled: {certificate: file:enrolled.crt, key: file:enrolled.key}}}"}, []string{"grants.certificates.unenrolled", "the enrolled client's name"}, false},
		"no authority":          {[2]string{"mode: both", "mode: both\ngrants: {certificates: {enrolled_cn: a, unenrolled_cn: b, authority: {certificate: file:enrolled.crt, key: file:enrolled.key}}}"}, []string{"grants.certificates.authority", "may not issue"}, false},
		"mail in XFCC":          {[2]string{"mode: both", "mode: both\nprofile: {identity: email, identity_header: X-Forwarded-Client-Cert}"}, []string{"profile.identity", "address of mail"}, false},
		"authority for none":    {[2]string{"mode: both", "mode: both\ngrants: {certificates: {authority: {certificate: file:clients-ca.crt, key: file:clients-ca.key}}}"}, []string{"grants.certificates.authority", "enrolled_cn"}, false},
		"bundle of a leaf":      {[2]string{"  name: aegis", "  name: aegis\n  ca_bundle: file:leaf.pem"}, []string{"staging.yaml:4:14: target.ca_bundle", "nothing verifies"}, false},
		"bundle of text":        {[2]string{"  name: aegis", "  name: aegis\n  ca_bundle: file:text.pem"}, []string{"target.ca_bundle", "no certificate in it"}, false},
		"key of another curve":  {[2]string{"mode: both", "mode: both\ngrants: {tokens: {signing_key: {key: file:idp.key, id: k, algorithm: ES384}}}"}, []string{"staging.yaml:2:70: grants.tokens.signing_key.algorithm", "an EC key on P-256 does not sign by it: set it to ES256"}, false},
		"a further key":         {[2]string{"mode: both", "mode: both\nprofile: {issuer: https://i, audience: a}\ngrants: {tokens: {signing_keys: [{key: file:idp.key, id: k, algorithm: RS256}]}}"}, []string{"grants.tokens.signing_keys[0].algorithm", "an EC key on P-256 does not sign by it"}, false},
		"a further key of none": {[2]string{"mode: both", "mode: both\nprofile: {issuer: https://i, audience: a}\ngrants: {tokens: {signing_keys: [{key: file:nowhere.key, id: k, algorithm: RS256}]}}"}, []string{"grants.tokens.signing_keys[0].key", "nowhere.key"}, false},
		"tokens of nobody":      {[2]string{"mode: both", "mode: both\nprofile: {issuer: https://i}\ngrants: {tokens: {signing_key: {key: file:idp.key, id: k, algorithm: ES256}}}"}, []string{"staging.yaml:3:32: grants.tokens.signing_key", "give profile.issuer and profile.audience"}, false},
		"a release before none": {[2]string{"mode: both", "mode: both\nservice: {previous_image: a}"}, []string{"staging.yaml:2:27: service.previous_image", "give service.image"}, false},
		"one client alone":      {[2]string{"mode: both", "mode: both\ngrants: {certificates: {enrolled: {certificate: file:enrolled.crt, key: file:enrolled.key}}}"}, []string{"grants.certificates.unenrolled", "missing beside the other"}, false},
		"a tab":                 {[2]string{"  environment:", "\tenvironment:"}, []string{"staging.yaml:4:", "indent by spaces"}, false},
		"key of another alg":    {[2]string{"mode: both", "mode: both\ngrants: {tokens: {signing_key: {key: file:idp.key, id: k, algorithm: RS256}}}"}, []string{"grants.tokens.signing_key.algorithm", "does not sign"}, false},
		"a wall":                {[2]string{"mode: both", "mode: both\nprofile: {success: [200, 401]}"}, []string{"staging.yaml:2:", "profile.success[1]", "401 is no success"}, false},
		"a redirect for all":    {[2]string{"mode: both", "mode: both\nprofile: {success: [302]}"}, []string{"profile.success[0]", "302 is no success"}, false},
		"unused mode":           {[2]string{"mode: both", "mode: oidc\nprofile: {no_certificate: tls}"}, []string{"profile.no_certificate", "never be used"}, false},
		"vault nowhere":         {[2]string{"mode: both", "mode: both\ngrants: {tokens: {valid: \"vault:a#b\"}}"}, []string{"grants.tokens.valid", "no address"}, false},
		"half of the logs":      {[2]string{"mode: both", "mode: both\ngrants: {component_logs: {ingress: [cat, x], oidc: [cat, y]}}"}, []string{"grants.component_logs", "not whole"}, false},
		"AWS by halves":         {[2]string{"mode: both", "mode: both\ngrants: {aws: {region: r, access_key_id: env:OPAQUE}}"}, []string{"grants.aws", "not whole"}, false},
		"AWS and Vault":         {[2]string{"mode: both", "mode: both\ngrants: {aws: {region: r, access_key_id: env:OPAQUE, secret_access_key: env:OPAQUE}, vault: {address: https://v, login: {token: env:OPAQUE}}}"}, []string{"grants.aws", "grants.vault"}, false},
		"no service role":       {[2]string{"mode: both", "mode: both\ngrants: {vault: {address: https://v, service_role: {mount: m}, login: {token: env:OPAQUE}}}"}, []string{"grants.vault.service_role.role"}, false},
		"image beside others":   {[2]string{"mode: both", "mode: both\ntargets: [{target: {name: eu}}, {target: {name: us}, service: {image: team/aegis}}]"}, []string{"staging.yaml:2:", "service.image", "a file of its own"}, false},
		"two logins":            {[2]string{"mode: both", "mode: both\ngrants: {vault: {address: https://v, login: {token: env:OPAQUE, kubernetes: {role: r}}}}"}, []string{"grants.vault.login", "2 ways"}, false},
		"two ways to tokens":    {[2]string{"mode: both", "mode: both\ngrants: {tokens: {valid: env:STAGING_TOKEN, vault_role: r}, vault: {address: https://v, login: {token: env:OPAQUE}}}"}, []string{"grants.tokens", "more than one way"}, false},
	} {
		text := strings.Replace(sound, row.change[0], row.change[1], 1)
		if text == sound {
			t.Fatalf("%s changes nothing", name)
		}
		_, err := load(t, text, nil)
		var problems strict.Problems
		if !errors.As(err, &problems) || len(problems) != 1 {
			t.Errorf("%s: got %v, want one problem", name, err)
			continue
		}
		for _, want := range row.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want %q in it", name, err, want)
			}
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %q shows the value", name, err)
		}
		if row.form && compiled(t).Validate(asJSON(t, text)) == nil {
			t.Errorf("%s: the schema allows it", name)
		}
	}
}

// TestOverrides: a flag is over the environment, that over the file, and each
// says so.
func TestOverrides(t *testing.T) {
	all, err := load(t, sound, []string{"CONFORMANCE_TARGET_URL=https://environment", "CONFORMANCE_RAILS_RATE=3", "CONFORMANCE_RUNTIME=auto",
		"CONFORMANCE_ENDPOINTS=[{name: other, path: /other, positive_call: writes}]"},
		"target.url=https://flag", "grants.tokens.valid=env:STAGING_TOKEN", "rails.time_out=3s")
	if err != nil {
		t.Fatal(err)
	}
	l := all[0]
	if l.Target.URL != "https://flag" || l.Rails.Rate != 3 || l.Rails.TimeOut.String() != "3s" || len(l.Endpoints) != 1 || l.Endpoints[0].Name != "other" || l.Endpoints[0].Body != "" {
		t.Errorf("got %+v", l.File)
	}
	shown := l.Effective()
	for _, want := range []string{
		`url: "https://flag" +# --set`, `rate: 3 +# environment CONFORMANCE_RAILS_RATE`, `environment: "staging" +# staging\.yaml:4:16`,
		`burst: 10 +# default`, `valid: •••• +# env:STAGING_TOKEN, --set`, `- name: "other" +# environment CONFORMANCE_ENDPOINTS`,
	} {
		if !regexp.MustCompile(want).MatchString(shown) {
			t.Errorf("want %s in\n%s", want, shown)
		}
	}
	if strings.Contains(shown, "eyJ") {
		t.Errorf("a token is shown:\n%s", shown)
	}
	for _, row := range []struct{ environ, set, want string }{
		{"CONFORMANCE_TARGET_URLL=x", "rails.rate=1", "CONFORMANCE_TARGET_URL"},
		{"X=y", "target.urll=x", `"target.url"`},
		{"X=y", "target.url", "target.url"},
		{"CONFORMANCE_GRANTS_TOKENS_VALID=secret-literal", "rails.rate=1", "environment CONFORMANCE_GRANTS_TOKENS_VALID"},
		{"X=y", "endpoints=[", "write it as YAML"},
	} {
		if row.set == "target.url" {
			row.set = "target_url=x"
		}
		if _, err := load(t, sound, []string{row.environ}, row.set); err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "secret-literal") {
			t.Errorf("%+v: got %v", row, err)
		}
	}
}

func TestSeveralTargets(t *testing.T) {
	all, err := load(t, sound+"targets:\n  - target: {name: eu, url: https://eu.test}\n  - target: {name: us}\n    rails: {rate: 1}\n", nil)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d targets, %v", len(all), err)
	}
	if all[0].Target.URL != "https://eu.test" || all[0].Rails.Rate != 5 || all[1].Target.URL != "https://aegis.test" || all[1].Rails.Rate != 1 || all[1].Target.Environment != "staging" {
		t.Errorf("got %+v and %+v", all[0].File, all[1].File)
	}
	if _, err := load(t, sound+"targets:\n  - target: {name: eu}\n  - target: {name: eu}\n", nil); err == nil || !strings.Contains(err.Error(), "a name of its own") {
		t.Errorf("got %v, want two of one name refused", err)
	}
	if _, err := load(t, sound+"targets:\n  - target: {urll: x}\n", nil); err == nil || !strings.Contains(err.Error(), "staging.yaml:12:14: targets[0].target.urll") {
		t.Errorf("got %v", err)
	}
}

// TestSchemaAgreesWithTypes: every key of the types is in the schema with a
// description, and no other; every default can be set.
func TestSchemaAgreesWithTypes(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(try(config.Schema()), &schema); err != nil {
		t.Fatal(err)
	}
	properties := schema["properties"].(map[string]any)
	delete(properties, "targets")
	agree(t, "", reflect.TypeFor[config.File](), properties)
	l := try(load(t, sound, nil))[0]
	for path, origin := range l.Origins {
		if origin == "default" && !strings.Contains(l.Effective(), path[strings.LastIndex(path, ".")+1:]+": ") {
			t.Errorf("%s has a default that is not shown", path)
		}
	}
}

func agree(t *testing.T, path string, typ reflect.Type, properties map[string]any) {
	t.Helper()
	for i := range typ.NumField() {
		f := typ.Field(i)
		name := f.Tag.Get("yaml")
		p, ok := properties[name].(map[string]any)
		if !ok || p["description"] == "" || f.Tag.Get("says") == "" {
			t.Errorf("%s.%s: not in the schema, or without a description", path, name)
			continue
		}
		delete(properties, name)
		if f.Type.Kind() == reflect.Struct {
			agree(t, path+"."+name, f.Type, p["properties"].(map[string]any))
		}
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			agree(t, path+"."+name, f.Type.Elem(), p["items"].(map[string]any)["properties"].(map[string]any))
		}
	}
	for name := range properties {
		t.Errorf("%s.%s is in the schema, and in no type", path, name)
	}
}

// TestSecretsOfOneLine: a token or a password in a file ends where its line does, and
// PEM keeps its own.
func TestSecretsOfOneLine(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]string{
		"hvs.token\n": "hvs.token", "hvs.token\r\n": "hvs.token", "hvs.token": "hvs.token", "\n hvs.token \n\n": "hvs.token",
		"-----BEGIN X-----\nAAAA\n-----END X-----\n": "-----BEGIN X-----\nAAAA\n-----END X-----\n",
		"-----BEGIN X-----\nAAAA\n-----END X-----":   "-----BEGIN X-----\nAAAA\n-----END X-----\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := config.Lookup{Getenv: os.Getenv, Dir: dir}.Value("file:secret")
		if err != nil || got.Reveal() != want {
			t.Errorf("%q is read as %q, %v; want %q", content, got.Reveal(), err, want)
		}
	}
}
