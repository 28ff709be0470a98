package lint

import (
	"slices"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/lint/alert"
	"aegis.test/conformance/harness/lint/ingress"
	"aegis.test/conformance/harness/lint/manifest"
	"aegis.test/conformance/harness/lint/pki"
	"aegis.test/conformance/harness/lint/place"
	"aegis.test/conformance/harness/lint/policy"
)

// Tree is all that a run has read.
type Tree struct {
	Objects      []*manifest.Object
	Policies     []*policy.Policy
	Roles        []*policy.Role
	Proxies      []*ingress.Configuration
	Certificates []pki.Certificate
	Keys         []pki.Key
	Alerts       []alert.Rule

	options Options
	result  *Result
	budget  budget
	found   found
}

// found is what is found of a tree once for all rules.
type found struct {
	workloads  []*manifest.Workload
	services   []*manifest.Container
	servers    []ingress.Server
	records    []alert.Rule // recording rules
	identities map[identityKey][]string
}

// identityKey is what identities are asked by.
type identityKey struct {
	folder string
	own    bool
}

// settle finds what rules ask for time and again.
func (t *Tree) settle() {
	t.found.workloads = t.everyWorkload()
	t.found.services = t.everyService()
	t.found.servers = t.everyServer()
	for _, r := range t.Alerts {
		if r.Record != "" {
			t.found.records = append(t.found.records, r)
		}
	}
	t.found.identities = map[identityKey][]string{}
}

func (t *Tree) workloads() []*manifest.Workload { return slices.Clone(t.found.workloads) }
func (t *Tree) services() []*manifest.Container { return slices.Clone(t.found.services) }
func (t *Tree) mtlsServers() []ingress.Server   { return t.found.servers }

// everyWorkload are the objects that make Pods.
func (t *Tree) everyWorkload() []*manifest.Workload {
	var all []*manifest.Workload
	for _, o := range t.Objects {
		if w := o.Workload(); w != nil {
			all = append(all, w)
		}
	}
	return all
}

// everyService are the containers that are the runbook's service, one a workload: the one
// that is given its variables, otherwise the first of Pods that are aegis's.
func (t *Tree) everyService() []*manifest.Container {
	var all []*manifest.Container
	for _, w := range t.workloads() {
		var served []*manifest.Container
		for _, c := range w.Containers(t.Objects) {
			if c.Serves() && !c.Partial {
				served = append(served, c)
			}
		}
		given := slices.DeleteFunc(slices.Clone(served), func(c *manifest.Container) bool { return !c.Given() })
		if len(given) > 0 {
			served = given
		}
		all = append(all, served...)
	}
	return all
}

// mode is a service's mode; "" where the files do not tell.
func mode(c *manifest.Container) harness.Mode {
	if v := c.Env["AUTH_MODE"]; v.Known {
		return harness.Mode(v.Value)
	}
	return ""
}

// modes are the modes that a run is about: those that it was told, or those that the
// manifests declare.
func (t *Tree) modes() []harness.Mode {
	if len(t.options.Modes) > 0 {
		return t.options.Modes
	}
	var all []harness.Mode
	for _, c := range t.services() {
		if m := mode(c); m != "" && !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return all
}

// idHeader is the identity header that the services believe, and where that is said.
type idHeader struct {
	at   place.Place
	name string
	said bool // by a manifest or the command, and no default of the runbook
}

// defaultHeader is the runbook's example.
const defaultHeader = "x-ssl-client-cn"

// idHeaders are the headers that the services in mode mtls believe.
func (t *Tree) idHeaders() []idHeader {
	if t.options.IDHeader != "" {
		return []idHeader{{name: t.options.IDHeader, said: true}}
	}
	var all []idHeader
	for _, c := range t.services() {
		v, given := c.Env["MTLS_ID_HEADER"]
		if mode(c) != harness.MTLS || !given || !v.Known || v.Value == "" {
			continue
		}
		if !slices.ContainsFunc(all, func(h idHeader) bool { return strings.EqualFold(h.name, v.Value) }) {
			all = append(all, idHeader{v.At, v.Value, true})
		}
	}
	return all
}

// note tells of something that was met and is not read.
func (t *Tree) unknown(at place.Place, what string) {
	t.result.Unknown = append(t.result.Unknown, Note{Place: at, What: what})
}

// unreadable tells of something that should have been read.
func (t *Tree) unreadable(file string, err error) {
	told := place.Of(file, err)
	t.result.Unreadable = append(t.result.Unreadable, Note{Place: told.Place, What: told.What})
}
