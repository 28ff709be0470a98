package identity

import (
	"strings"

	"aegis.test/conformance/certs"
	. "aegis.test/conformance/harness"
	"aegis.test/conformance/harness/clientcert"
	"aegis.test/conformance/harness/outcome"
	"aegis.test/conformance/harness/probe"
)

// enrolledText are texts that hold the enrolled name outside the CN.
var enrolledText = []clientcert.Text{
	{Name: "of CN=enrolled", Of: func(enrolled string) string { return "CN=" + enrolled }},
	{Name: "of the enrolled name", Of: func(enrolled string) string { return enrolled }},
}

// callers are who showed no certificate, and who is not enrolled.
var callers = probe.NoCredential(MTLS).And(probe.Presenting(clientcert.Unenrolled()))

// Claims are the expectations on an identity that is claimed beside the
// certificate's.
var Claims = []Expectation{
	{
		ID: "HDR-005", Title: "Case variants", Clauses: []string{"3.4", "3.5"},
		Source: "RFC 9110 section 5.1; RFC 9113 section 8.2.1", Level: MUST, Tier: Core,
		Rule:     Says("An unenrolled client who claims the enrolled identity under the header's name in other letters is answered 403 in HTTP/1.1; in HTTP/2 a name in capitals makes his message malformed: 400, or an end of the stream."),
		Stimulus: probe.Presenting(clientcert.Unenrolled()).Adding(probe.OtherCases()...).And(probe.OtherCaseH2()),
		Outcome:  outcome.WhereOffered{Outcome: outcome.Forbidden().InHTTP2(outcome.Malformed())},
	},
	{
		ID: "HDR-006", Title: "Underscore alias", Clauses: []string{"3.4", "3.5"},
		Source: "CVE-2015-0219; CVE-2025-64484; rulings LAB-3", Level: MUST, Tier: Core,
		Rule:     Says("An unenrolled client who claims the enrolled identity under the header's name with underscores is answered 403."),
		Stimulus: probe.Presenting(clientcert.Unenrolled()).Adding(probe.Underscores()...), Outcome: outcome.Forbidden().Or(400),
	},
	{
		ID: "HDR-007", Title: "Malformed field names", Clauses: []string{"3.5"},
		Source: "RFC 9112 sections 5.1 and 5.2; rulings LAB-3", Level: MUST, Tier: Core,
		Rule:     Says("A claim in a line that is none of HTTP is refused with 400 or dropped: an unenrolled client is not served."),
		Stimulus: probe.Presenting(clientcert.Unenrolled()).Adding(probe.MalformedNames()...), Outcome: outcome.Forbidden().Or(400, 401).OrInTLS(),
	},
	{
		ID: "HDR-008", Title: "Hop-by-hop strip", Clauses: []string{"3.4", "3.5"},
		Source: "RFC 9110 section 7.6.1; CVE-2024-45410; CVE-2025-48865; CVE-2026-33805", Level: MUST, Tier: Core,
		Rule:     Says("A client who declares the identity header to be hop-by-hop is served as the one of his certificate, or refused; an unenrolled one is refused."),
		Stimulus: probe.Presenting(clientcert.Enrolled(), clientcert.Unenrolled()).Adding(probe.HopByHop(), probe.HopByHopClaim()),
		Outcome: outcome.PerVariant{
			clientcert.Enrolled().Name + " with " + probe.HopByHop().Name:        outcome.AcceptedOr(401, 403),
			clientcert.Enrolled().Name + " with " + probe.HopByHopClaim().Name:   outcome.AcceptedOr(401, 403),
			clientcert.Unenrolled().Name + " with " + probe.HopByHop().Name:      outcome.Forbidden().Or(401),
			clientcert.Unenrolled().Name + " with " + probe.HopByHopClaim().Name: outcome.Forbidden().Or(401),
		},
	},
	{
		ID: "HDR-009", Title: "Sibling identity headers", Clauses: []string{"3.3", "3.5"},
		Source: "ASVS 4.1.3; RFC 9440 section 4", Level: MUST, Tier: Core,
		Rule:     Says("Headers in which another ingress would say who was verified change nothing, nor does the enrolled name in the query, in a cookie or in the body: who showed no certificate is refused, who is not enrolled is answered 403."),
		Stimulus: callers.Adding(probe.Siblings()...).And(callers.Each(probe.ClaimElsewhere()...).Once()),
		Outcome:  outcome.AsBefore(),
	},
	{
		ID: "HDR-022", Title: "Direct-to-backend spoof", Clauses: []string{"3.5"},
		Source: "RFC 9440 section 4; ASVS 4.1.3", Level: MUST,
		Rule:     Says("Past the ingress, at the service's own address, the enrolled identity claimed by header serves nobody: unreachable, 401 or 403."),
		Stimulus: probe.PastIngress(probe.DirectClaims()...), Outcome: outcome.Unreachable{},
	},
}

