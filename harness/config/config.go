// Package config reads: it is the one place that reads files and the
// environment for a run's settings.
package config

// prefix begins the name of every environment variable of ours.
const prefix = "CONFORMANCE_"

// Names of the environment variables that settings are read from.
const (
	RuntimeVariable = "CONFORMANCE_RUNTIME"
	OutVariable     = "CONFORMANCE_OUT"
	ConfigVariable  = "CONFORMANCE_CONFIG"
	SampleVariable  = "CONFORMANCE_SAMPLE"
)

// reserved are the variables of ours that override no value of a file.
var reserved = []string{RuntimeVariable, OutVariable, ConfigVariable, SampleVariable}

// Settings are what a run may be told from outside.
type Settings struct {
	Runtime string // auto, containers or embedded; default auto
	Out     string // directory of the sign-off
	Config  string // path of staging.yaml; empty means a stack of our own
	// Sample is the seed by which our own tests choose a part of what takes long;
	// empty means all of it.
	Sample string
}

// Read reads the settings through getenv; out is the default directory.
func Read(getenv func(string) string, out string) Settings {
	s := Settings{Runtime: "auto", Out: out, Config: getenv(ConfigVariable), Sample: getenv(SampleVariable)}
	if v := getenv(RuntimeVariable); v != "" {
		s.Runtime = v
	}
	if v := getenv(OutVariable); v != "" {
		s.Out = v
	}
	return s
}
