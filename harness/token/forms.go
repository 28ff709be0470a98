package token

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Padded is an accepted token whose signature ends in base64's padding.
func Padded() Recipe {
	return Reshaped("token with padding after its signature", func(h, p, s string) string {
		return h + "." + p + "." + s + strings.Repeat("=", (4-len(s)%4)%4)
	})
}

// alphabet is base64url's, in its order.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// Uncanonical are accepted tokens whose signature is written in base64 as RFC
// 7515 section 2 does not allow (JOSE-026).
func Uncanonical() []Recipe {
	inside := func(name, what string) Recipe {
		return Reshaped("token with "+name+" in its signature", func(h, p, s string) string {
			return h + "." + p + "." + s[:len(s)/2] + what + s[len(s)/2:]
		})
	}
	return []Recipe{
		inside("a space", " "), inside("a CR", "\r"), inside("an LF", "\n"),
		standardAlphabet(),
		Reshaped("token with stray bits after its signature", func(h, p, s string) string {
			if len(s)%4 == 0 { // no bits to spare: a letter too many
				return h + "." + p + "." + s + "A"
			}
			last := strings.IndexByte(alphabet, s[len(s)-1])
			return h + "." + p + "." + s[:len(s)-1] + string(alphabet[last+1])
		}),
	}
}

// standardAlphabet is a token with + and / in its signature. One signature of ES256
// in fifteen has no letter to show it by: another token is minted, where one can be.
func standardAlphabet() Recipe {
	const name = "token with a signature in base64's other alphabet"
	try := forged(name, func(d Draft) (string, error) {
		h, p, s, err := d.Segments()
		return h + "." + p + "." + strings.NewReplacer("-", "+", "_", "/").Replace(s), err
	})
	draft := try.Make
	try.Make = func(s Source) (string, error) {
		for range 20 {
			compact, err := draft(s)
			if err != nil || strings.ContainsAny(compact, "+/") {
				return compact, err
			}
		}
		return "", fmt.Errorf("%w: no letter of its signature differs in base64's two alphabets", ErrUnfit)
	}
	return try
}

// deep is a token, signed by nobody, whose header is nested levels deep.
func deep(name string, levels int) Recipe {
	return Literal(
		name,
		encode(
			[]byte(`{"alg":"RS256","x":`+strings.Repeat("[", levels)+strings.Repeat("]", levels)+"}"),
		)+"."+encode([]byte("{}"))+"."+encode([]byte("x")),
	)
}

// Sized are tokens that are too much for a parser or for whatever reads
// headers before it (JOSE-027).
func Sized() []Recipe {
	return []Recipe{
		deep("token with a header nested 10000 deep", 10_000),
		Literal("token of 100000 dots", strings.Repeat(".", 100_000)),
		Literal("token of 1 MB", strings.Repeat("A", 1<<20)),
	}
}

// Twisted are tokens that fit into a header field and are hard to read: deeply
// nested, of many dots, with bytes that are no text (JOSE-027).
func Twisted() []Recipe {
	raw := func(name string, header, payload func([]byte) []byte) Recipe {
		return forged(name, func(d Draft) (string, error) {
			d = d.rewritten()
			h, err := json.Marshal(d.Header)
			if err != nil {
				return "", err
			}
			p, err := json.Marshal(d.Claims)
			if err != nil {
				return "", err
			}
			d.RawHeader, d.RawPayload = header(h), payload(p)
			d.Sign = func([]byte) ([]byte, error) { return []byte(Random(128)), nil }
			return d.Compact()
		})
	}
	same := func(data []byte) []byte { return data }
	prefix := func(mark string) func([]byte) []byte {
		return func(data []byte) []byte { return append([]byte(mark), data...) }
	}
	return []Recipe{
		deep("token with a header nested 2000 deep", 2000),
		Literal("token of 5000 dots", strings.Repeat(".", 5000)),
		raw("token with a BOM before its header", prefix("\ufeff"), same),
		raw("token with a NUL before its header", prefix("\x00"), same),
		raw("token with a BOM before its payload", same, prefix("\ufeff")),
		raw("token with a header that is no UTF-8", func(data []byte) []byte {
			return append(data[:len(data)-1:len(data)-1], "\xff\xfe\xc0\x80}"...)
		}, same),
		raw("token with a lone surrogate in its payload", same, func(data []byte) []byte {
			return append(data[:len(data)-1:len(data)-1], `,"x":"\ud800"}`...)
		}),
	}
}

// JSONSerialized are an accepted token in the two JSON forms of RFC 7515
// section 7.2 (OIDC-017).
func JSONSerialized() []Recipe {
	return []Recipe{
		Reshaped("token in flattened JSON", func(h, p, s string) string {
			return fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, p, h, s)
		}),
		Reshaped("token in general JSON", func(h, p, s string) string {
			return fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, p, h, s)
		}),
	}
}