// Subjects are the expectations on which text of a certificate is the identity.
// Each certificate is a sound one of the trusted authority.
var Subjects = []Expectation{
	{
		ID: "HDR-010", Title: "DN comma injection", Clauses: []string{"3.4", "4.8"},
		Source: "RFC 4514 section 2.4; ASVS 12.1.3; rulings LAB-3", Level: MUST,
		Rule: Says("A comma and CN=enrolled inside another attribute, before or after the CN, is no identity: 403."),
		Stimulus: probe.Presenting(clientcert.BesideCN([]string{"O"}, clientcert.Text{
			Name: "of x,CN=enrolled", Of: func(enrolled string) string { return "x,CN=" + enrolled }})...),
		Outcome: outcome.Forbidden(),
		Unless:  byCN,
	},
	{
		ID: "HDR-011", Title: "DN slash injection", Clauses: []string{"3.4", "4.8"},
		Source: "nginx, $ssl_client_s_dn_legacy; rulings LAB-3", Level: MUST,
		Rule: Says("A slash and CN=enrolled inside another attribute, before or after the CN, is no identity: 403."),
		Stimulus: probe.Presenting(clientcert.BesideCN([]string{"O"}, clientcert.Text{
			Name: "of x/CN=enrolled", Of: func(enrolled string) string { return "x/CN=" + enrolled }})...),
		Outcome: outcome.Forbidden(),
		Unless:  byCN,
	},
	{
		ID: "HDR-012", Title: "CN text in other attributes", Clauses: []string{"3.4", "4.8"},
		Source: "RFC 4514", Level: MUST,
		Rule:     Says("The enrolled name, or CN= and it, as O, OU, emailAddress or serialNumber is no identity: 403."),
		Stimulus: probe.Presenting(clientcert.BesideCN([]string{"O", "OU", "emailAddress", "serialNumber"}, enrolledText...)...),
		Outcome:  outcome.Forbidden(),
		Unless:   byCN,
	},
	{
		ID: "HDR-013", Title: "Multiple CNs", Clauses: []string{"3.4"},
		Source: "RFC 9525; rulings A-26, LAB-3", Level: MUST,
		Rule:     Says("Of a subject with two CNs, the enrolled one and another, no more than one order is served; the rest is refused."),
		Stimulus: probe.Presenting(clientcert.TwoCNs()...), Outcome: outcome.NeverBoth{Denial: outcome.NotIdentified()},
		Unless: byCN,
	},
	{
		ID: "HDR-014", Title: "Another of the certificate's names", Clauses: []string{"2.7", "3.4"},
		Source: "runbook sections 2 and 3; rulings A-26; RFC 9525 section 2", Level: SHOULD,
		Rule:     Says("The declared name, by default the CN, is the identity, and no other is: the enrolled name elsewhere in the certificate is answered 403, in its place 200."),
		Stimulus: probe.Presenting(clientcert.OtherNames()...), Unless: wholeSubject,
		Outcome: outcome.PerVariant{clientcert.EnrolledElsewhere: outcome.Forbidden(), clientcert.EnrolledInPlace: outcome.Accepted()},
	},
	{
		ID: "HDR-015", Title: "No CN", Clauses: []string{"3.4", "4.8"},
		Source: "runbook section 3; rulings LAB-3", Level: MUST,
		Rule:     Says("A certificate without a CN is answered 401 or 403."),
		Stimulus: probe.Presenting(clientcert.Nameless()...), Outcome: outcome.NotIdentified(),
		Unless: byCN,
	},
	{
		ID: "HDR-016", Title: "Control characters in CN", Clauses: []string{"3.4"},
		Source: "CVE-2023-27493; rulings LAB-3", Level: MUST,
		Rule: Says("A line feed, carriage return or NUL in a CN neither ends the identity nor begins a header: the client is refused."),
		Stimulus: probe.Presenting(clientcert.CommonNames(
			clientcert.Text{Name: "with LF after the enrolled name", Of: func(e string) string { return e + "\nX-Foo: y" }},
			clientcert.Text{Name: "with CR after the enrolled name", Of: func(e string) string { return e + "\rX-Foo: y" }},
			clientcert.Text{Name: "with CRLF before a claim", Of: func(e string) string { return "x\r\nx-ssl-client-cn: " + e }},
			clientcert.Text{Name: "with NUL after the enrolled name", Of: func(e string) string { return e + "\x00.evil" }},
		)...),
		Outcome: outcome.NotIdentified().Or(400, 502),
		Unless:  byCN,
	},
	{
		ID: "HDR-017", Title: "Whitespace-equivalent CN", Clauses: []string{"3.4", "4.8"},
		Source: "RFC 9110 section 5.5; rulings LAB-3", Level: MUST,
		Rule: Says("The enrolled name with a space, tab or no-break space about it is another name: refused."),
		Stimulus: probe.Presenting(clientcert.CommonNames(
			clientcert.Text{Name: "with a space at the end", Of: func(e string) string { return e + " " }},
			clientcert.Text{Name: "with a space at the beginning", Of: func(e string) string { return " " + e }},
			clientcert.Text{Name: "with a tab at the end", Of: func(e string) string { return e + "\t" }},
			clientcert.Text{Name: "with a no-break space at the end", Of: func(e string) string { return e + "\u00a0" }},
			clientcert.Text{Name: "with a space inside", Of: func(e string) string { half := len(e) / 2; return e[:half] + " " + e[half:] }},
		)...),
		Outcome: outcome.NotIdentified().Or(400, 502),
		Unless:  byCN,
	},
	{
		ID: "HDR-018", Title: "Case-variant CN", Clauses: []string{"4.8"},
		Source: "runbook section 4", Level: MUST,
		Rule: Says("The enrolled name in other letters is another name: 403."),
		Stimulus: probe.Presenting(clientcert.CommonNames(
			clientcert.Text{Name: "in capitals", Of: strings.ToUpper},
			clientcert.Text{Name: "in mixed case", Of: clientcert.Mixed},
		)...),
		Outcome: outcome.Forbidden(),
		Unless:  byCN,
	},
	{
		ID: "HDR-019", Title: "Near-miss name", Clauses: []string{"4.8"},
		Source: "runbook section 4; ingress-nginx, auth-tls-match-cn", Level: MUST,
		Rule: Says("A part of the enrolled name, a name that holds it, and a pattern that would match it are other names: refused."),
		Stimulus: probe.Presenting(clientcert.NearMisses(append([]clientcert.Text{
			{Name: "without its last letter", Of: func(e string) string { return e[:len(e)-1] }},
			{Name: "without its first letter", Of: func(e string) string { return e[1:] }},
			{Name: "with a letter more", Of: func(e string) string { return e + "x" }},
			{Name: "with a letter before", Of: func(e string) string { return "x" + e }},
			{Name: "as a label of another domain", Of: func(e string) string { return e + ".evil.example" }},
			{Name: "as a list", Of: func(e string) string { return "x," + e }},
		}, clientcert.Exactly(".", "*", ".*", "^.*$", "%")...)...)...),
		Outcome: outcome.NotIdentified(),
	},
	{
		ID: "HDR-020", Title: "Unicode confusables", Clauses: []string{"4.8"},
		Source: "UTS #39; rulings LAB-3", Level: MUST,
		Rule: Says("A name that looks like the enrolled one, or becomes it when normalised, is another name: refused."),
		Stimulus: probe.Presenting(clientcert.CommonNames(
			clientcert.Text{Name: "in full-width letters", Of: clientcert.FullWidth},
			clientcert.Text{Name: "with a Cyrillic e", Of: swapped("e", "\u0435")},
			clientcert.Text{Name: "with the hyphen U+2010", Of: swapped("-", "\u2010")},
			clientcert.Text{Name: "with a soft hyphen", Of: func(e string) string { return e + "\u00ad" }},
			clientcert.Text{Name: "with a combining accent", Of: func(e string) string { return e + "\u0301" }},
			clientcert.Text{Name: "as punycode", Of: func(e string) string { return "xn--" + e + "-" }},
		)...),
		Outcome: outcome.NotIdentified().Or(400, 502),
		Unless:  byCN,
	},
	{
		ID: "HDR-021", Title: "Sentinel CNs", Clauses: []string{"1.4", "4.8"},
		Source: "rulings LAB-6; Vault Agent, no value", Level: MUST,
		Rule:     Says("A CN that some program writes for nothing, nobody or everybody is a name like others, and not enrolled: refused."),
		Stimulus: probe.Presenting(clientcert.CommonNames(clientcert.Exactly("None", "null", "undefined", "*", "[]", "<no value>", "anonymous", "NONE", "SUCCESS")...)...),
		Outcome:  outcome.NotIdentified(),
		Unless:   byCN,
	},
	{
		ID: "HDR-026", Title: "SPIFFE ID", Clauses: []string{"3.4", "4.8"},
		Source: "SPIFFE X509-SVID section 2; SPIFFE-ID sections 2.1 to 2.3; rulings A-26", Level: MUST,
		Rule:     Says("Where the identity is a SPIFFE ID, a certificate of two URIs, and an ID of another trust domain or path however alike, is not the enrolled client's: refused."),
		Stimulus: probe.OfSPIFFE(clientcert.SPIFFEIDs()...), Outcome: outcome.NotIdentified().Or(400).OrInTLS(), Unless: noURI,
	},
	{
		ID: "HDR-027", Title: "Delimiters of the identity header", Clauses: []string{"3.4", "3.5"},
		Source: "Envoy, X-Forwarded-Client-Cert; RFC 9440 sections 2.2, 2.3 and 4", Level: MUST,
		Rule:     Says("Where the header carries more than a name, a delimiter in another client's certificate, or an element or a chain that he sends himself, before or after the ingress's own, makes nobody the enrolled client: refused."),
		Stimulus: probe.Presenting(clientcert.Delimited()...).And(probe.Presenting(clientcert.Unenrolled()).Adding(probe.Elements()...)),
		Outcome:  outcome.NotIdentified().Or(400), Unless: nameAlone,
	},
}

