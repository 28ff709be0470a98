package lint

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint/manifest"
	"aegis.test/conformance/harness/lint/place"
)

// secrets are the rules of what is secret and must not stand in what is committed.
var secrets = []Rule{
	{
		ID: "LNT-010", Clauses: []string{"G.1", "1.5"}, Source: "X-770, X-766; ASVS 13.3.1", Level: harness.MUST, Kind: Kubernetes,
		Says:   "No container is given a token of Vault's in its environment: it logs in as its service account.",
		Remedy: "take VAULT_TOKEN away, and log in by Kubernetes auth, by the injector or by the CSI driver",
		Check: func(t *Tree) []Hit {
			return t.eachContainer(func(c *manifest.Container) []Hit {
				v, given := c.Env["VAULT_TOKEN"]
				if !given || v.Known && v.Value == "" {
					return nil
				}
				return []Hit{{At: v.At, Got: "VAULT_TOKEN from " + origin(v) + " in " + c.String(), Want: "a login by the Pod's service account"}}
			})
		},
	},
	{
		ID: "LNT-011", Clauses: []string{"G.1"}, Source: "X-771; ASVS 13.3.1", Level: harness.MUST, Kind: Kubernetes,
		Says:   "No secret stands as a literal in a container's environment, arguments or command.",
		Remedy: "keep it in the secret store and let the service read it from there; then change it, for it is in the history",
		Check: func(t *Tree) []Hit {
			return t.eachContainer(func(c *manifest.Container) []Hit {
				var hits []Hit
				for _, name := range slices.Sorted(maps.Keys(c.Env)) {
					v := c.Env[name]
					if name == "VAULT_TOKEN" || v.Kind != "" || !v.Known || !secret(name, v.Value) {
						continue
					}
					hits = append(hits, Hit{At: v.At, Got: fmt.Sprintf("%s as a literal of %d characters in %s", name, len(v.Value), c),
						Want: "no secret in the manifest"})
				}
				for key, words := range map[string][]string{"args": c.Container.Args, "command": c.Container.Command} {
					for i, word := range words {
						if shape.MatchString(word) {
							hits = append(hits, Hit{At: c.Here(key, i), Got: "a secret in " + key + " of " + c.String(), Want: "no secret in the manifest"})
						}
					}
				}
				return hits
			})
		},
	},
	{
		ID: "LNT-012", Clauses: []string{"G.1"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "M-196: a script that copies Vault to a ConfigMap",
		Says:   "No ConfigMap holds a secret.",
		Remedy: "keep it in the secret store; then change it, for it is in the history",
		Check: func(t *Tree) []Hit {
			return each(t.Objects, func(o *manifest.Object) []Hit {
				data, at := o.Data()
				var hits []Hit
				for _, key := range slices.Sorted(maps.Keys(data)) {
					if secret(key, data[key]) {
						hits = append(hits, Hit{At: at(key), Got: fmt.Sprintf("%s of %s: a secret of %d characters", key, o, len(data[key])),
							Want: "no secret in a ConfigMap"})
					}
				}
				return hits
			})
		},
	},
	{
		ID: "LNT-013", Clauses: []string{"G.1", "1.6"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "a Secret is base64, and committed it is everybody's",
		Says:   "No Secret is committed with what it holds.",
		Remedy: "let the secret store populate it (injector, CSI driver, an operator); then change it, for it is in the history",
		Check: func(t *Tree) []Hit {
			return each(t.Objects, func(o *manifest.Object) []Hit {
				s, ok := o.Value.(*corev1.Secret)
				if !ok {
					return nil
				}
				var hits []Hit
				held := func(field, key, value string) {
					if value != "" && !placeholder.MatchString(value) && !public(value) {
						hits = append(hits, Hit{At: o.At(field, key), Got: fmt.Sprintf("%s of %s: %d bytes", key, o, len(value)), Want: "no value"})
					}
				}
				for _, key := range slices.Sorted(maps.Keys(s.Data)) {
					held("data", key, string(s.Data[key]))
				}
				for _, key := range slices.Sorted(maps.Keys(s.StringData)) {
					held("stringData", key, s.StringData[key])
				}
				return hits
			})
		},
	},
	{
		ID: "LNT-014", Clauses: []string{"1.2"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "B12: whoever answers for Vault gives the key set",
		Says:   "Vault is called over https, and its certificate is verified.",
		Remedy: "use Vault's https address, give its CA, and take every skip of the verification away",
		Check:  unverifiedVault,
	},
	{
		ID: "LNT-015", Clauses: []string{"1.6"}, Source: "an injector that has no role logs in as nobody", Level: harness.MUST, Kind: Kubernetes,
		Says:   "Pods that Vault's injector writes files into say which role they log in by.",
		Remedy: "set the annotation vault.hashicorp.com/role to the role of Vault's Kubernetes auth",
		Check: func(t *Tree) []Hit {
			return each(t.injected(), func(w *manifest.Workload) []Hit {
				role, at, given := w.Annotation(injector + "role")
				if role != "" {
					return nil
				}
				if !given {
					_, at, _ = w.Annotation(injector + "agent-inject")
				}
				return []Hit{{At: at, Got: "no " + injector + "role on " + w.String(), Want: "the role of Kubernetes auth"}}
			})
		},
	},
	{
		ID: "LNT-016", Clauses: []string{"1.6"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "an agent that renders nothing: the service starts without its secrets",
		Says:   "Pods that Vault's injector is to write files into say which secrets.",
		Remedy: "add an annotation vault.hashicorp.com/agent-inject-secret-NAME with the secret's path",
		Check: func(t *Tree) []Hit {
			return each(t.injected(), func(w *manifest.Workload) []Hit {
				_, _, whole := w.Annotation(injector + "agent-configmap")
				if token, _, _ := w.Annotation(injector + "agent-inject-token"); whole || truth(token) || len(injectedPaths(w)) > 0 {
					return nil
				}
				_, at, _ := w.Annotation(injector + "agent-inject")
				return []Hit{{At: at, Got: "no " + injector + "agent-inject-secret-… on " + w.String(), Want: "one for each secret"}}
			})
		},
	},
	{
		ID: "LNT-017", Clauses: []string{"1.6"}, Level: harness.SHOULD, Kind: Kubernetes,
		Source: "M-196: Vault Agent's files for everybody to read",
		Says:   "What the injector writes is not for everybody to read.",
		Remedy: "set agent-inject-perms to 0440 or 0400",
		Check: func(t *Tree) []Hit {
			return each(t.injected(), func(w *manifest.Workload) []Hit {
				var hits []Hit
				for _, key := range slices.Sorted(maps.Keys(w.Template.Annotations)) {
					value := w.Template.Annotations[key]
					if strings.HasPrefix(key, injector+"agent-inject-perms") && !strings.HasSuffix(value, "0") {
						_, at, _ := w.Annotation(key)
						hits = append(hits, Hit{At: at, Got: fmt.Sprintf("%s %q", key, value), Want: "0440 or 0400"})
					}
				}
				return hits
			})
		},
	},
	{
		ID: "LNT-018", Clauses: []string{"1.7"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "the CSI provider's documentation: roleName and objects",
		Says:   "A SecretProviderClass for Vault names the role and the objects, each with its path and its key.",
		Remedy: "give parameters.roleName, and parameters.objects as a list of objectName, secretPath and secretKey",
		Check: func(t *Tree) []Hit {
			return each(t.Objects, func(o *manifest.Object) []Hit {
				_, ok, hits := providerObjects(o)
				if !ok {
					return nil
				}
				return hits
			})
		},
	},
	{
		ID: "LNT-019", Clauses: []string{"1.7"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "a class that nobody has written: the Pod never starts, or takes another team's",
		Says:   "A volume of the Secrets Store CSI driver names a SecretProviderClass, and is read-only.",
		Remedy: "set volumeAttributes.secretProviderClass and readOnly: true",
		Check: func(t *Tree) []Hit {
			return each(t.workloads(), func(w *manifest.Workload) []Hit {
				var hits []Hit
				for i, v := range w.Template.Spec.Volumes {
					if v.CSI == nil || v.CSI.Driver != csiDriver {
						continue
					}
					at := w.In("spec", "volumes", i, "csi")
					class := v.CSI.VolumeAttributes["secretProviderClass"]
					switch {
					case class == "":
						hits = append(hits, Hit{At: at, Got: "no secretProviderClass", Want: "the class's name"})
					case v.CSI.ReadOnly == nil || !*v.CSI.ReadOnly:
						hits = append(hits, Hit{At: at, Got: "a volume that is not readOnly", Want: "readOnly: true"})
					case manifest.Find(t.Objects, "SecretProviderClass", class, w.Object) == nil:
						hits = append(hits, Hit{At: at, Unseen: "SecretProviderClass/" + class + " is not among the files"})
					}
				}
				return hits
			})
		},
	},
}

// The names that the injector's annotations begin with, and the CSI driver's.
const (
	injector  = "vault.hashicorp.com/"
	csiDriver = "secrets-store.csi.k8s.io"
)

// eachContainer gathers what is found in each container of each workload.
func (t *Tree) eachContainer(check func(*manifest.Container) []Hit) []Hit {
	return each(t.workloads(), func(w *manifest.Workload) []Hit { return each(w.Containers(t.Objects), check) })
}

// injects says whether Vault's injector writes into a workload's Pods.
func injects(w *manifest.Workload) bool {
	value, _, _ := w.Annotation(injector + "agent-inject")
	return strings.EqualFold(value, "true")
}

func (t *Tree) injected() []*manifest.Workload {
	return slices.DeleteFunc(t.workloads(), func(w *manifest.Workload) bool { return !injects(w) })
}

// wanted is a path of Vault's that a manifest wants to read.
type wanted struct {
	at   place.Place
	path string
	role string
	by   *manifest.Workload // nil of a SecretProviderClass
}

// injectedPaths are the paths that the injector is to render.
func injectedPaths(w *manifest.Workload) []wanted {
	var all []wanted
	role, _, _ := w.Annotation(injector + "role")
	for _, key := range slices.Sorted(maps.Keys(w.Template.Annotations)) {
		if strings.HasPrefix(key, injector+"agent-inject-secret-") {
			path, at, _ := w.Annotation(key)
			all = append(all, wanted{at, path, role, w})
		}
	}
	return all
}

func origin(v manifest.Variable) string {
	if v.From == "" {
		return "a literal"
	}
	return v.From
}

var (
	// secretName is what a secret's name ends with, secretNot what ends that of its place.
	secretName = regexp.MustCompile(`(?i)(^|[_.-])(secret|token|password|passwd|` +
		`pwd|credentials?|private[_.-]?key|api[_.-]?key|access[_.-]?key|signing[_.-]?key)$`)
	// shape is what a secret looks like, whatever its name: a private key, a token of
	// Vault's, AWS's, GitHub's, a JWT, a URL with a password.
	shape = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY|\bhv[sbr]\.[A-Za-z0-9_-]{20,}|` +
		`\bs\.[A-Za-z0-9]{24}\b|\b(AKIA|ASIA)[0-9A-Z]{16}\b|` +
		`\bgh[pousr]_[A-Za-z0-9]{30,}|\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}|://[^/\s:@]+:[^/\s:@$<]+@`)
	placeholder = regexp.MustCompile(`^(<[^>]*>|\$\{[^}]*\}|\$\([^)]*\)|PLACEHOLDER)$`)
)

// secret says whether a value is one, by its name or by its shape. A path is none.
func secret(name, value string) bool {
	switch {
	case value == "" || placeholder.MatchString(value):
		return false
	case shape.MatchString(value):
		return true
	default:
		return secretName.MatchString(name) && !strings.HasPrefix(value, "/") && !strings.Contains(value, "\n")
	}
}

// public says whether a value is known by everybody: certificates and public keys.
func public(value string) bool {
	if decoded, err := base64.StdEncoding.DecodeString(value); err == nil {
		value = string(decoded)
	}
	value = strings.TrimSpace(value)
	return strings.HasPrefix(value, "-----BEGIN ") && !strings.Contains(value, "PRIVATE KEY")
}

// unverifiedVault finds where Vault is called in clear, or whoever answers is believed.
func unverifiedVault(t *Tree) []Hit {
	hits := t.eachContainer(func(c *manifest.Container) []Hit {
		var hits []Hit
		if v := c.Env["VAULT_ADDR"]; v.Known && strings.HasPrefix(strings.ToLower(v.Value), "http://") && !loopback(v.Value) {
			hits = append(hits, Hit{At: v.At, Got: fmt.Sprintf("VAULT_ADDR %q", v.Value), Want: "https"})
		}
		if v := c.Env["VAULT_SKIP_VERIFY"]; v.Known && truth(v.Value) {
			hits = append(hits, Hit{At: v.At, Got: fmt.Sprintf("VAULT_SKIP_VERIFY %q", v.Value), Want: "Vault's CA, and no skip"})
		}
		return hits
	})
	for _, w := range t.injected() {
		if value, at, _ := w.Annotation(injector + "tls-skip-verify"); truth(value) {
			hits = append(hits, Hit{At: at, Got: fmt.Sprintf("tls-skip-verify %q", value), Want: "Vault's CA, and no skip"})
		}
		if value, at, _ := w.Annotation(injector + "service"); strings.HasPrefix(strings.ToLower(value), "http://") {
			hits = append(hits, Hit{At: at, Got: fmt.Sprintf("service %q", value), Want: "https"})
		}
	}
	for _, o := range t.Objects {
		class, ok := o.Value.(*manifest.SecretProviderClass)
		if !ok || class.Spec.Provider != "vault" {
			continue
		}
		at := func(key string) place.Place { return o.At("spec", "parameters", key) }
		if value := class.Spec.Parameters["vaultAddress"]; strings.HasPrefix(strings.ToLower(value), "http://") {
			hits = append(hits, Hit{At: at("vaultAddress"), Got: fmt.Sprintf("vaultAddress %q", value), Want: "https"})
		}
		if value := class.Spec.Parameters["vaultSkipTLSVerify"]; truth(value) {
			hits = append(hits, Hit{At: at("vaultSkipTLSVerify"), Got: fmt.Sprintf("vaultSkipTLSVerify %q", value),
				Want: "Vault's CA, and no skip"})
		}
	}
	return hits
}

// loopback says whether a URL leads no further than the Pod: to its own agent.
func loopback(url string) bool {
	host := strings.TrimPrefix(strings.ToLower(url), "http://")
	return strings.HasPrefix(host, "127.0.0.1") || strings.HasPrefix(host, "localhost") || strings.HasPrefix(host, "[::1]")
}

func truth(text string) bool {
	return slices.Contains([]string{"1", "t", "true", "yes", "on"}, strings.ToLower(text))
}
