package strangers_test

import (
	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
)

// stranger is a sound deployment: the service in a mode, behind an ingress whose
// configuration lies with the owner's staging.yaml in a directory of its name.
type stranger struct {
	name    string
	mode    harness.Mode
	ingress string // of images
	config  string // file
	command []string
	workers []string // uvicorn's arguments
	faults  []fault
}

// fault is one thing that is wrong: text of a file that stands in it once, in whose
// place other text is put.
type fault struct {
	says, in, from, to string
	caught             []string // by these, at least
	// doubted are rows that are inconclusive and keep the run from passing, where a run
	// that may not write can see no more.
	doubted []string
}

var strangers = []stranger{
	{name: "nginx-oidc", mode: harness.OIDC, ingress: images.Nginx, config: "nginx.conf", command: nginx, faults: tokenFaults},
	{
		name: "haproxy-mtls", mode: harness.MTLS, ingress: images.HAProxy, config: "haproxy.cfg", command: []string{"/usr/sbin/haproxy", "-db", "-f"},
		faults: []fault{
			listIgnored,
			{
				says: "certificates that do not verify are taken", in: "haproxy.cfg", from: "unless { ssl_c_used } { ssl_c_verify 0 }", to: "unless { ssl_c_used }",
				caught: []string{"CHN-001", "CHN-002"},
			},
			{
				says: "the client's own header is kept", in: "haproxy.cfg", from: "http-request set-header x-client-cn %[ssl_c_s_dn(cn)]",
				to: "http-request set-header x-client-cn %[ssl_c_s_dn(cn)] unless { req.hdr(x-client-cn) -m found }", caught: []string{"HDR-002"},
			},
		},
	},
	{
		name: "nginx-mtls", mode: harness.MTLS, ingress: images.Nginx, config: "nginx.conf", command: nginx,
		faults: []fault{
			listIgnored,
			{
				says: "certificates are asked for, and need not verify", in: "nginx.conf", from: "ssl_verify_client on;", to: "ssl_verify_client optional_no_ca;",
				caught: []string{"CHN-001"},
			},
			{
				says: "the client's own header is passed on", in: "nginx.conf", from: "X-Client-CN $client;", to: "X-Client-Name $client;",
				caught: []string{"HDR-002"},
			},
		},
	},
	{
		name: "caddy-mtls", mode: harness.MTLS, ingress: images.Caddy, config: "Caddyfile",
		command: caddy,
		faults: []fault{
			listIgnored,
			{
				says: "any certificate will do", in: "Caddyfile", from: "mode require_and_verify", to: "mode require",
				caught: []string{"CHN-001", "CHN-002"},
			},
			{
				says: "the client's own header is passed on", in: "Caddyfile", from: "header_up X-Client-CN {client}", to: "header_up X-Client-Name {client}",
				caught: []string{"HDR-002"},
			},
		},
	},
	{
		name: "caddy-oidc", mode: harness.OIDC, ingress: images.Caddy, config: "Caddyfile", command: caddy, faults: tokenFaults,
	},
	{
		name: "workers-oidc", mode: harness.OIDC, ingress: images.Nginx, config: "nginx.conf", command: nginx, workers: []string{"--workers", "2"},
		faults: tokenFaults,
	},
}

var (
	nginx = []string{"/usr/sbin/nginx", "-e", "stderr", "-c"}
	caddy = []string{"/bin/caddy", "run", "--adapter", "caddyfile", "--config"}
)

var tokenFaults = []fault{
	{
		says: "signatures are not verified", in: "scoring.py", from: `options={"require"`, to: `options={"verify_signature": False, "require"`,
		caught: []string{"OIDC-006", "OIDC-012"},
	},
	{
		says: "expired tokens are served", in: "scoring.py", from: `options={"require"`, to: `options={"verify_exp": False, "require"`,
		caught: []string{"OIDC-005"},
	},
	{
		says: "scoring is open", in: "scoring.py", from: "def score(application: Application, who: str = Depends(caller)):",
		to: `def score(application: Application, who: str = ""):`, caught: []string{"OIDC-004", "EPT-001"},
	},
	{
		says: "enrolment is open to whoever sends a whole body", in: "scoring.py", from: "def enrol(client: Client, who: str = Depends(caller)):",
		to: `def enrol(client: Client, who: str = ""):`, doubted: []string{"OIDC-004", "OIDC-005"},
	},
}

var listIgnored = fault{
	says: "the list is not asked", in: "scoring.py", from: `if name not in json.loads(secret("clients/allowed")):`, to: "if not name:",
	caught: []string{"MTLS-003", "ENR-011"},
}
