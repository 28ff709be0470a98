package token

import "fmt"

// macced is an accepted token whose signature is an HMAC, after a change.
func macced(name, alg string, key func(d *Draft) []byte) Recipe {
	return forged(name, func(d Draft) (string, error) {
		d = d.rewritten()
		d.Header["alg"] = alg
		d.Sign = mac(alg, key(&d))
		return d.Compact()
	})
}

// guesses are secrets that people sign with: of tutorials, debuggers and word
// lists (jwt_tool, wallarm/jwt-secrets).
var guesses = []string{"", "\x00", "secret", "your-256-bit-secret", "secretkey", "changeme", "password", "key", "jwt", "aegis"}

// Guessed are tokens signed with a secret that is blank or known (JOSE-006).
func Guessed() []Recipe {
	var recipes []Recipe
	add := func(alg, name string, key func(*Draft) []byte) {
		recipes = append(recipes, macced(fmt.Sprintf("%s token keyed with %s", alg, name), alg, key))
	}
	for _, guess := range guesses {
		add("HS256", fmt.Sprintf("%q", guess), func(*Draft) []byte { return []byte(guess) })
	}
	for _, alg := range []string{"HS384", "HS512"} {
		for _, guess := range guesses[:4] {
			add(alg, fmt.Sprintf("%q", guess), func(*Draft) []byte { return []byte(guess) })
		}
	}
	add("HS256", "its kid", func(d *Draft) []byte { return text(d.Header["kid"]) })
	add("HS256", "its issuer", func(d *Draft) []byte { return text(d.Claims["iss"]) })
	return recipes
}

func text(value any) []byte {
	s, _ := value.(string)
	return []byte(s)
}
