package stack

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"aegis.test/conformance/fixtures/images"
	"aegis.test/conformance/fixtures/ingress"
	"aegis.test/conformance/harness"
)

// flavour is one sound ingress: which program it is, how it is shaped, and the
// answers that the target then declares (rulings ).
type flavour struct {
	name  string
	image string // of images
	is    string // in words, before a version
	shape ingress.Shape
	none  harness.Refusal // to no certificate
	bad   harness.Refusal // to one that does not verify
	age   time.Duration   // of a connection, at most (nginx, keepalive_time); 0 is no bound

	config  func([]ingress.Server) (string, error)
	file    string // where that goes
	command []string
	// paired, if true, causes a certificate's file to hold its key too.
	paired bool
	// quic, if true, says that it speaks HTTP/3 too.
	quic bool
}

var nginxCommand = []string{nginxProgram, "-e", "stderr", "-c", files + "nginx.conf"}

// flavours are all of them, the first the one taken when none is asked for.
// Those that are nginx can be placed in this process too.
var flavours = []flavour{
	{
		name: "nginx", image: images.Nginx, is: "nginx", none: harness.HTTP401, bad: harness.HTTP401, age: connectionAge,
		config: ingress.Nginx, file: "nginx.conf", command: nginxCommand,
	},
	{
		name:    "nginx-400",
		image:   images.Nginx,
		is:      "nginx, with its own refusals,",
		none:    harness.HTTP400,
		bad:     harness.HTTP400,
		age:     connectionAge,
		shape:   ingress.Shape{Refusal: ingress.Refuse400},
		config:  ingress.Nginx,
		file:    "nginx.conf",
		command: nginxCommand,
	},
	{
		name:    "nginx-optional",
		image:   images.Nginx,
		is:      "nginx, verifying what is presented,",
		none:    harness.HTTP401,
		bad:     harness.HTTP400,
		age:     connectionAge,
		shape:   ingress.Shape{Verify: ingress.VerifyOptional, Refusal: ingress.Refuse400},
		config:  ingress.Nginx,
		file:    "nginx.conf",
		command: nginxCommand,
	},
	{
		name: "haproxy", image: images.HAProxy, is: "HAProxy", none: harness.TLSAlert, bad: harness.TLSAlert,
		config: ingress.HAProxy, file: "haproxy.cfg", command: []string{"/usr/sbin/haproxy", "-db", "-f", files + "haproxy.cfg"}, paired: true,
	},
	{
		name:    "caddy",
		image:   images.Caddy,
		is:      "Caddy",
		none:    harness.TLSAlert,
		bad:     harness.TLSAlert,
		quic:    true,
		config:  ingress.Caddy,
		file:    "Caddyfile",
		command: []string{"/bin/caddy", "run", "--adapter", "caddyfile", "--config", files + "Caddyfile"},
	},
}

// Flavours are the names of the ingresses there are, the usual one first.
func Flavours() []string {
	var names []string
	for _, f := range flavours {
		names = append(names, f.name)
	}
	return names
}

// KnownIngress reports whether there is such an ingress, and the runtime can
// place it. Empty is the usual one.
func KnownIngress(runtime Runtime, name string) error {
	f, ok := flavourOf(name)
	if !ok {
		return fmt.Errorf("there is no ingress %q: want one of %s", name, strings.Join(Flavours(), ", "))
	}
	if runtime == Embedded && !f.nginx() {
		return fmt.Errorf("ingress %q needs containers: --runtime containers", name)
	}
	return nil
}

func flavourOf(name string) (flavour, bool) {
	if name == "" {
		return flavours[0], true
	}
	i := slices.IndexFunc(flavours, func(f flavour) bool { return f.name == name })
	if i < 0 {
		return flavour{}, false
	}
	return flavours[i], true
}

func (f flavour) nginx() bool { return f.image == images.Nginx }
