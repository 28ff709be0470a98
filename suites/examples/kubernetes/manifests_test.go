// Package kubernetes holds manifests that run the harness in a cluster, and the
// test that holds them against the types of the Kubernetes API. It is a module
// of its own: nothing else here needs those.
package kubernetes

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	documents "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// plugin is a plugin definition as Sonobuoy 0.57 documents it, whose own types
// cannot be had as a module.
type plugin struct {
	Config struct {
		Driver       string   `json:"driver"`
		Name         string   `json:"plugin-name"`
		Description  string   `json:"description,omitempty"`
		ResultFormat string   `json:"result-format,omitempty"`
		ResultFiles  []string `json:"result-files,omitempty"`
		SkipCleanup  bool     `json:"skip-cleanup,omitempty"`
	} `json:"sonobuoy-config"`
	PodSpec corev1.PodSpec   `json:"podSpec"`
	Spec    corev1.Container `json:"spec"`
}

// read splits a file into its YAML documents.
func read(t *testing.T, name string) (all [][]byte) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for reader := documents.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, document)
	}
}

// object is what a document says, as its kind has it. A field that the kind
// does not have, or that stands there twice, is an error.
func object(document []byte) (any, error) {
	var is metav1.TypeMeta
	if err := yaml.Unmarshal(document, &is); err != nil {
		return nil, err
	}
	kinds := map[string]any{
		"batch/v1 Job": &batchv1.Job{}, "v1 ConfigMap": &corev1.ConfigMap{}, "v1 PersistentVolumeClaim": &corev1.PersistentVolumeClaim{},
	}
	known, ok := kinds[is.APIVersion+" "+is.Kind]
	if !ok {
		return nil, fmt.Errorf("%q of %q is no kind that stands here", is.Kind, is.APIVersion)
	}
	return known, yaml.UnmarshalStrict(document, known)
}

// jobs are the Jobs of a file, each document of which must be sound.
func jobs(t *testing.T, name string) (all []*batchv1.Job) {
	t.Helper()
	for i, document := range read(t, name) {
		made, err := object(document)
		if err != nil {
			t.Fatalf("%s, document %d: %v", name, i+1, err)
		}
		if job, ok := made.(*batchv1.Job); ok {
			all = append(all, job)
		}
	}
	return all
}

func TestJob(t *testing.T) {
	all := jobs(t, "job.yaml")
	if len(all) != 1 {
		t.Fatalf("%d Jobs: want 1", len(all))
	}
	job := all[0]
	if limit := job.Spec.BackoffLimit; limit == nil || *limit != 0 {
		t.Errorf("backoffLimit %v: want 0, for a verdict is not tried again", limit)
	}
	sound(t, job.Name, job.Spec.Template.Spec, job.Spec.Template.Spec.Containers[0])
}

func TestIndexedJob(t *testing.T) {
	all := jobs(t, "indexed-job.yaml")
	if len(all) != 2 {
		t.Fatalf("%d Jobs: want the shards and what merges them", len(all))
	}
	shards, merge := all[0], all[1]
	for _, job := range all {
		sound(t, job.Name, job.Spec.Template.Spec, job.Spec.Template.Spec.Containers[0])
	}
	mode, n, per := shards.Spec.CompletionMode, shards.Spec.Completions, shards.Spec.BackoffLimitPerIndex
	if mode == nil || *mode != batchv1.IndexedCompletion || n == nil || per == nil || *per != 0 {
		t.Fatalf("completion mode %v, %v completions, a limit per index of %v: want Indexed, some, and 0", mode, n, per)
	}
	container := shards.Spec.Template.Spec.Containers[0]
	if want := fmt.Sprintf("$(SHARD)/%d", *n); !slices.Contains(container.Args, want) {
		t.Errorf("got %q, want %q in it", container.Args, want)
	}
	if at := container.Env[0]; at.Name != "SHARD" || at.ValueFrom.FieldRef.FieldPath != "metadata.annotations['"+batchv1.JobCompletionIndexAnnotation+"']" {
		t.Errorf("got %+v, want the completion index in SHARD", at)
	}
	args := merge.Spec.Template.Spec.Containers[0].Args
	for i := range *n {
		if want := fmt.Sprintf("/results/%d", i); !slices.Contains(args, want) {
			t.Errorf("got %q, want %q in it: every shard is merged", args, want)
		}
	}
}

