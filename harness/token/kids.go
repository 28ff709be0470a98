package token

import (
	"crypto"
	"fmt"
	"strings"
)

// Traversing are HS256 tokens whose kid is a path, keyed with what the file
// there holds (JOSE-011).
func Traversing() []Recipe {
	var recipes []Recipe
	for _, file := range []struct{ path, holds string }{
		{"/dev/null", ""}, {"../../../../../../dev/null", ""}, {"file:///dev/null", ""},
		{"/proc/sys/kernel/randomize_va_space", "2\n"}, {"../../../../../../proc/sys/kernel/randomize_va_space", "2"},
	} {
		recipes = append(
			recipes,
			macced(fmt.Sprintf("token with kid %q, keyed with the file's content", file.path), "HS256", func(d *Draft) []byte {
				d.Header["kid"] = file.path
				return []byte(file.holds)
			}),
		)
	}
	return recipes
}

// Unknowing is a token under an ordinary kid that nobody knows, signed as the
// injecting ones are: what their timing is held against.
func Unknowing() Recipe {
	return injecting("token with an unknown kid", func() (kid, key string) { return "kid-" + Random(6), Random(4) })
}

// Injecting are tokens whose kid would mean something to a database, a shell,
// a protocol, a directory or a template; signed with what a query so forged
// would give for the key (JOSE-012).
func Injecting() []Recipe {
	same := func(kid string) func() (string, string) {
		return func() (string, string) { return kid, Random(4) }
	}
	return []Recipe{
		injecting("token with SQL in kid, keyed with its result", func() (kid, key string) {
			key = Random(4)
			return "x' UNION SELECT '" + key + "';--", key
		}),
		injecting("token with SQL that is always true in kid", same(`x" OR "1"="1`)),
		injecting("token with a pipe to a shell in kid", same("x|sleep 5")),
		injecting("token with a shell's substitution in kid", same("$(sleep 5)`sleep 5`")),
		injecting("token with CR LF in kid", same("x\r\nSet-Cookie: x=1")),
		injecting("token with LDAP in kid", same("*)(uid=*))(|(uid=*")),
		injecting("token with templates in kid", same("{{7*7}}${7*7}<%= 7*7 %>#{7*7}")),
	}
}

func injecting(name string, of func() (kid, key string)) Recipe {
	return macced(name, "HS256", func(d *Draft) []byte {
		kid, key := of()
		d.Header["kid"] = kid
		return []byte(key)
	})
}

// OddKids are tokens whose kid is no string (JOSE-013).
func OddKids() []Recipe {
	var recipes []Recipe
	for _, value := range []string{"1", "null", "true", "[]", "{}"} {
		recipes = append(recipes, header("token with kid "+value, "kid", value))
	}
	return recipes
}

// LongKid is a token whose kid is 10 kB long.
func LongKid() Recipe {
	return header("token with a kid of 10 kB", "kid", `"`+strings.Repeat("k", 10<<10)+`"`)
}

// Misfiled is a sound token under a kid that the JWKS does not hold (JWKS-018).
func Misfiled() Recipe {
	return minted("token of the trusted key under an unknown kid", func(d *Draft) { d.Header["kid"] = "kid-" + Random(6) })
}

// Anonymous is a sound token without kid (JOSE-014).
func Anonymous() Recipe {
	return minted("token without kid", func(d *Draft) { delete(d.Header, "kid") })
}

// AnonymousForged is a token without kid, signed by a key nobody trusts.
func AnonymousForged() Recipe {
	return attack("token without kid, badly signed", func(d *Draft, _ crypto.Signer) error {
		delete(d.Header, "kid")
		return nil
	})
}
