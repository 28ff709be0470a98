package config

import _ "embed"

// Beginning is a commented staging.yaml to begin with.
//
//go:embed beginning.yaml
var Beginning string