func TestSonobuoyPlugin(t *testing.T) {
	all := read(t, "sonobuoy-plugin.yaml")
	var p plugin
	if len(all) != 1 {
		t.Fatalf("%d documents: want 1", len(all))
	}
	if err := yaml.UnmarshalStrict(all[0], &p); err != nil {
		t.Fatal(err)
	}
	if p.Config.Driver != "Job" || p.Config.Name == "" || p.Config.ResultFormat != "junit" {
		t.Errorf("got %+v, want a named Job whose results are JUnit", p.Config)
	}
	const results = "/tmp/sonobuoy/results" // Sonobuoy mounts its volume by this name there
	if !slices.Contains(p.Spec.Args, results+"/done") {
		t.Errorf("got %q, want the done file under %s", p.Spec.Args, results)
	}
	if !slices.ContainsFunc(p.Spec.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "results" && m.MountPath == results }) {
		t.Errorf("got %+v, want the volume results at %s", p.Spec.VolumeMounts, results)
	}
	p.PodSpec.Volumes = append(p.PodSpec.Volumes, corev1.Volume{Name: "results"})
	mounted(t, "plugin", p.PodSpec, p.Spec)
}

// sound wants a Pod that may do no more than it needs, and is not restarted.
func sound(t *testing.T, name string, pod corev1.PodSpec, container corev1.Container) {
	t.Helper()
	if pod.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("%s: restart policy %q: want Never", name, pod.RestartPolicy)
	}
	if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot {
		t.Errorf("%s: it may run as root", name)
	}
	if s := container.SecurityContext; s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !slices.Contains(s.Capabilities.Drop, "ALL") {
		t.Errorf("%s: its container holds privileges", name)
	}
	mounted(t, name, pod, container)
}

// mounted wants every mount to be of a volume that is there, and every path
// that is written to be under a mount.
func mounted(t *testing.T, name string, pod corev1.PodSpec, container corev1.Container) {
	t.Helper()
	for _, m := range container.VolumeMounts {
		if !slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
			t.Errorf("%s: it mounts %q, which is no volume of the Pod", name, m.Name)
		}
	}
	for _, arg := range container.Args {
		if strings.HasPrefix(arg, "/") && !slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool {
			return strings.HasPrefix(arg, m.MountPath)
		}) {
			t.Errorf("%s: %q is under no mount", name, arg)
		}
	}
}

// TestMisspeltFieldIsRefused: the test bites.
func TestMisspeltFieldIsRefused(t *testing.T) {
	document := bytes.Replace(read(t, "job.yaml")[1], []byte("backoffLimit:"), []byte("backofLimit:"), 1)
	if _, err := object(document); err == nil || !strings.Contains(err.Error(), "backofLimit") {
		t.Errorf("got %v, want an error that names the field", err)
	}
}

// TestManifestsGiveWhatTheConfigurationTakes: each Pod that runs the harness against the target
// has the token that ../kubernetes.yaml logs in to Vault with, and none of the API's.
func TestManifestsGiveWhatTheConfigurationTakes(t *testing.T) {
	data, err := os.ReadFile("../kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var configuration struct {
		Grants struct {
			Vault struct {
				Login struct {
					Kubernetes struct {
						Token string `json:"token"`
					} `json:"kubernetes"`
				} `json:"login"`
			} `json:"vault"`
		} `json:"grants"`
	}
	if err := yaml.Unmarshal(data, &configuration); err != nil {
		t.Fatal(err)
	}
	taken, ok := strings.CutPrefix(configuration.Grants.Vault.Login.Kubernetes.Token, "file:")
	if !ok {
		t.Fatalf("it logs in with %q, want a file", configuration.Grants.Vault.Login.Kubernetes.Token)
	}
	var sonobuoy plugin
	if err := yaml.UnmarshalStrict(read(t, "sonobuoy-plugin.yaml")[0], &sonobuoy); err != nil {
		t.Fatal(err)
	}
	job, shards := jobs(t, "job.yaml")[0].Spec.Template.Spec, jobs(t, "indexed-job.yaml")[0].Spec.Template.Spec
	for name, pod := range map[string]struct {
		spec      corev1.PodSpec
		container corev1.Container
	}{"job.yaml": {job, job.Containers[0]}, "indexed-job.yaml": {shards, shards.Containers[0]}, "sonobuoy-plugin.yaml": {sonobuoy.PodSpec, sonobuoy.Spec}} {
		if given := tokens(pod.spec, pod.container); !slices.Equal(given, []string{taken}) {
			t.Errorf("%s gives %v, the configuration takes %s", name, given, taken)
		}
		if auto := pod.spec.AutomountServiceAccountToken; auto == nil || *auto {
			t.Errorf("%s mounts the token of the API too", name)
		}
	}
}

// tokens are the paths at which a container finds tokens of its service account.
func tokens(spec corev1.PodSpec, container corev1.Container) (paths []string) {
	for _, mount := range container.VolumeMounts {
		for _, volume := range spec.Volumes {
			if volume.Name != mount.Name || volume.Projected == nil {
				continue
			}
			for _, source := range volume.Projected.Sources {
				if source.ServiceAccountToken != nil {
					paths = append(paths, mount.MountPath+"/"+source.ServiceAccountToken.Path)
				}
			}
		}
	}
	return paths
}
