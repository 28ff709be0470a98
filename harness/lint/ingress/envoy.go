package ingress

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	bootstrap "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"   // in Any
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3" // in Any
	lua "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3" // in Any
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3" // in Any
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"aegis.test/conformance/harness/lint/document"
	"aegis.test/conformance/harness/lint/place"
)

// IsEnvoy says whether a document is a bootstrap of Envoy's.
func IsEnvoy(d *document.Document) bool {
	keys := d.Keys()
	return keys["static_resources"] || keys["staticResources"] || keys["dynamic_resources"] || keys["dynamicResources"]
}

// envoyReader reads a bootstrap.
type envoyReader struct {
	doc *document.Document
	out *Configuration
}

// ReadEnvoy reads a bootstrap by Envoy's own API: a field that a message does not have
// is an error. An extension that is not read here, and what comes from elsewhere, is
// noted.
func ReadEnvoy(d *document.Document) (*Configuration, error) {
	r := &envoyReader{doc: d, out: &Configuration{File: d.File}}
	var said any
	if err := json.Unmarshal(d.JSON, &said); err != nil {
		return nil, place.Errorf(d.Top(), "it is no bootstrap of Envoy's: %v", err)
	}
	r.strange(said, nil)
	text, err := json.Marshal(said)
	if err != nil {
		return nil, place.Errorf(d.Top(), "it is no bootstrap of Envoy's: %v", err)
	}
	var b bootstrap.Bootstrap
	if err := protojson.Unmarshal(text, &b); err != nil {
		at := d.Top()
		if found := unknownField.FindStringSubmatch(err.Error()); found != nil {
			if path, ok := pathTo(said, found[1], nil); ok {
				at = d.At(path...)
			}
		}
		return nil, place.Errorf(at, "it is no bootstrap of Envoy's: %s", protoLine.ReplaceAllString(err.Error(), ""))
	}
	if b.GetDynamicResources().GetLdsConfig() != nil {
		r.elsewhere("listeners that come from elsewhere", "dynamic_resources", "lds_config")
	}
	for i, l := range b.GetStaticResources().GetListeners() {
		for j, chain := range l.GetFilterChains() {
			r.chain(l, chain, []any{"static_resources", "listeners", i, "filter_chains", j})
		}
	}
	return r.out, nil
}

var (
	unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)
	protoLine    = regexp.MustCompile(`^proto:\s*\(line [^)]*\):\s*`)
)

// pathTo is the way to the first key of a name.
func pathTo(n any, key string, path []any) ([]any, bool) {
	switch n := n.(type) {
	case map[string]any:
		if _, found := n[key]; found {
			return append(slices.Clone(path), key), true
		}
		for _, k := range sortedKeys(n) {
			if found, ok := pathTo(n[k], key, append(path, k)); ok {
				return found, true
			}
		}
	case []any:
		for i, one := range n {
			if found, ok := pathTo(one, key, append(path, i)); ok {
				return found, true
			}
		}
	}
	return nil, false
}

func (r *envoyReader) elsewhere(what string, path ...any) {
	r.out.Unresolved = append(r.out.Unresolved, Unresolved{r.doc.At(path...), what})
}

// strange puts nothing in the place of extensions whose messages are not read here, and
// notes them.
func (r *envoyReader) strange(n any, path []any) {
	switch n := n.(type) {
	case map[string]any:
		if url, ok := n["@type"].(string); ok {
			if _, err := protoregistry.GlobalTypes.FindMessageByURL(url); err != nil {
				r.elsewhere("the extension "+url+" is not read", path...)
				clear(n)
				n["@type"], n["value"] = "type.googleapis.com/google.protobuf.Empty", map[string]any{}
				return
			}
		}
		for _, key := range sortedKeys(n) {
			r.strange(n[key], append(slices.Clone(path), key))
		}
	case []any:
		for i, one := range n {
			r.strange(one, append(slices.Clone(path), i))
		}
	}
}