// byCN is why what a CN can hold is not asked of a target.
func byCN(p Profile) string {
	if form := p.Form(); form != certs.FormCN {
		return "the profile declares that a client is known by " + string(form) + ", not by the CN"
	}
	return ""
}

// wholeSubject is why no name beside the declared one is a certificate's.
func wholeSubject(p Profile) string {
	if p.Form() == certs.FormDN {
		return "the profile declares the whole subject to be the identity"
	}
	return ""
}

// noURI is why no SPIFFE ID is asked for.
func noURI(p Profile) string {
	if form := p.Form(); form != certs.FormURI {
		return "the profile declares that a client is known by " + string(form)
	}
	return ""
}

// nameAlone is why the header has no delimiter.
func nameAlone(p Profile) string {
	if p.Carriage() == CarriesName {
		return "the header " + p.Header() + " carries the name alone"
	}
	return ""
}

// Messages are the expectations on messages that hide a claim from who reads
// them.
var Messages = []Expectation{
	{
		ID: "HDR-023", Title: "Smuggled second request", Clauses: []string{"3.5"},
		Source: "RFC 9112 sections 6.1, 6.3 and 11.2; RFC 9113 section 8.2.1; CVE-2021-40346; CVE-2023-25725", Level: MUST, Tier: Core,
		Rule:     Says("A message whose length is ambiguous, or one of HTTP/2 that hides lines of HTTP/1.1, gets denials only, or a close: no request within it is served."),
		Stimulus: probe.Smuggled().And(probe.SmuggledH2()),
		Outcome:  outcome.WhereOffered{Outcome: outcome.One{Answers: outcome.Denied().Or(400, 411, 413).OrInTLS()}},
	},
	{
		ID: "HDR-024", Title: "Upgrade tunnels", Clauses: []string{"3.2", "3.5"},
		Source: "RFC 9110 section 7.8", Level: MUST, Tier: Core,
		Rule:     Says("Nobody is switched to another protocol before he is authenticated."),
		Stimulus: probe.Twisted("with a wish to upgrade, and a claim", probe.Upgrades()...), Outcome: outcome.NoTunnel{Answers: outcome.Denied().Or(400, 426)},
	},
	{
		ID: "HDR-025", Title: "Header in trailers", Clauses: []string{"3.5"},
		Source: "RFC 9110 sections 6.5.1 and 6.5.2", Level: MUST, Tier: Core,
		Rule:     Says("An unenrolled client who claims the enrolled identity in a trailer is answered 403."),
		Stimulus: probe.InTrailer(), Outcome: outcome.Forbidden().Or(400),
	},
}

// swapped puts one letter in the place of another, or at the end of a name that
// has none: what it makes is never the name itself.
func swapped(old, other string) func(string) string {
	return func(e string) string {
		if !strings.Contains(e, old) {
			return e + other
		}
		return strings.Replace(e, old, other, 1)
	}
}
