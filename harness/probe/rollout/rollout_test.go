package rollout

import (
	"math"
	"testing"
)

// TestEnoughConnections: one open replica of so many is missed in a million runs
// once, if that.
func TestEnoughConnections(t *testing.T) {
	for replicas, want := range map[int]int{0: 40, 1: 40, 2: 40, 3: 40, 4: 49, 10: 132} {
		if got := enough(replicas); got != want {
			t.Errorf("%d replicas: %d connections, want %d", replicas, got, want)
		}
	}
	for replicas := 2; replicas < 50; replicas++ {
		if missed := math.Pow(1-1/float64(replicas), float64(enough(replicas))); missed > 1e-6 {
			t.Errorf("%d replicas: an open one is missed with chance %g", replicas, missed)
		}
	}
}
