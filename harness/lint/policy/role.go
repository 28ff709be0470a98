package policy

import (
	"encoding/json"
	"path/filepath"
	"strings"

	"aegis.test/conformance/harness/lint/document"
	"aegis.test/conformance/harness/lint/place"
)

// Role is a role of Vault's Kubernetes auth, as its parameters are written in JSON:
// vault write auth/kubernetes/role/NAME @NAME.json.
type Role struct {
	Name       string // of its file, without the ending
	Accounts   []string
	Namespaces []string
	Policies   []string
	Selector   string
	Audience   string
	TTL        string // token_ttl, as it is written
	doc        *document.Document
}

// IsRole says whether a document is a role.
func IsRole(d *document.Document) bool {
	keys := d.Keys()
	return keys["bound_service_account_names"] || keys["bound_service_account_namespaces"]
}

// At is where a parameter stands.
func (r *Role) At(path ...any) place.Place { return r.doc.At(path...) }

// ReadRole reads a role.
func ReadRole(d *document.Document) (*Role, error) {
	var said map[string]any
	if err := json.Unmarshal(d.JSON, &said); err != nil {
		return nil, place.Errorf(d.Top(), "it is no role of Kubernetes auth: %v", err)
	}
	name := filepath.Base(d.File)
	r := &Role{Name: strings.TrimSuffix(name, filepath.Ext(name)), doc: d}
	for key, into := range map[string]*[]string{
		"bound_service_account_names": &r.Accounts, "bound_service_account_namespaces": &r.Namespaces,
		"token_policies": &r.Policies, "policies": &r.Policies,
	} {
		list, err := texts(said[key])
		if err != nil {
			return nil, place.Errorf(d.At(key), "%s: %v", key, err)
		}
		*into = append(*into, list...)
	}
	for key, into := range map[string]*string{
		"bound_service_account_namespace_selector": &r.Selector, "audience": &r.Audience, "token_ttl": &r.TTL,
	} {
		*into = text(said[key])
	}
	return r, nil
}

// texts is a list, or a text with commas, as Vault takes both.
func texts(value any) ([]string, error) {
	var all []string
	switch v := value.(type) {
	case nil:
	case string:
		for _, one := range strings.Split(v, ",") {
			all = append(all, strings.TrimSpace(one))
		}
	case []any:
		for _, one := range v {
			t, ok := one.(string)
			if !ok {
				return nil, errTexts
			}
			all = append(all, t)
		}
	default:
		return nil, errTexts
	}
	return all, nil
}

type wrong string

func (w wrong) Error() string { return string(w) }

const errTexts = wrong("want texts, in a list or with commas")

func text(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case nil:
		return ""
	default:
		out, _ := json.Marshal(v)
		return string(out)
	}
}
