package edge

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/probe/probetest"
	"aegis.test/conformance/harness/wire/wiretest"
)

// hooked is an ingress's control by hooks that return at once: what they changed comes
// about later, or never.
type hooked struct {
	after time.Duration // until a change is in force; 0 is never: it was refused
	bites func()
}

func (h *hooked) change() {
	if h.after > 0 {
		time.AfterFunc(h.after, h.bites)
	}
}

func (h *hooked) TrustOnly(context.Context, []byte) error { h.change(); return nil }
func (h *hooked) Reload(context.Context) error            { return nil }
func (h *hooked) Restore(context.Context) error           { return nil }

// TestHooksThatReturnEarly: an ingress that was told to trust nobody by a hook that
// waits for nothing is judged once it does; one that refused that goes on, and only
// strangers are judged.
func TestHooksThatReturnEarly(t *testing.T) {
	a := wiretest.Authority(t)
	pair := wiretest.Leaf(t, a, "caller")
	enrolled, err := pair.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		after    time.Duration
		open     bool // and believes everybody then
		taken    string
		enrolled bool // is judged too
		served   bool
	}{
		"late":                {200 * time.Millisecond, false, "taken", true, false},
		"refused, by no word": {0, false, "passed over: what was trusted before still is", false, false},
		"late, open":          {200 * time.Millisecond, true, "taken", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var changed atomic.Bool
			config, roots := wiretest.ServerTLS(t)
			config.ClientAuth = tls.RequestClientCert
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				known := len(r.TLS.PeerCertificates) > 0 && r.TLS.PeerCertificates[0].CheckSignatureFrom(a.Pair().Certificate) == nil
				if changed.Load() && !row.open || !changed.Load() && !known {
					w.WriteHeader(http.StatusUnauthorized)
				}
			}))
			s.Config.ErrorLog, s.TLS = log.New(io.Discard, "", 0), config
			s.StartTLS()
			t.Cleanup(s.Close)
			target := wiretest.Target(s.URL, roots)
			target.Faces[harness.MTLS] = target.Faces[harness.OIDC]
			target.Endpoints = []harness.Endpoint{{Name: "inference", Method: "POST", Path: "/predict", Effect: harness.ReadOnly}}
			target.Profile.Propagation = time.Second
			target.Certs = harness.CertGrant{Enrolled: harness.CertPair{Chain: pair.ChainPEM(), Key: harness.Secret(enrolled)}, EnrolledCN: "caller"}
			target.Control = &harness.Control{Ingress: &hooked{row.after, func() { changed.Store(true) }}}
			trace, err := WithoutAuthority().Act(t.Context(), probetest.On(target))
			if err != nil || len(trace.Facts) != 2 || trace.Facts[0].Value() != row.taken {
				t.Fatalf("%v, %v, want %s", trace.Facts, err, row.taken)
			}
			judged, served := false, false
			for _, x := range trace.Exchanges {
				judged = judged || x.Request.Credential == clientcert.Enrolled().Name
				served = served || x.Observation.Status == 200
			}
			if judged != row.enrolled || served != row.served {
				t.Errorf("the enrolled client is judged: %v, somebody is served: %v", judged, served)
			}
		})
	}
}
