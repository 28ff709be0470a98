package clientcert

import (
	"fmt"
	"net/url"
	"path"
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

// Names of the certificates of OtherNames.
const (
	EnrolledElsewhere = "the enrolled name where another client's stands"
	EnrolledInPlace   = "the enrolled name, beside another where no client's stands"
)

// OtherNames are certificates that bear the enrolled client's name and another: one of
// them in the form that the profile declares, and the other in another form, the CN or,
// of that, an alternative name (HDR-014).
func OtherNames() []Recipe {
	names := func(recipe string, pick func(enrolled, other string) (inPlace, elsewhere string)) Recipe {
		return Issued(recipe, func(t *harness.Target, leaf *certs.Leaf) {
			inPlace, elsewhere := pick(t.Certs.EnrolledCN, Coin(t, "other-"+token.Random(4)))
			if t.Profile.Form() == certs.FormCN {
				leaf.CommonName, leaf.Names = inPlace, []string{elsewhere}
			} else {
				leaf.Subject, leaf.Names = []certs.Attribute{cn(elsewhere)}, []string{inPlace}
			}
		})
	}
	return []Recipe{
		names(EnrolledElsewhere, func(enrolled, other string) (string, string) { return other, enrolled }),
		names(EnrolledInPlace, func(enrolled, other string) (string, string) { return enrolled, other }),
	}
}

// NearMisses are certificates whose one name, in the form that the profile declares, is a
// text each.
func NearMisses(texts ...Text) []Recipe {
	var list []Recipe
	for _, text := range texts {
		list = append(list, Issued("name "+text.Name, func(t *harness.Target, leaf *certs.Leaf) {
			leaf.CommonName = text.Of(t.Certs.EnrolledCN)
			switch t.Profile.Form() {
			case certs.FormCN:
				leaf.Subject, leaf.Names = []certs.Attribute{cn(leaf.CommonName)}, []string{}
			case certs.FormDN: // what is no name is the CN of one
				if _, err := certs.ParseDN(leaf.CommonName); err != nil {
					leaf.Subject = []certs.Attribute{cn(leaf.CommonName)}
				}
			}
		}))
	}
	return list
}

// SPIFFEIDs are certificates whose URIs are none, or none of the enrolled client's: an
// X.509-SVID has exactly one URI, and trust domain and path are compared as they are
// (SPIFFE X509-SVID section 2; SPIFFE-ID sections 2.1 to 2.3).
func SPIFFEIDs() []Recipe {
	ids := func(name string, of func(enrolled *url.URL, other string) []string) Recipe {
		return Issued(name, func(t *harness.Target, leaf *certs.Leaf) {
			enrolled, err := url.Parse(t.Certs.EnrolledCN)
			if err != nil {
				enrolled = &url.URL{Scheme: "spiffe", Host: "none.test", Path: "/none"}
			}
			leaf.Subject, leaf.Names = []certs.Attribute{cn("Client")}, of(enrolled, Coin(t, "other-"+token.Random(4)))
		})
	}
	changed := func(name string, change func(u *url.URL)) Recipe {
		return ids(name, func(enrolled *url.URL, _ string) []string {
			u := *enrolled
			change(&u)
			return []string{u.String()}
		})
	}
	return []Recipe{
		ids("two URIs, enrolled first", func(e *url.URL, other string) []string { return []string{e.String(), other} }),
		ids("two URIs, enrolled last", func(e *url.URL, other string) []string { return []string{other, e.String()} }),
		ids("no URI, the enrolled one's path as DNS name", func(e *url.URL, _ string) []string { return []string{path.Base(e.Path) + "." + e.Host} }),
		changed("path of another trust domain", func(u *url.URL) { u.Host = "other-" + token.Random(2) + ".test" }),
		changed("path of a trust domain that ends alike", func(u *url.URL) { u.Host = "x." + u.Host }),
		changed("path of a trust domain that begins alike", func(u *url.URL) { u.Host += ".other.test" }),
		changed("path below", func(u *url.URL) { u.Path += "/below" }),
		changed("path above", func(u *url.URL) { u.Path = path.Dir(u.Path) }),
		changed("path with a slash at the end", func(u *url.URL) { u.Path += "/" }),
		changed("path with a letter more", func(u *url.URL) { u.Path += "x" }),
		changed("path in capitals", func(u *url.URL) { u.Path = strings.ToUpper(u.Path) }),
		changed("path with a letter encoded", func(u *url.URL) {
			last := path.Base(u.Path)
			u.RawPath = strings.TrimSuffix(u.Path, last) + fmt.Sprintf("%%%02X", last[0]) + last[1:]
		}),
		changed("path through its parent", func(u *url.URL) { u.Path = path.Dir(u.Path) + "/x/../" + path.Base(u.Path) }),
		changed("of another scheme", func(u *url.URL) { u.Scheme = "https" }),
		changed("with a query", func(u *url.URL) { u.RawQuery = "a=b" }),
		changed("with a fragment", func(u *url.URL) { u.Fragment = "a" }),
	}
}

// Delimited are certificates of another client, in whose names the delimiters of a
// carriage stand, and the enrolled client's name behind them (HDR-027).
func Delimited() []Recipe {
	var list []Recipe
	for _, form := range []struct{ name, text string }{
		{"a quotation mark and a pair", `x";URI={};DNS={};Subject="CN={}`},
		{"a quotation mark and an element", `x",Hash=00;URI={};DNS={};Subject="CN={}`},
		{"a backslash before the quotation mark", `x\";URI={};DNS={};Subject="CN={}`},
		{"a pair without quotation marks", `x;URI={};DNS={}`},
		{"an element without quotation marks", `x,URI={},DNS={}`},
		{"an encoded pair", `x%22%3BURI%3D{}%3BDNS%3D{}`},
	} {
		list = append(list, Issued("subject with "+form.name, func(t *harness.Target, leaf *certs.Leaf) {
			other := Coin(t, "other-"+token.Random(4))
			text := certs.Attribute{Type: "O", Value: strings.ReplaceAll(form.text, "{}", t.Certs.EnrolledCN)}
			switch t.Profile.Form() {
			case certs.FormCN, certs.FormDN:
				leaf.Subject, leaf.Names = []certs.Attribute{text, cn(strings.TrimPrefix(other, "CN="))}, []string{}
			default:
				leaf.Subject, leaf.Names = []certs.Attribute{text, cn("Client")}, []string{other}
			}
		}))
	}
	return list
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
