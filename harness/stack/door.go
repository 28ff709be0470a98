package stack

import (
	"encoding/json"
	"fmt"
	"net"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/fixtures/idp"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/stack/localhost"
)

// doorPorts are the ports of the IdP's door in a container: of its control,
// the outside, the outside over plain HTTP, and of the three that nobody should
// believe.
var doorPorts = [6]int{8450, 8451, 8452, 8453, 8454, 8455}

// doorPlan plans the IdP's door. Addresses are where it listens, host and
// ports how the service reaches it there.
func (b *blueprint) doorPlan(addresses [6]string, host string, ports [6]int) (idp.DoorPlan, error) {
	at := func(scheme string, i int) string {
		return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, fmt.Sprint(ports[i])))
	}
	plan := idp.DoorPlan{
		Bearer: localhost.Nonce() + localhost.Nonce() + localhost.Nonce() + localhost.Nonce(),
		Places: idp.Places{Outside: at("https", 1), Plain: at("http", 2), Elsewhere: harness.Elsewhere{
			SelfSigned: at("https", 3) + idp.JWKSPath, WrongName: at("https", 4) + idp.JWKSPath, Expired: at("https", 5) + idp.JWKSPath,
		}},
		Control: addresses[0], Outside: addresses[1], Plain: addresses[2],
	}
	var err error
	plan.Shams, err = idp.Shams(b.servers, host, plan.Places.Elsewhere, [3]string(addresses[3:]))
	return plan, err
}

// openDoor opens the IdP's door in this process.
func (e *embedded) openDoor(pair certs.Pair) (*idp.Door, error) {
	var listeners [6]net.Listener
	var addresses [6]string
	var ports [6]int
	served := false
	for i := range listeners {
		l, err := localhost.Listen()
		if err != nil {
			return nil, err
		}
		defer func() {
			if !served {
				_ = l.Close()
			}
		}()
		listeners[i], addresses[i], ports[i] = l, l.Addr().String(), l.Addr().(*net.TCPAddr).Port
	}
	plan, err := e.blueprint.doorPlan(addresses, "127.0.0.1", ports)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	door, listening, err := idp.OpenDoor(e.blueprint.idp, text)
	if err != nil {
		return nil, err
	}
	served = true
	for i, l := range listening {
		server := l.Server(pair)
		e.serveBy(listeners[i], server, func() error { return l.Serve(server, listeners[i]) })
	}
	e.blueprint.door = idp.NewRemote("http://"+addresses[0], harness.Secret(plan.Bearer), plan.Places)
	return door, nil
}

// doorEnv is the plan of a door in a container, as its environment has it; what
// opens it is told where the container's control port is published.
func (b *blueprint) doorEnv() (env string, open func(control string), err error) {
	var addresses [6]string
	for i, port := range doorPorts {
		addresses[i] = fmt.Sprintf(":%d", port)
	}
	plan, err := b.doorPlan(addresses, "idp", doorPorts)
	if err != nil {
		return "", nil, err
	}
	text, err := json.Marshal(plan)
	return string(text), func(control string) {
		b.door = idp.NewRemote("http://"+control, harness.Secret(plan.Bearer), plan.Places)
	}, err
}