// chain reads a filter chain: its TLS, and the routes of its HTTP.
func (r *envoyReader) chain(l *listener.Listener, c *listener.FilterChain, path []any) {
	at := r.doc.At(path...)
	s := Server{At: at, Syntax: "Envoy", Name: l.GetName(), VerifyAt: at, Says: "no client certificate is required"}
	var context tls.DownstreamTlsContext
	if any := c.GetTransportSocket().GetTypedConfig(); any.MessageIs(&context) && any.UnmarshalTo(&context) == nil {
		r.tls(&s, &context, append(slices.Clone(path), "transport_socket", "typed_config"))
	}
	for i, f := range c.GetFilters() {
		var manager hcm.HttpConnectionManager
		if any := f.GetTypedConfig(); any.MessageIs(&manager) && any.UnmarshalTo(&manager) == nil {
			r.http(&s, &manager, append(slices.Clone(path), "filters", i, "typed_config"))
		}
	}
	r.out.Servers = append(r.out.Servers, s)
}

// tls reads what a listener demands of certificates.
func (r *envoyReader) tls(s *Server, c *tls.DownstreamTlsContext, path []any) {
	common := c.GetCommonTlsContext()
	s.TLS = true
	validation := common.GetValidationContext()
	if combined := common.GetCombinedValidationContext(); combined != nil {
		validation = combined.GetDefaultValidationContext()
		s.CA = combined.GetValidationContextSdsSecretConfig().GetName()
	}
	if sds := common.GetValidationContextSdsSecretConfig(); sds != nil {
		s.CA = sds.GetName()
	}
	if ca := validation.GetTrustedCa(); ca != nil {
		s.CA = source(ca)
	}
	required := c.GetRequireClientCertificate().GetValue()
	s.Says = fmt.Sprintf("require_client_certificate %v", required)
	s.VerifyAt = r.doc.At(append(slices.Clone(path), "require_client_certificate")...)
	switch accepts := validation.GetTrustChainVerification(); {
	case accepts == tls.CertificateValidationContext_ACCEPT_UNTRUSTED:
		s.Verify = Unverified
		s.Says += " with ACCEPT_UNTRUSTED"
	case required && s.CA == "":
		s.Verify = Unverified
	case required:
		s.Verify = Required
	case s.CA != "":
		s.Verify = Optional
	}
	switch v := common.GetTlsParams().GetTlsMinimumProtocolVersion(); v {
	case tls.TlsParameters_TLSv1_0, tls.TlsParameters_TLSv1_1:
		s.Old = append(s.Old, Word{r.doc.At(append(slices.Clone(path), "common_tls_context", "tls_params",
			"tls_minimum_protocol_version")...), v.String()})
	}
}

// source is where a text of Envoy's comes from.
func source(d *core.DataSource) string {
	if name := d.GetFilename(); name != "" {
		return name
	}
	if name := d.GetEnvironmentVariable(); name != "" {
		return name
	}
	return "inline"
}

// http reads a connection manager's routes.
func (r *envoyReader) http(s *Server, m *hcm.HttpConnectionManager, path []any) {
	here := func(more ...any) []any { return append(slices.Clone(path), more...) }
	if m.GetRds() != nil || m.GetScopedRoutes() != nil {
		r.elsewhere("routes that come from elsewhere", here("rds")...)
	}
	underscores := m.GetCommonHttpProtocolOptions().GetHeadersWithUnderscoresAction() == core.HttpProtocolOptions_ALLOW
	var sets []Header
	forwarded := Header{At: r.doc.At(here("forward_client_cert_details")...), Name: "x-forwarded-client-cert",
		Value: m.GetForwardClientCertDetails().String()}
	switch m.GetForwardClientCertDetails() {
	case hcm.HttpConnectionManager_SANITIZE_SET:
		forwarded.From = Subject
	case hcm.HttpConnectionManager_SANITIZE:
		forwarded.From = Nothing
	default:
		forwarded.From = Caller
	}
	sets = append(sets, forwarded)
	for i, f := range m.GetHttpFilters() {
		var code lua.Lua
		if any := f.GetTypedConfig(); any.MessageIs(&code) && any.UnmarshalTo(&code) == nil {
			text := code.GetInlineCode() + code.GetDefaultSourceCode().GetInlineString() //nolint:staticcheck // the older field is still written
			sets = append(sets, luaHeaders(text, r.doc.At(here("http_filters", i)...))...)
		}
	}
	c := m.GetRouteConfig()
	sets = append(sets, r.changes(c, here("route_config"))...)
	for i, host := range c.GetVirtualHosts() {
		ofHost := slices.Concat(sets, r.changes(host, here("route_config", "virtual_hosts", i)))
		for j, one := range host.GetRoutes() {
			at := here("route_config", "virtual_hosts", i, "routes", j)
			if one.GetRoute() == nil {
				continue
			}
			s.Routes = append(s.Routes, Route{
				At: r.doc.At(at...), Path: matched(one.GetMatch()), Upstream: one.GetRoute().GetCluster(), Guarded: s.Verify == Required,
				Headers: merged(slices.Concat(ofHost, r.changes(one, at))), Underscores: underscores,
			})
		}
	}
}

