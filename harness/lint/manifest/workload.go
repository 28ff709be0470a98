package manifest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"aegis.test/conformance/harness/lint/place"
)

// Workload is an object that makes Pods.
type Workload struct {
	*Object
	Template corev1.PodTemplateSpec
	Lasting  bool // it serves, and does not end by itself as a Job does
	to       []any
}

// Workload is the object as one that makes Pods; nil where it makes none.
func (o *Object) Workload() *Workload {
	template := []any{"spec", "template"}
	switch v := o.Value.(type) {
	case *corev1.Pod:
		return &Workload{o, corev1.PodTemplateSpec{ObjectMeta: v.ObjectMeta, Spec: v.Spec}, v.Spec.RestartPolicy != corev1.RestartPolicyNever,
			nil}
	case *appsv1.Deployment:
		return &Workload{o, v.Spec.Template, true, template}
	case *appsv1.StatefulSet:
		return &Workload{o, v.Spec.Template, true, template}
	case *appsv1.DaemonSet:
		return &Workload{o, v.Spec.Template, true, template}
	case *appsv1.ReplicaSet:
		return &Workload{o, v.Spec.Template, true, template}
	case *batchv1.Job:
		return &Workload{o, v.Spec.Template, false, template}
	case *batchv1.CronJob:
		return &Workload{o, v.Spec.JobTemplate.Spec.Template, false, []any{"spec", "jobTemplate", "spec", "template"}}
	default:
		return nil
	}
}

// In is where a field of the Pod template stands.
func (w *Workload) In(path ...any) place.Place {
	return w.At(append(slices.Clone(w.to), path...)...)
}

// Annotation is an annotation of the Pods, and where it stands.
func (w *Workload) Annotation(name string) (value string, at place.Place, given bool) {
	value, given = w.Template.Annotations[name]
	return value, w.In("metadata", "annotations", name), given
}

// Contract are the variables that only the service knows (the runbook's section 2 and
// the reference service's environment).
var Contract = []string{"AUTH_MODE", "OIDC_JWKS_URI", "OIDC_ISSUER", "OIDC_AUDIENCE", "MTLS_ID_HEADER"}

// Account is the service account that the runbook's section 1 names.
const Account = "aegis-service-account"

// Container is a container of a workload, with the environment that the files say.
type Container struct {
	*Workload
	corev1.Container
	Env     map[string]Variable
	Unseen  []Reference // what further variables may come from, and is not among the files
	Partial bool        // it has no image: it is a patch of Kustomize's, and not the whole
	step    []any
}

// Variable is one variable of an environment.
type Variable struct {
	At    place.Place
	Value string
	Known bool   // its value is in the files
	From  string // "" of a literal, otherwise what it is taken from: secret aegis, key token
	Kind  string // of what it is taken from: ConfigMap, Secret, or another word of the API
}

// Reference is an object that a container's environment names.
type Reference struct {
	At         place.Place
	Kind, Name string
}

func (r Reference) String() string { return r.Kind + "/" + r.Name }

// Here is where a field of the container stands.
func (c *Container) Here(path ...any) place.Place {
	return c.In(append(slices.Clone(c.step), path...)...)
}

// String is the container as a report names it.
func (c *Container) String() string {
	return fmt.Sprintf("container %s of %s", c.Container.Name, c.Workload.Object)
}

// Containers are a workload's containers, those that run before the others last.
func (w *Workload) Containers(all []*Object) []*Container {
	var found []*Container
	add := func(list []corev1.Container, key string) {
		for i, c := range list {
			one := &Container{Workload: w, Container: c, Env: map[string]Variable{}, Partial: c.Image == "", step: []any{"spec", key, i}}
			one.environment(all)
			found = append(found, one)
		}
	}
	add(w.Template.Spec.Containers, "containers")
	add(w.Template.Spec.InitContainers, "initContainers")
	return found
}

