// Package localhost is what a stack and a live target do alike on this host: ports of 127.0.0.1,
// gates before a replica's Vault, and bounds.
package localhost

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"time"

	"aegis.test/conformance/harness"
)

const (
	// StopBound is how long removing all of a run may take. An engine that is not
	// busy needs a second or two of it: what is given up is left behind.
	StopBound = 20 * time.Second
	// Poll is the pause between two questions to a component that is starting.
	Poll = 20 * time.Millisecond
)

// Modes are the faces of a started target.
var Modes = []harness.Mode{harness.OIDC, harness.MTLS}

// Listen takes a free port of 127.0.0.1.
func Listen() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("taking a port of 127.0.0.1: %w", err)
	}
	return l, nil
}

// LaunchEnv is the environment of a further replica: env, changed by launch.
func LaunchEnv(env map[string]string, launch harness.Launch) map[string]string {
	changed := maps.Clone(env)
	maps.Copy(changed, launch.Env)
	for _, name := range launch.Unset {
		delete(changed, name)
	}
	return changed
}

// Nonce is a short random text, fit for names.
func Nonce() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails (Go 1.24)
	return hex.EncodeToString(b)
}