func matched(m *route.RouteMatch) string {
	if p := m.GetPath(); p != "" {
		return p
	}
	return m.GetPrefix()
}

// changing is what changes headers at one of three levels.
type changing interface {
	proto.Message
	GetRequestHeadersToAdd() []*core.HeaderValueOption
	GetRequestHeadersToRemove() []string
}

// changes are what a level does to headers: what it takes out, then what it adds.
func (r *envoyReader) changes(c changing, path []any) []Header {
	var all []Header
	for i, name := range c.GetRequestHeadersToRemove() {
		all = append(all, Header{At: r.doc.At(append(slices.Clone(path), "request_headers_to_remove", i)...), Name: name, From: Nothing})
	}
	for i, add := range c.GetRequestHeadersToAdd() {
		h := Header{At: r.doc.At(append(slices.Clone(path), "request_headers_to_add", i)...), Name: add.GetHeader().GetKey(),
			Value: add.GetHeader().GetValue()}
		switch {
		case strings.Contains(h.Value, "%REQ("):
			h.From = Caller
		case strings.Contains(h.Value, "%DOWNSTREAM_PEER_"):
			h.From = Subject
		}
		switch add.GetAppendAction() {
		case core.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD, core.HeaderValueOption_ADD_IF_ABSENT:
			h.Value += " beside what is there"
			h.From = beside(h.From)
		}
		all = append(all, h)
	}
	return all
}

// appended marks a value that is added to what is there.
const appended = Origin(-1)

// beside is what is added to the caller's own.
func beside(from Origin) Origin {
	if from == Subject {
		return appended
	}
	return Caller
}

// merged are headers after all levels: what was taken out before is not the caller's any
// more, and what is added beside what is there is his where nothing took it out.
func merged(all []Header) []Header {
	clean := map[string]bool{}
	var kept []Header
	for _, h := range all {
		name := strings.ToLower(h.Name)
		switch h.From {
		case appended:
			h.From = Subject
			if !clean[name] {
				kept = append(kept, Header{At: h.At, Name: h.Name, Value: h.Value, From: Caller})
			}
		case Caller:
		default:
			clean[name] = true
			kept = slices.DeleteFunc(kept, func(k Header) bool { return strings.EqualFold(k.Name, h.Name) && k.From == Nothing })
		}
		kept = append(kept, h)
	}
	return kept
}

var (
	luaCall = regexp.MustCompile(`:(remove|add|replace)\(\s*["']([^"']+)["']`)
	luaPeer = regexp.MustCompile(`subjectPeerCertificate|PeerCertificate\b|peerCertificate|parsedSubjectPeer`)
)

// luaHeaders are the headers that a script names: what it puts there is of the peer's
// certificate where the script looks at that.
func luaHeaders(code string, at place.Place) []Header {
	var all []Header
	for _, call := range luaCall.FindAllStringSubmatch(code, -1) {
		h := Header{At: at, Name: call[2], Value: "a Lua script's", From: Nothing}
		switch {
		case call[1] == "remove":
		case !luaPeer.MatchString(code):
			h.From = Literal
		case call[1] == "add":
			h.From = appended
		default:
			h.From = Subject
		}
		all = append(all, h)
	}
	return all
}