// Find is the object of a kind and name that a namespace's Pods would see: of several
// files, as of overlays, the one that shares most of its path with beside's. It is nil
// where none is among them.
func Find(all []*Object, kind, name string, beside *Object) *Object {
	var best *Object
	most := -1
	for _, o := range all {
		if o.Kind != kind || o.Meta.Name != name || o.Meta.Namespace != "" && !Same(o.Meta.Namespace, beside.Meta.Namespace) {
			continue
		}
		if n := shared(o.doc.File, beside.doc.File); n > most {
			best, most = o, n
		}
	}
	return best
}

// shared is how many steps two paths have in common.
func shared(a, b string) int {
	one, other := strings.Split(filepath.ToSlash(a), "/"), strings.Split(filepath.ToSlash(b), "/")
	n := 0
	for n < min(len(one), len(other)) && one[n] == other[n] {
		n++
	}
	return n
}

// texts are the texts of a ConfigMap or a Secret; known says whether they can be read.
func (o *Object) texts() map[string]string {
	found := map[string]string{}
	switch v := o.Value.(type) {
	case *corev1.ConfigMap:
		for key, text := range v.Data {
			found[key] = text
		}
	case *corev1.Secret:
		for key, text := range v.Data {
			found[key] = string(text)
		}
		for key, text := range v.StringData {
			found[key] = text
		}
	}
	return found
}

// environment is what the container is given: what envFrom names first, then env,
// which goes before it.
func (c *Container) environment(all []*Object) {
	for i, from := range c.Container.EnvFrom {
		kind, name := "ConfigMap", ""
		if from.ConfigMapRef != nil {
			name = from.ConfigMapRef.Name
		} else if from.SecretRef != nil {
			kind, name = "Secret", from.SecretRef.Name
		}
		at := c.Here("envFrom", i)
		o := Find(all, kind, name, c.Object)
		if o == nil {
			c.Unseen = append(c.Unseen, Reference{at, kind, name})
			continue
		}
		for key, text := range o.texts() {
			c.Env[from.Prefix+key] = Variable{At: at, Value: text, Known: true, From: kind + "/" + name, Kind: kind}
		}
	}
	for i, e := range c.Container.Env {
		v := Variable{At: c.Here("env", i), Value: e.Value, Known: e.ValueFrom == nil && !strings.Contains(e.Value, "$(")}
		if e.ValueFrom != nil {
			v = c.taken(all, e, v.At)
		}
		c.Env[e.Name] = v
	}
}

// taken is a variable whose value is elsewhere.
func (c *Container) taken(all []*Object, e corev1.EnvVar, at place.Place) Variable {
	kind, name, key := "fieldRef", "", ""
	switch from := e.ValueFrom; {
	case from.ConfigMapKeyRef != nil:
		kind, name, key = "ConfigMap", from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key
	case from.SecretKeyRef != nil:
		kind, name, key = "Secret", from.SecretKeyRef.Name, from.SecretKeyRef.Key
	}
	v := Variable{At: at, From: kind, Kind: kind}
	if name == "" {
		return v
	}
	v.From = fmt.Sprintf("%s/%s, key %s", kind, name, key)
	if o := Find(all, kind, name, c.Object); o != nil {
		v.Value, v.Known = o.texts()[key]
	}
	return v
}

// Given says whether the container is given a variable of the contract.
func (c *Container) Given() bool {
	return slices.ContainsFunc(Contract, func(name string) bool { _, given := c.Env[name]; return given })
}

// Serves says whether the container is the service of the runbook: it is given a
// variable of its contract; or the Pods are the runbook's account's, or are labelled
// aegis, and it is their first.
func (c *Container) Serves() bool {
	first := c.step[1] == "containers" && c.step[2] == 0
	return c.Lasting && (c.Given() || first && c.isAegis())
}

func (c *Container) isAegis() bool {
	labels := c.Template.Labels
	return c.Template.Spec.ServiceAccountName == Account || labels["app.kubernetes.io/name"] == "aegis" || labels["app"] == "aegis"
}
