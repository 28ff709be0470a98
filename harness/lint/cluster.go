package lint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	yaml "sigs.k8s.io/yaml"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint/manifest"
)

// cluster are the rules of who a service is to the cluster, and what it may do there.
var cluster = []Rule{
	{
		ID: "LNT-020", Clauses: []string{"1.5"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "the account default is every Pod's of the namespace",
		Says:   "Pods that log in to Vault run as a service account of their own.",
		Remedy: "make a ServiceAccount, such as aegis-service-account, and name it in serviceAccountName",
		Check: func(t *Tree) []Hit {
			return each(t.workloads(), func(w *manifest.Workload) []Hit {
				account := w.Template.Spec.ServiceAccountName
				if account != "" && account != "default" || !t.logsIn(w) {
					return nil
				}
				got := "no serviceAccountName on " + w.String()
				if account != "" {
					got = "serviceAccountName default on " + w.String()
				}
				return []Hit{{At: w.In("spec", "serviceAccountName"), Got: got, Want: "an account of its own: " + manifest.Account}}
			})
		},
	},
	{
		ID: "LNT-021", Clauses: []string{"1.5"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "CIS Kubernetes Benchmark 5.1.3: no wildcards in roles",
		Says:   "The service's account is bound to no role of the cluster's that may do everything.",
		Remedy: "name the verbs and resources that the service needs, or bind it to none",
		Check: func(t *Tree) []Hit {
			return each(t.bindings(), func(b binding) []Hit {
				if b.role == "cluster-admin" || b.role == "admin" || b.role == "edit" {
					return []Hit{{At: b.At("roleRef", "name"), Got: fmt.Sprintf("%s binds %s to %s", b.Object, b.subject, b.role),
						Want: "a role with what the service needs"}}
				}
				o := manifest.Find(t.Objects, b.kind, b.role, b.Object)
				if o == nil {
					return nil
				}
				for i, r := range policyRules(o) {
					if slices.Contains(r.Verbs, "*") || slices.Contains(r.Resources, "*") {
						return []Hit{{At: o.At("rules", i), Got: fmt.Sprintf("* in %s, which %s is bound to", o, b.subject),
							Want: "verbs and resources by name"}}
					}
				}
				return nil
			})
		},
	},
	{
		ID: "LNT-022", Clauses: []string{"1.5", "1.6"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "issue 16: nobody but the declared accounts may read the Secret",
		Says:   "The service's account may read no Secrets but those that are named.",
		Remedy: "give resourceNames to the rule about secrets, or take it away: a mounted Secret needs none",
		Check: func(t *Tree) []Hit {
			return each(t.bindings(), func(b binding) []Hit {
				o := manifest.Find(t.Objects, b.kind, b.role, b.Object)
				if o == nil {
					return nil
				}
				for i, r := range policyRules(o) {
					reads := slices.ContainsFunc(r.Verbs, func(v string) bool { return v == "get" || v == "list" || v == "watch" })
					if reads && slices.Contains(r.Resources, "secrets") && len(r.ResourceNames) == 0 {
						return []Hit{{At: o.At("rules", i), Got: fmt.Sprintf("%s of all secrets in %s", strings.Join(r.Verbs, ", "), o),
							Want: "resourceNames"}}
					}
				}
				return nil
			})
		},
	},
	{
		ID: "LNT-023", Clauses: []string{"1.5"}, Level: harness.MUST, Kind: Kubernetes,
		Source: "a binding to everybody, in a manifest that was copied",
		Says:   "No role of the cluster's is bound to everybody.",
		Remedy: "bind the role to the service's account by its name and namespace",
		Check: func(t *Tree) []Hit {
			return each(t.Objects, func(o *manifest.Object) []Hit {
				var hits []Hit
				_, subjects := bound(o)
				for i, s := range subjects {
					if slices.Contains(everybody, s.Name) && s.Kind != rbacv1.ServiceAccountKind {
						hits = append(hits, Hit{At: o.At("subjects", i), Got: fmt.Sprintf("%s binds %s", o, s.Name), Want: "a ServiceAccount by its name"})
					}
				}
				return hits
			})
		},
	},
}

// everybody are the groups that all callers, or all Pods, are in.
var everybody = []string{"system:authenticated", "system:unauthenticated", "system:anonymous", "system:serviceaccounts", "*"}

// logsIn says whether a workload's Pods log in to Vault by their account.
func (t *Tree) logsIn(w *manifest.Workload) bool {
	if injects(w) {
		return true
	}
	for _, v := range w.Template.Spec.Volumes {
		if v.CSI != nil && v.CSI.Driver == csiDriver {
			return true
		}
	}
	return slices.ContainsFunc(w.Containers(t.Objects), func(c *manifest.Container) bool {
		_, calls := c.Env["VAULT_ADDR"]
		_, token := c.Env["VAULT_TOKEN"]
		_, file := c.Env["VAULT_TOKEN_FILE"]
		return calls && !token && !file && c.Serves()
	})
}

// binding is an account of the service's that is bound to a role.
type binding struct {
	*manifest.Object
	kind, role, subject string
}

// bound is what a binding says; nothing of any other object.
func bound(o *manifest.Object) (rbacv1.RoleRef, []rbacv1.Subject) {
	switch b := o.Value.(type) {
	case *rbacv1.RoleBinding:
		return b.RoleRef, b.Subjects
	case *rbacv1.ClusterRoleBinding:
		return b.RoleRef, b.Subjects
	default:
		return rbacv1.RoleRef{}, nil
	}
}

// bindings are those of the services' accounts.
func (t *Tree) bindings() []binding {
	accounts := []string{manifest.Account}
	for _, c := range t.services() {
		if name := c.Template.Spec.ServiceAccountName; name != "" {
			accounts = append(accounts, name)
		}
	}
	var all []binding
	for _, o := range t.Objects {
		ref, subjects := bound(o)
		for _, s := range subjects {
			if s.Kind == rbacv1.ServiceAccountKind && slices.Contains(accounts, s.Name) {
				all = append(all, binding{o, ref.Kind, ref.Name, s.Name})
			}
		}
	}
	return all
}

// policyRules are a role's.
func policyRules(o *manifest.Object) []rbacv1.PolicyRule {
	switch r := o.Value.(type) {
	case *rbacv1.Role:
		return r.Rules
	case *rbacv1.ClusterRole:
		return r.Rules
	default:
		return nil
	}
}

// providerObjects are the paths that a SecretProviderClass for Vault reads, and what is
// wrong with it; ok says whether it is one.
func providerObjects(o *manifest.Object) (paths []wanted, ok bool, hits []Hit) {
	class, ok := o.Value.(*manifest.SecretProviderClass)
	if !ok || class.Spec.Provider != "vault" {
		return nil, false, nil
	}
	at := o.At("spec", "parameters")
	role := class.Spec.Parameters["roleName"]
	if role == "" {
		hits = append(hits, Hit{At: at, Got: "no roleName in " + o.String(), Want: "the role of Kubernetes auth"})
	}
	text, given := class.Spec.Parameters["objects"]
	at = o.At("spec", "parameters", "objects")
	var objects []struct {
		ObjectName string `json:"objectName"`
		SecretPath string `json:"secretPath"`
		SecretKey  string `json:"secretKey"`
	}
	said, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = json.Unmarshal(said, &objects)
	}
	switch {
	case !given || len(objects) == 0 && err == nil:
		return nil, true, append(hits, Hit{At: at, Got: "no objects in " + o.String(), Want: "objectName, secretPath and secretKey of each"})
	case err != nil:
		return nil, true, append(hits, Hit{At: at, Got: "objects that are no list in YAML",
			Want: "a list of objectName, secretPath and secretKey"})
	}
	for i, one := range objects {
		if one.ObjectName == "" || one.SecretPath == "" || one.SecretKey == "" {
			hits = append(hits, Hit{At: at, Got: fmt.Sprintf("object %d of %s has not all three", i+1, o),
				Want: "objectName, secretPath and secretKey"})
		}
		if one.SecretPath != "" {
			paths = append(paths, wanted{at: at, path: one.SecretPath, role: role})
		}
	}
	return paths, true, hits
}
