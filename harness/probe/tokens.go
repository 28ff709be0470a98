package probe

import (
	"fmt"

	"aegis.test/conformance/harness/token"
)

// Interleaved presents valid and tampered tokens in turn, pairs of them at each
// endpoint, all at once; each valid token has a subject of its own.
func Interleaved(pairs int) Calls {
	var recipes []token.Recipe
	for range pairs {
		recipes = append(recipes, token.Subject(), token.OtherPayload())
	}
	words := fmt.Sprintf("%d pairs of tokens at once: %s; %s", pairs, token.Subject().Name, token.OtherPayload().Name)
	calls := Call(words, bearers(recipes)...)
	calls.atOnce = true
	return calls
}
