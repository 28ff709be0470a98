package clientcert

import (
	"strings"

	"aegis.test/conformance/certs"
	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/token"
)

// Subject is a sound certificate of the trusted authority, of a subject made of
// the enrolled client's name and of another one that nobody knows. It has no
// alternative name.
func Subject(name string, attributes func(enrolled, other string) []certs.Attribute) Recipe {
	return Issued(name, func(t *harness.Target, leaf *certs.Leaf) {
		leaf.Subject = attributes(t.Certs.EnrolledCN, "other-"+token.Random(4))
		leaf.Names = []string{}
	})
}

// cn is an attribute of a subject.
func cn(value string) certs.Attribute { return certs.Attribute{Type: "CN", Value: value} }

// Text makes a text of the enrolled client's name.
type Text struct {
	Name string // in words, for reports
	Of   func(enrolled string) string
}

// CommonNames are certificates whose one CN is a text each.
func CommonNames(texts ...Text) []Recipe {
	var list []Recipe
	for _, text := range texts {
		list = append(list, Subject("CN "+text.Name, func(enrolled, _ string) []certs.Attribute {
			return []certs.Attribute{cn(text.Of(enrolled))}
		}))
	}
	return list
}

// BesideCN are certificates of another client, with a text in further
// attributes of the subject: once before the CN and once after it.
func BesideCN(types []string, texts ...Text) []Recipe {
	var list []Recipe
	for _, typ := range types {
		for _, text := range texts {
			list = append(list,
				Subject(typ+" "+text.Name+", before another CN", func(enrolled, other string) []certs.Attribute {
					return []certs.Attribute{{Type: typ, Value: text.Of(enrolled)}, cn(other)}
				}),
				Subject(typ+" "+text.Name+", after another CN", func(enrolled, other string) []certs.Attribute {
					return []certs.Attribute{cn(other), {Type: typ, Value: text.Of(enrolled)}}
				}))
		}
	}
	return list
}

// TwoCNs are certificates with the enrolled name and another, in both orders
// (HDR-013).
func TwoCNs() []Recipe {
	return []Recipe{
		Subject("two CNs, enrolled first", func(enrolled, other string) []certs.Attribute {
			return []certs.Attribute{cn(enrolled), cn(other)}
		}),
		Subject("two CNs, enrolled last", func(enrolled, other string) []certs.Attribute {
			return []certs.Attribute{cn(other), cn(enrolled)}
		}),
	}
}

// Names of the certificates of AlternativeNames.
const (
	EnrolledInSAN = "another CN, the enrolled name as alternative name"
	EnrolledInCN  = "the enrolled CN, another alternative name"
)

// AlternativeNames are certificates whose CN and alternative name differ
// (HDR-014).
func AlternativeNames() []Recipe {
	return []Recipe{
		Issued(EnrolledInSAN, func(t *harness.Target, leaf *certs.Leaf) {
			leaf.CommonName, leaf.Names = "other-"+token.Random(4), []string{t.Certs.EnrolledCN}
		}),
		Issued(EnrolledInCN, func(_ *harness.Target, leaf *certs.Leaf) { leaf.Names = []string{"other-" + token.Random(4)} }),
	}
}

// Nameless are certificates without a CN (HDR-015).
func Nameless() []Recipe {
	return []Recipe{
		Subject("subject without a CN", func(enrolled, _ string) []certs.Attribute {
			return []certs.Attribute{{Type: "O", Value: enrolled}}
		}),
		Subject("empty subject", func(string, string) []certs.Attribute { return []certs.Attribute{} }),
	}
}

// Exactly is a text that does not depend on the enrolled name.
func Exactly(values ...string) []Text {
	var texts []Text
	for _, value := range values {
		texts = append(texts, Text{strings.TrimSpace(value), func(string) string { return value }})
	}
	return texts
}

// Mixed is a text in letters of alternating case.
func Mixed(text string) string {
	out := []rune(text)
	for i, c := range out {
		if i%2 == 0 {
			out[i] = []rune(strings.ToUpper(string(c)))[0]
		}
	}
	return string(out)
}

// FullWidth is a text in the full-width forms of its letters, which NFKC maps
// back (UTS #39).
func FullWidth(text string) string {
	return strings.Map(func(c rune) rune {
		if c > ' ' && c < 0x7f {
			return c + 0xfee0
		}
		return c
	}, text)
}
