// Package manifest reads what Kubernetes is given: objects by the types of its API,
// where a field that a kind does not have is an error, and where each field stands.
package manifest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	strict "sigs.k8s.io/json"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint/document"
	"aegis.test/conformance/harness/lint/place"
)

// Object is one object of a file.
type Object struct {
	metav1.TypeMeta
	Meta  metav1.ObjectMeta
	Value any // of its kind's type, as kinds has it
	doc   *document.Document
	path  []any // to it in the document: an item of a List stands deeper
}

// At is where a field of the object stands.
func (o *Object) At(path ...any) place.Place {
	return o.doc.At(append(slices.Clone(o.path), path...)...)
}

// String is the object as kubectl names it: Deployment/aegis.
func (o *Object) String() string { return o.Kind + "/" + o.Meta.Name }

// Same says whether two namespaces may be one: what names none is applied into any.
func Same(a, b string) bool { return a == b || a == "" || b == "" }

// kinds are the kinds that are read, by apiVersion and kind.
var kinds = map[string]func() any{
	"v1 Pod":                            func() any { return &corev1.Pod{} },
	"v1 ConfigMap":                      func() any { return &corev1.ConfigMap{} },
	"v1 Secret":                         func() any { return &corev1.Secret{} },
	"v1 Service":                        func() any { return &corev1.Service{} },
	"v1 ServiceAccount":                 func() any { return &corev1.ServiceAccount{} },
	"v1 Namespace":                      func() any { return &corev1.Namespace{} },
	"v1 PersistentVolumeClaim":          func() any { return &corev1.PersistentVolumeClaim{} },
	"apps/v1 Deployment":                func() any { return &appsv1.Deployment{} },
	"apps/v1 StatefulSet":               func() any { return &appsv1.StatefulSet{} },
	"apps/v1 DaemonSet":                 func() any { return &appsv1.DaemonSet{} },
	"apps/v1 ReplicaSet":                func() any { return &appsv1.ReplicaSet{} },
	"batch/v1 Job":                      func() any { return &batchv1.Job{} },
	"batch/v1 CronJob":                  func() any { return &batchv1.CronJob{} },
	"networking.k8s.io/v1 Ingress":      func() any { return &networkingv1.Ingress{} },
	"networking.k8s.io/v1 IngressClass": func() any { return &networkingv1.IngressClass{} },
	"networking.k8s.io/v1 NetworkPolicy": func() any {
		return &networkingv1.NetworkPolicy{}
	},
	"rbac.authorization.k8s.io/v1 Role":               func() any { return &rbacv1.Role{} },
	"rbac.authorization.k8s.io/v1 ClusterRole":        func() any { return &rbacv1.ClusterRole{} },
	"rbac.authorization.k8s.io/v1 RoleBinding":        func() any { return &rbacv1.RoleBinding{} },
	"rbac.authorization.k8s.io/v1 ClusterRoleBinding": func() any { return &rbacv1.ClusterRoleBinding{} },
	"secrets-store.csi.x-k8s.io/v1 SecretProviderClass": func() any {
		return &SecretProviderClass{}
	},
	"monitoring.coreos.com/v1 PrometheusRule": func() any { return &PrometheusRule{} },
}

// own are the groups of which every kind that is not read is told as one that is
// misspelt or foreign to the runbook.
var own = []string{"v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1"}

// foreign are kinds of those groups that the runbook says nothing of.
var foreign = []string{
	"PersistentVolume", "LimitRange", "ResourceQuota", "Endpoints", "Event", "Node", "PodTemplate", "ReplicationController",
	"ControllerRevision",
	"IPAddress", "ServiceCIDR",
}

// SecretProviderClass is what the Secrets Store CSI driver mounts, as its CRD has it.
type SecretProviderClass struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		Provider      string            `json:"provider,omitempty"`
		Parameters    map[string]string `json:"parameters,omitempty"`
		SecretObjects []struct {
			SecretName  string            `json:"secretName,omitempty"`
			Type        string            `json:"type,omitempty"`
			Labels      map[string]string `json:"labels,omitempty"`
			Annotations map[string]string `json:"annotations,omitempty"`
			Data        []struct {
				ObjectName string `json:"objectName,omitempty"`
				Key        string `json:"key,omitempty"`
			} `json:"data,omitempty"`
		} `json:"secretObjects,omitempty"`
	} `json:"spec,omitempty"`
	Status json.RawMessage `json:"status,omitempty"`
}

// PrometheusRule holds a rule file under spec, as the Prometheus operator has it.
type PrometheusRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              json.RawMessage `json:"spec,omitempty"`
	Status            json.RawMessage `json:"status,omitempty"`
}

