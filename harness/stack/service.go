package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/config"
	"aegis.test/conformance/harness/stack/live"
	"aegis.test/conformance/harness/stack/localhost"
)

// Service is an image under test: it takes the place of the reference service,
// once per mode, with Vault, IdP and ingress around it. It is told of them by
// the environment contract (aegis.Process), and finds the certificate of their
// authority at ServiceCA as well. The zero value is the reference service.
type Service struct {
	// Image is its reference: at the engine, or pulled.
	Image string
	// PreviousImage is the reference of the release before, to which a way back leads;
	// empty where none is given. It is started as Image is.
	PreviousImage string
	// Command replaces the image's entry point and its arguments; none keeps
	// both.
	Command []string
	// Port is what it listens on; 0 is 8080. LISTEN_ADDR says so too.
	Port int
	// Health is the path whose first answer below 500 says that it is up; empty
	// is /readyz.
	Health string
	// Env is set beside the contract's Variables, and over them. ${NAME} in a
	// value is the value of one of these, so that the team's names can stand for
	// ours; where that one is not set, nor is this. What is in confidence,
	// VAULT_TOKEN and MTLS_PROXY_SECRET, is handed over as files, in memory, that
	// VAULT_TOKEN_FILE and MTLS_PROXY_SECRET_FILE name; an image that knows no files
	// asks for it here, and SEC-007 finds it in its environment.
	Env map[string]string
	// IngressProof says that it takes an identity header only beside
	// MTLS_PROXY_SECRET in harness.ProxyHeader. Of one that does not, the
	// network has to keep others away, which a stack on one host cannot show:
	// what needs the path past the ingress is then not exercised.
	IngressProof bool
	// RequestLog is the port at which it answers what became of a probe, as
	// harness.Target.Oracles has it; 0 is none, and nothing is claimed of side
	// effects then.
	RequestLog int
	// Endpoints are its critical endpoints; none are the runbook's.
	Endpoints []harness.Endpoint
	// Profile is what it declares. Issuer, audience, and how the ingress refuses,
	// are the stack's whatever it says. KeyRefresh, by default a second, is given
	// to it as JWKS_MAX_AGE.
	Profile harness.Profile
}

// ServiceOf is the image under test that a configuration names, with what it
// declares; the zero value where it names none. In a stack of ours every endpoint
// may be called that may be called at all.
func ServiceOf(l config.Loaded) Service {
	s := Service{
		Image:         l.Service.Image,
		PreviousImage: l.Service.PreviousImage,
		Command:       l.Service.Command,
		Port:          l.Service.Port,
		Health:        l.Service.Health,
		Env:           l.Service.Env,
		IngressProof:  l.Service.IngressProof,
		RequestLog:    l.Service.RequestLog,
	}
	if !s.given() {
		return Service{}
	}
	s.Profile, s.Endpoints = live.Declared(l)
	return s
}

// ServiceCA is the path, in the service's container, of the PEM of the authority
// that Vault's and the IdP's certificates are of.
const ServiceCA = files + "ca.pem"

// Variables are the variables of the environment contract that a placement sets.
var Variables = []string{
	"AUTH_MODE", "JWKS_MAX_AGE", "LISTEN_ADDR", "MTLS_ID_HEADER", "MTLS_PROXY_SECRET", "MTLS_PROXY_SECRET_FILE",
	"OIDC_AUDIENCE", "OIDC_CACERT_BYTES", "OIDC_ISSUER", "OIDC_LEEWAY", "OIDC_SCOPE", "REQUEST_LOG_ADDR",
	"SECRETS_REFRESH", "VAULT_ADDR", "VAULT_CACERT_BYTES", "VAULT_TOKEN", "VAULT_TOKEN_FILE",
}

// KnownService reports whether a runtime can place such a service, and what it
// says of itself can be.
func KnownService(runtime Runtime, s Service) error {
	if !s.given() {
		return nil
	}
	if runtime == Embedded {
		return fmt.Errorf("image under test %q needs containers: --runtime containers", s.Image)
	}
	for _, port := range []int{s.port(), s.RequestLog} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("image under test %q: %d is no port", s.Image, port)
		}
	}
	if s.RequestLog == s.port() {
		return fmt.Errorf("image under test %q: its request log cannot answer at the port of the service, %d", s.Image, s.RequestLog)
	}
	if !strings.HasPrefix(s.health(), "/") {
		return fmt.Errorf("image under test %q: health path %q does not begin with a slash", s.Image, s.Health)
	}
	for _, theirs := range slices.Sorted(maps.Keys(s.Env)) {
		for _, match := range reference.FindAllStringSubmatch(s.Env[theirs], -1) {
			if !slices.Contains(Variables, match[1]) {
				return fmt.Errorf("image under test %q: variable %s names %q, which the stack does not know: want one of %s",
					s.Image, theirs, match[0], strings.Join(Variables, ", "))
			}
		}
	}
	return nil
}

