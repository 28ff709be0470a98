package harness_test

import (
	"slices"
	"testing"
	"time"

	"aegis.test/conformance/harness"
)

// TestFactsAreReadAsTheyWereTold: by their key and its type, and in words.
func TestFactsAreReadAsTheyWereTold(t *testing.T) {
	trace := harness.Trace{Facts: []harness.Fact{
		harness.CallsOutOfBand.Was(2), harness.FloodLasted.Was(1500 * time.Millisecond), harness.CertificateLife.Was(time.Hour).Of("enrolled certificate"),
		harness.Leaked.At("a log", "a token"), harness.Searched.At("a log"), harness.VaultAllows.Was("list",
			"read").Of("sys/mounts"), harness.ModeTold.Was(),
	}}
	if n := harness.CallsOutOfBand.In(trace); !slices.Equal(n, []int{2}) || len(harness.KeySetFetches.In(trace)) != 0 {
		t.Errorf("counts %v, want 2 and no fetches", n)
	}
	if life := harness.CertificateLife.In(trace); len(life) != 1 || life[0].Of != "enrolled certificate" || life[0].Duration != time.Hour {
		t.Errorf("lives %v", life)
	}
	if places := harness.Leaked.In(trace); !slices.Equal(places, []string{"a log: a token"}) {
		t.Errorf("places %q", places)
	}
	if states := harness.VaultAllows.In(trace); len(states) != 1 || states[0].Of != "sys/mounts" || !slices.Equal(states[0].Is,
		[]string{"list", "read"}) {
		t.Errorf("states %v", states)
	}
	var words []string
	for _, f := range trace.Facts {
		words = append(words, f.Name()+" = "+f.Value())
	}
	if want := []string{"calls out of band = 2", "the flood lasted = 1.5s", "enrolled certificate = 1h0m0s", "shows what must not show = " +
		"a log: a token",
		"searched = a log", "sys/mounts = list, read", "answers to clients that tell the mode = "}; !slices.Equal(words, want) {
		t.Errorf("in words %q, want %q", words, want)
	}
	declared := []harness.Key{harness.CallsOutOfBand, harness.FloodLasted, harness.CertificateLife, harness.Leaked, harness.Searched,
		harness.VaultAllows}
	if got := trace.Undeclared(declared); !slices.Equal(got, []string{string(harness.ModeTold)}) {
		t.Errorf("undeclared %q, want the last alone", got)
	}
	if harness.Key(harness.CountOf("a")) == harness.Key(harness.StateOf("a")) {
		t.Error("keys of two types are one")
	}
}