// Unknown is an object of a kind that is not read.
type Unknown struct {
	place.Place
	Kind string // with its apiVersion: gateway.networking.k8s.io/v1 HTTPRoute
}

// Is says whether a document is meant for Kubernetes.
func Is(d *document.Document) bool {
	keys := d.Keys()
	return keys["apiVersion"] && keys["kind"]
}

// Read reads a document's objects: the items of a List each.
func Read(d *document.Document) (objects []*Object, unknown []Unknown, err error) {
	return read(d, d.JSON, nil)
}

func read(d *document.Document, text []byte, path []any) (objects []*Object, unknown []Unknown, err error) {
	var head struct {
		metav1.TypeMeta
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, nil, place.Errorf(d.At(path...), "it is no object of Kubernetes: %v", err)
	}
	if head.Kind == "List" && head.APIVersion == "v1" {
		for i, item := range head.Items {
			below, strange, err := read(d, item, append(slices.Clone(path), "items", i))
			if err != nil {
				return nil, nil, err
			}
			objects, unknown = append(objects, below...), append(unknown, strange...)
		}
		return objects, unknown, nil
	}
	name := head.APIVersion + " " + head.Kind
	made, known := kinds[name]
	if !known {
		at := d.At(append(slices.Clone(path), "kind")...)
		if near := nearest(name); near != "" && !slices.Contains(foreign, head.Kind) {
			return nil, nil, place.Errorf(at, "kind %q of %q is not known: the nearest is %s", head.Kind, head.APIVersion, near)
		}
		return nil, []Unknown{{at, name}}, nil
	}
	o := &Object{TypeMeta: head.TypeMeta, Value: made(), doc: d, path: path}
	if err := o.decode(text); err != nil {
		return nil, nil, err
	}
	return []*Object{o}, nil, nil
}

// nearest is the kind that is read and that an unknown one of the same group is
// mistaken for; "" where the group is not ours.
func nearest(name string) string {
	group, kind, _ := strings.Cut(name, " ")
	if !slices.Contains(own, group) {
		return ""
	}
	var known []string
	for k := range kinds {
		if of, one, _ := strings.Cut(k, " "); of == group {
			known = append(known, one)
		}
	}
	slices.Sort(known)
	if near := harness.Nearest(kind, known); near != "" {
		return near
	}
	return strings.Join(known, ", ")
}

var (
	quotedField = regexp.MustCompile(`field "([^"]+)"`)
	goField     = regexp.MustCompile(`into Go struct field [^ ]*?\.((?:[a-z][A-Za-z0-9]*\.?)+) of type (\S+)`)
)

// decode reads the object by its kind's type; what the type does not have is an error.
func (o *Object) decode(text []byte) error {
	lax, err := strict.UnmarshalStrict(text, o.Value)
	if err != nil {
		at := o.At()
		if found := goField.FindStringSubmatch(err.Error()); found != nil {
			at = o.nearestTo(document.Path(found[1]))
		}
		return place.Errorf(at, "%s: %s", o.Kind, strings.TrimPrefix(err.Error(), "json: "))
	}
	if len(lax) > 0 {
		at := o.At()
		if found := quotedField.FindStringSubmatch(lax[0].Error()); found != nil {
			at = o.At(document.Path(found[1])...)
		}
		return place.Errorf(at, "%s: %v", o.Kind, lax[0])
	}
	var meta struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		return place.Errorf(o.At("metadata"), "%s: %v", o.Kind, err)
	}
	o.Meta = meta.Metadata
	return nil
}

// nearestTo is where a field stands whose path misses its list's indices: the place of
// what is there of it.
func (o *Object) nearestTo(path []any) place.Place { return o.At(path...) }

// Data are an object's texts that are configuration, and where they stand.
func (o *Object) Data() (map[string]string, func(key string) place.Place) {
	c, ok := o.Value.(*corev1.ConfigMap)
	if !ok {
		return nil, nil
	}
	return c.Data, func(key string) place.Place { return o.At("data", key) }
}

// Rules is the text of a PrometheusRule's groups, in JSON; nil of any other object.
func (o *Object) Rules() []byte {
	if r, ok := o.Value.(*PrometheusRule); ok {
		return r.Spec
	}
	return nil
}

// Path is where the object stands in its document.
func (o *Object) Path() []any { return slices.Clone(o.path) }

// Kinds are the kinds that are read, sorted.
func Kinds() []string {
	var all []string
	for name := range kinds {
		group, kind, _ := strings.Cut(name, " ")
		all = append(all, fmt.Sprintf("%s (%s)", kind, group))
	}
	slices.Sort(all)
	return all
}
