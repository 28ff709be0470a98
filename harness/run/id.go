package run

import (
	"time"

	"aegis.test/conformance/harness/token"
)

// NewID is a new run's identifier: its time, UTC, and some random digits.
func NewID() string {
	return time.Now().UTC().Format("20060102-150405") + "-" + token.Random(3)
}
