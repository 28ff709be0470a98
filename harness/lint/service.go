package lint

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint/manifest"
	"aegis.test/conformance/harness/lint/place"
)

// service are the rules of what the service is started with.
var service = []Rule{
	{
		ID: "LNT-001", Clauses: []string{"2.5", "2.6", "2.7"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "the service would start in no mode that anybody chose",
		Says:   "The service's manifest says its AUTH_MODE.",
		Remedy: "set AUTH_MODE to oidc or mtls in the container's env",
		Check: func(t *Tree) []Hit {
			return each(t.services(), func(c *manifest.Container) []Hit {
				return c1(needs(c, "AUTH_MODE", "oidc or mtls"))
			})
		},
	},
	{
		ID: "LNT-002", Clauses: []string{"2.5", "7.5"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "AUTH_MODE=none of a debug image that was left in; OIDC for oidc",
		Says:   "AUTH_MODE is oidc or mtls, in these letters.",
		Remedy: "set AUTH_MODE to oidc or mtls; none is for a debug image that is taken away again (runbook section 7)",
		Check: func(t *Tree) []Hit {
			return each(t.services(), func(c *manifest.Container) []Hit {
				v := c.Env["AUTH_MODE"]
				if !v.Known || v.Value == string(harness.OIDC) || v.Value == string(harness.MTLS) {
					return nil
				}
				return []Hit{{At: v.At, Got: fmt.Sprintf("AUTH_MODE %q", v.Value), Want: "oidc or mtls"}}
			})
		},
	},
	{
		ID: "LNT-003", Clauses: []string{"2.6", "4.4"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "B23: a service that starts without an issuer believes any",
		Says:   "In mode oidc the service is given the issuer that it believes.",
		Remedy: "set OIDC_ISSUER to the iss of your IdP's tokens, exactly",
		Check:  inOIDC(func(t *Tree, c *manifest.Container) []Hit { return c1(needs(c, "OIDC_ISSUER", "your IdP's iss")) }),
	},
	{
		ID: "LNT-004", Clauses: []string{"2.6", "4.4"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "B23: a service that starts without an audience takes tokens that were meant for others",
		Says:   "In mode oidc the service is given the audience that tokens must be meant for.",
		Remedy: "set OIDC_AUDIENCE to the aud that your IdP puts into tokens for this service",
		Check:  inOIDC(func(t *Tree, c *manifest.Container) []Hit { return c1(needs(c, "OIDC_AUDIENCE", "the service's aud")) }),
	},
	{
		ID: "LNT-005", Clauses: []string{"2.6"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "OpenID Connect Discovery 1.0 section 3: jwks_uri is https",
		Says:   "In mode oidc the key set comes from the environment or from the secret store, over https.",
		Remedy: "put oidc_jwks_uri into aegis/runtime, or set OIDC_JWKS_URI to an https URL",
		Check: inOIDC(func(t *Tree, c *manifest.Container) []Hit {
			v, given := c.Env["OIDC_JWKS_URI"]
			switch {
			case given && v.Known && !strings.HasPrefix(strings.ToLower(v.Value), "https://"):
				return []Hit{{At: v.At, Got: fmt.Sprintf("OIDC_JWKS_URI %q", v.Value), Want: "an https URL"}}
			case given || store(c) != "":
				return nil
			}
			return c1(needs(c, "OIDC_JWKS_URI", "an https URL, or a secret store that holds oidc_jwks_uri"))
		}),
	},
	{
		ID: "LNT-006", Clauses: []string{"2.7", "3.4"}, Level: harness.SHOULD, Kind: Kubernetes,
		Source: "a default that ingress and service do not share",
		Says:   "In mode mtls the manifest names the header that carries the client's identity.",
		Remedy: "set MTLS_ID_HEADER to the header that the ingress sets, such as x-ssl-client-cn",
		Check: func(t *Tree) []Hit {
			return each(t.services(), func(c *manifest.Container) []Hit {
				if mode(c) != harness.MTLS {
					return nil
				}
				return c1(needs(c, "MTLS_ID_HEADER", "the header that the ingress sets"))
			})
		},
	},
	{
		ID: "LNT-007", Clauses: []string{"G.1", "2.2", "5.1"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "secrets that are baked into an image or an environment",
		Says:   "The service is given a secret store to read its runtime secrets from.",
		Remedy: "give it VAULT_ADDR, SECRETS_DIR or AWS_SECRET_ID, or let Vault's injector or the CSI driver write files",
		Check: func(t *Tree) []Hit {
			return each(t.services(), func(c *manifest.Container) []Hit {
				if store(c) != "" {
					return nil
				}
				return c1(needs(c, "VAULT_ADDR", "VAULT_ADDR, SECRETS_DIR, AWS_SECRET_ID, or files that the injector or the CSI driver writes"))
			})
		},
	},
	{
		ID: "LNT-008", Clauses: []string{"3.5"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "ING-001: a caller who reaches the service beside the ingress names himself",
		Says:   "In mode mtls nothing but the ingress reaches the service: it has no port on the nodes or on a load balancer.",
		Remedy: "make the Service a ClusterIP, take hostPort and hostNetwork away, and let the ingress alone reach it",
		Check:  outside,
	},
}

// each gathers what is found in each of a list.
func each[T any](list []T, check func(T) []Hit) []Hit {
	var all []Hit
	for _, one := range list {
		all = append(all, check(one)...)
	}
	return all
}

// c1 is a hit, or none, as a list.
func c1(h Hit, wrong bool) []Hit {
	if !wrong {
		return nil
	}
	return []Hit{h}
}

// inOIDC holds every service in mode oidc.
func inOIDC(check func(*Tree, *manifest.Container) []Hit) func(*Tree) []Hit {
	return func(t *Tree) []Hit {
		return each(t.services(), func(c *manifest.Container) []Hit {
			if mode(c) != harness.OIDC {
				return nil
			}
			return check(t, c)
		})
	}
}

// needs wants a variable that is given, and not empty. Where it may come from something
// that is not among the files, that is said.
func needs(c *manifest.Container, name, want string) (h Hit, wrong bool) {
	v, given := c.Env[name]
	at := c.Here("env")
	if given {
		at = v.At
	}
	switch {
	case given && (!v.Known || v.Value != ""), rendered(c, name):
		return Hit{}, false
	case given:
		return Hit{At: at, Got: name + " is empty in " + c.String(), Want: want}, true
	case len(c.Unseen) > 0:
		return Hit{At: c.Unseen[0].At, Unseen: fmt.Sprintf("%s of %s may come from %s, which is not among the files", name, c, c.Unseen[0])},
			true
	default:
		return Hit{At: at, Got: "no " + name + " in " + c.String(), Want: want}, true
	}
}

// rendered says whether a template of the injector's writes a variable.
func rendered(c *manifest.Container, name string) bool {
	for key, text := range c.Template.Annotations {
		if strings.HasPrefix(key, injector+"agent-inject-template") && strings.Contains(text, name) {
			return true
		}
	}
	return false
}

// store names what the service reads its runtime secrets from; "" where nothing is said.
func store(c *manifest.Container) string {
	for _, name := range []string{"VAULT_ADDR", "SECRETS_DIR", "AWS_SECRET_ID"} {
		if _, given := c.Env[name]; given {
			return name
		}
	}
	if injects(c.Workload) {
		return injector + "agent-inject"
	}
	for _, v := range c.Template.Spec.Volumes {
		if v.CSI != nil && v.CSI.Driver == csiDriver {
			return "volume " + v.Name
		}
	}
	return ""
}

// outside finds ways to a service in mode mtls that lead past the ingress.
func outside(t *Tree) []Hit {
	var hits []Hit
	for _, c := range t.services() {
		if mode(c) != harness.MTLS {
			continue
		}
		if c.Template.Spec.HostNetwork {
			hits = append(hits, Hit{At: c.In("spec", "hostNetwork"), Got: "hostNetwork: true", Want: "no port on the node"})
		}
		for i, p := range c.Container.Ports {
			if p.HostPort != 0 {
				hits = append(hits, Hit{At: c.Here("ports", i, "hostPort"), Got: fmt.Sprintf("hostPort: %d", p.HostPort), Want: "no port on the node"})
			}
		}
		for _, o := range t.Objects {
			s, ok := o.Value.(*corev1.Service)
			if !ok || !manifest.Same(o.Meta.Namespace, c.Meta.Namespace) || !selects(s.Spec.Selector, c.Template.Labels) {
				continue
			}
			if s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.Type == corev1.ServiceTypeLoadBalancer {
				hits = append(hits, Hit{At: o.At("spec", "type"), Got: fmt.Sprintf("%s of type %s", o, s.Spec.Type), Want: "ClusterIP"})
			}
		}
	}
	return hits
}

// selects says whether a selector chooses Pods of these labels.
func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return len(selector) > 0
}

// orAt is the first place that is known.
func orAt(a, b place.Place) place.Place {
	if a.Line != 0 {
		return a
	}
	return b
}
