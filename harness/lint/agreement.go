package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint/manifest"
	"aegis.test/conformance/harness/lint/policy"
)

// agreement are the rules of what several files must say alike.
var agreement = []Rule{
	{
		ID: "LNT-060", Clauses: []string{"2.7", "3.4"}, Level: harness.MUST, Kind: Agreement,
		Source: "an ingress that says x-client-cn to a service that reads x-ssl-client-cn",
		Says:   "The ingress forwards the identity in the header that the service reads.",
		Remedy: "give MTLS_ID_HEADER and the ingress one name",
		Check: func(t *Tree) []Hit {
			set := t.identities("", true)
			if len(set) == 0 {
				return nil
			}
			return each(t.idHeaders(), func(h idHeader) []Hit {
				if names(set, h.name) {
					return nil
				}
				return []Hit{{At: h.at, Got: fmt.Sprintf("MTLS_ID_HEADER %q, and the ingress sets %s", h.name, strings.Join(set, ", ")),
					Want: "one name"}}
			})
		},
	},
	{
		ID: "LNT-061", Clauses: []string{"1.3", "1.5", "1.6", "1.7"}, Level: harness.MUST, Kind: Agreement,
		Source: "a path that was renamed in one of three files",
		Says:   "Every path that a manifest wants of Vault is one that a policy of the service's lets it read.",
		Remedy: "write the same path in the policy and in the annotation or the SecretProviderClass: " + runtimePath,
		Check: func(t *Tree) []Hit {
			if len(t.Policies) == 0 {
				return nil
			}
			return each(t.wanted(), func(w wanted) []Hit {
				for _, p := range t.policiesOf(w.role) {
					for _, g := range p.Grants {
						if g.Can("read") && !g.Denies() && g.Covers(strings.TrimPrefix(w.path, "/")) {
							return nil
						}
					}
				}
				return []Hit{{At: w.at, Got: fmt.Sprintf("%q, which no policy lets the service read", w.path), Want: "a path that a policy grants"}}
			})
		},
	},
	{
		ID: "LNT-062", Clauses: []string{"1.5"}, Level: harness.MUST, Kind: Agreement,
		Source: "a role that is bound to another account: the agent never logs in",
		Says:   "The role that a manifest logs in by lets the Pod's service account in.",
		Remedy: "name the Pod's account and namespace in the role, and the role in the manifest",
		Check: func(t *Tree) []Hit {
			return each(t.injected(), func(w *manifest.Workload) []Hit {
				name, at, _ := w.Annotation(injector + "role")
				r := t.role(name)
				if r == nil {
					return nil
				}
				account := w.Template.Spec.ServiceAccountName
				namespace := w.Meta.Namespace
				switch {
				case account != "" && account != "default" && !slices.Contains(r.Accounts, account) && !slices.Contains(r.Accounts, "*"):
					return []Hit{{At: at, Got: fmt.Sprintf("role %s lets %s in, and the Pods are %q", name, strings.Join(r.Accounts, ", "), account),
						Want: "the Pods' account"}}
				case namespace != "" && len(r.Namespaces) > 0 && !slices.Contains(r.Namespaces, namespace) && !slices.Contains(r.Namespaces, "*"):
					return []Hit{{At: at, Got: fmt.Sprintf("role %s lets namespace %s in, and the Pods are in %s", name, strings.Join(r.Namespaces,
						", "), namespace), Want: "the Pods' namespace"}}
				}
				return nil
			})
		},
	},
	{
		ID: "LNT-063", Clauses: []string{"1.6", "1.7", "2.2"}, Level: harness.MUST, Kind: Agreement,
		Source: "SECRETS_DIR where nothing is written",
		Says:   "SECRETS_DIR is where the injector or the CSI driver writes.",
		Remedy: "set SECRETS_DIR to the injector's folder (/vault/secrets unless an annotation says otherwise) or to the volume's mountPath",
		Check: func(t *Tree) []Hit {
			return each(t.services(), func(c *manifest.Container) []Hit {
				v, given := c.Env["SECRETS_DIR"]
				if !given || !v.Known {
					return nil
				}
				var places []string
				if injects(c.Workload) {
					at := "/vault/secrets"
					if other, _, given := c.Annotation(injector + "secret-volume-path"); given {
						at = other
					}
					places = append(places, at)
				}
				for _, m := range c.Container.VolumeMounts {
					places = append(places, m.MountPath)
				}
				dir := path.Clean(v.Value)
				if slices.ContainsFunc(places, func(p string) bool { p = path.Clean(p); return dir == p || strings.HasPrefix(dir, p+"/") }) {
					return nil
				}
				return []Hit{{At: v.At, Got: fmt.Sprintf("SECRETS_DIR %q, where nothing is mounted or written", v.Value),
					Want: strings.Join(append(places, "a folder that is mounted")[:max(1, len(places))], " or ")}}
			})
		},
	},
	{
		ID: "LNT-064", Clauses: []string{"1.5"}, Level: harness.MUST, Kind: Agreement,
		Source: "a role that gives a policy which nobody has written: the token may do nothing",
		Says:   "The policies that a role gives are among those that are committed.",
		Remedy: "give the role the policy's name: the file's, without its ending",
		Check: func(t *Tree) []Hit {
			if len(t.Policies) == 0 {
				return nil
			}
			return each(t.Roles, func(r *policy.Role) []Hit {
				var hits []Hit
				for _, name := range r.Policies {
					if name != "default" && !slices.ContainsFunc(t.Policies, func(p *policy.Policy) bool { return p.Name == name }) {
						hits = append(hits, Hit{At: r.At("token_policies"), Got: fmt.Sprintf("role %s gives policy %s, which no file holds", r.Name,
							name), Want: "a policy of the files"})
					}
				}
				return hits
			})
		},
	},
}

// wanted are the paths that the manifests want to read of Vault.
func (t *Tree) wanted() []wanted {
	var all []wanted
	for _, w := range t.injected() {
		all = append(all, injectedPaths(w)...)
	}
	for _, o := range t.Objects {
		paths, _, _ := providerObjects(o)
		all = append(all, paths...)
	}
	return all
}

// role is the role of a name; nil where it is not among the files.
func (t *Tree) role(name string) *policy.Role {
	for _, r := range t.Roles {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// policiesOf are the policies that a role gives; all where the role is not among the
// files.
func (t *Tree) policiesOf(name string) []*policy.Policy {
	r := t.role(name)
	if r == nil {
		return t.Policies
	}
	return slices.DeleteFunc(slices.Clone(t.Policies), func(p *policy.Policy) bool { return !slices.Contains(r.Policies, p.Name) })
}