func (s Service) given() bool { return s.Image != "" }

func (s Service) port() int { return cmp.Or(s.Port, servicePort) }

func (s Service) health() string { return cmp.Or(s.Health, "/readyz") }

// provesIngress reports whether the service knows the ingress by a secret.
func (s Service) provesIngress() bool { return !s.given() || s.IngressProof }

// logsRequests reports whether there is a request log.
func (s Service) logsRequests() bool { return !s.given() || s.RequestLog != 0 }

// reference is the name of a variable of ours in the value of one of theirs.
var reference = regexp.MustCompile(`\$\{([^}]*)\}`)

// named is an environment with the team's own variables in it.
func (s Service) named(env map[string]string) map[string]string {
	theirs := maps.Clone(env)
	for name, value := range s.Env {
		set := true
		theirs[name] = reference.ReplaceAllStringFunc(value, func(match string) string {
			ours, ok := env[match[2:len(match)-1]]
			set = set && ok
			return ours
		})
		if !set {
			delete(theirs, name)
		}
	}
	return theirs
}

// words says what it is.
func (s Service) words() string {
	if !s.given() {
		return "reference service"
	}
	return "image " + s.Image
}

// declared is what an image under test declares, for what the stack around it
// leaves open.
func (s Service) declared(stack harness.Profile) harness.Profile {
	p := s.Profile
	p.Issuer, p.Audience = stack.Issuer, stack.Audience
	p.NoCertificate, p.BadCertificate = stack.NoCertificate, stack.BadCertificate
	p.Intermediates, p.ConnectionAge = stack.Intermediates, stack.ConnectionAge
	p.KeyRefresh = cmp.Or(p.KeyRefresh, time.Second)
	return p
}

// service is a container of the service in one mode, started as launch says.
func (c *containers) service(ctx context.Context, name string, launch harness.Launch) (part, error) {
	spec, env := c.blueprint.spec, c.blueprint.env(launch.Mode, vaultURL, c.vault.token)
	under := spec.Service
	env["LISTEN_ADDR"] = ":" + strconv.Itoa(under.port())
	p := part{name: name, ports: []int{under.port()}, hidden: []string{c.vault.token.Reveal()}, shares: []string{c.idpAt.id}}
	p.cores = spec.Fault.Cores
	if launch.Crashes {
		p.beside = c.idpAt.id
	}
	if spec.Fault.Deployed {
		copied, _ := json.Marshal(c.blueprint.secrets) // text
		env["AEGIS_RUNTIME"] = string(copied)
	}
	if under.logsRequests() {
		log := cmp.Or(under.RequestLog, oraclePort)
		env["REQUEST_LOG_ADDR"], p.ports = ":"+strconv.Itoa(log), append(p.ports, log)
	}
	planted := spec.Fault.Service
	if launch.Previous {
		env["AEGIS_RELEASE"], planted = "previous", spec.Fault.Previous
	}
	if face := spec.Fault.Face; planted != nil && (face == "" || face == launch.Mode) {
		env["AEGIS_FAULT"] = spec.Fault.ID
	}
	env = localhost.LaunchEnv(env, launch)
	if err := c.handOver(ctx, env); err != nil {
		return p, err
	}
	p.env = under.named(env)
	for _, name := range handed {
		if _, asked := under.Env[name]; !asked && name != spec.Fault.InEnv {
			delete(p.env, name)
		}
	}
	if !under.given() {
		p.image, p.command, p.dir = c.have[images.Fixture], []string{"/bin/fixture", "aegis"}, "/tmp"
		return p, nil
	}
	p.image, p.command, p.foreign = c.have[under.Image], under.Command, true
	if launch.Previous {
		p.image = c.have[under.PreviousImage]
	}
	p.files = map[string][]byte{ServiceCA: c.blueprint.servers.RootPEM()}
	return p, nil
}
