package report

import (
	"crypto/sha256"
	"encoding/base64"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// TestContrast holds every text colour of the page against the grounds it
// stands on, light and dark: WCAG 2.2 AA asks for 4.5.
func TestContrast(t *testing.T) {
	blocks := regexp.MustCompile(`:root \{([^}]*)\}`).FindAllStringSubmatch(pageCSS, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d palettes; want light and dark", len(blocks))
	}
	for i, scheme := range []string{"light", "dark"} {
		palette := map[string]float64{}
		for _, match := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6})`).FindAllStringSubmatch(blocks[i][1], -1) {
			palette[match[1]] = luminance(t, match[2])
		}
		verdicts := strings.Fields("pass fail inconclusive error not-exercised not-applicable")
		for _, text := range append(strings.Fields("ink quiet link"), verdicts...) {
			for _, ground := range []string{"paper", "sheet"} {
				require(t, scheme, palette, text, ground)
			}
		}
		for _, ground := range verdicts {
			require(t, scheme, palette, "on", ground)
		}
	}
}

func require(t *testing.T, scheme string, palette map[string]float64, text, ground string) {
	t.Helper()
	a, aKnown := palette[text]
	b, bKnown := palette[ground]
	if ratio := (math.Max(a, b) + .05) / (math.Min(a, b) + .05); !aKnown || !bKnown || ratio < 4.5 {
		t.Errorf("%s: %s on %s has contrast %.2f", scheme, text, ground, ratio)
	}
}

// luminance is the relative luminance of an sRGB colour (WCAG 2.2).
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	weights := [3]float64{0.2126, 0.7152, 0.0722}
	sum := 0.0
	for i, weight := range weights {
		n, err := strconv.ParseUint(colour[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
