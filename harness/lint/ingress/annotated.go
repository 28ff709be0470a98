package ingress

import (
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"aegis.test/conformance/harness/lint/manifest"
)

// ingressNginx is what annotations of ingress-nginx begin with.
const ingressNginx = "nginx.ingress.kubernetes.io/"

// FromIngress reads an Ingress as ingress-nginx does; nil where the object is none, or
// of another class.
func FromIngress(o *manifest.Object) (*Configuration, error) {
	in, ok := o.Value.(*networkingv1.Ingress)
	if !ok || !ofNginx(in) {
		return nil, nil
	}
	say := func(name string) string { return in.Annotations[ingressNginx+name] }
	at := o.At()
	s := Server{At: at, Syntax: "ingress-nginx", Name: o.Meta.Name, TLS: len(in.Spec.TLS) > 0, VerifyAt: at,
		Says: "no auth-tls-verify-client",
		CA:   say("auth-tls-secret")}
	if s.CA != "" {
		s.Verify, s.VerifyAt, s.Says = Required, o.At("metadata", "annotations", ingressNginx+"auth-tls-secret"), "auth-tls-secret"
	}
	if verify := say("auth-tls-verify-client"); verify != "" {
		s.Verify, s.Says = nginxVerification[verify], "auth-tls-verify-client "+verify
		s.VerifyAt = o.At("metadata", "annotations", ingressNginx+"auth-tls-verify-client")
		if s.CA == "" { // without the CA's Secret, ingress-nginx passes the annotation over
			s.Verify, s.Says = Unasked, s.Says+" without auth-tls-secret"
		}
	}
	// What ingress-nginx sets by itself where it verifies.
	var sets []Header
	if s.Verify != Unasked {
		for _, name := range []string{"ssl-client-subject-dn", "ssl-client-issuer-dn", "ssl-client-verify"} {
			sets = append(sets, Header{At: s.VerifyAt, Name: name, Value: "ingress-nginx's own", From: Subject, Own: true})
		}
	}
	guarded := s.Verify == Required
	c := &Configuration{File: at.File}
	for _, name := range []string{"server-snippet", "configuration-snippet"} {
		if text := say(name); text != "" {
			more, guards, err := snippet(text, o, name)
			if err != nil {
				return nil, err
			}
			sets, guarded = append(sets, more...), guarded || guards
		}
	}
	for i, rule := range in.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for j, p := range rule.HTTP.Paths {
			upstream := ""
			if p.Backend.Service != nil {
				upstream = p.Backend.Service.Name
			}
			s.Routes = append(s.Routes, Route{At: o.At("spec", "rules", i, "http", "paths", j), Path: p.Path, Upstream: upstream, Headers: sets,
				Guarded: guarded})
		}
	}
	c.Servers = []Server{s}
	return c, nil
}

// ofNginx says whether ingress-nginx takes an Ingress: by its class, or by annotations.
func ofNginx(in *networkingv1.Ingress) bool {
	class := in.Annotations["kubernetes.io/ingress.class"]
	if in.Spec.IngressClassName != nil {
		class = *in.Spec.IngressClassName
	}
	if strings.Contains(class, "nginx") {
		return true
	}
	for name := range in.Annotations {
		if strings.HasPrefix(name, ingressNginx) {
			return class == ""
		}
	}
	return false
}

// snippet reads directives of nginx's that an annotation puts into a location.
func snippet(text string, o *manifest.Object, name string) (sets []Header, guards bool, err error) {
	at := o.At("metadata", "annotations", ingressNginx+name)
	r := &nginxReader{vars: map[string]Origin{}, out: &Configuration{}}
	tree, err := r.parse(at.File, []byte(text), 0)
	if err != nil {
		return nil, false, err
	}
	r.variables(tree)
	own := r.own(tree, scope{})
	for i := range own.sets {
		own.sets[i].At = at
	}
	return own.sets, own.guarded, nil
}
