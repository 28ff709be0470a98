// Package certs mints certificates: an Authority, the client certificates it
// issues from a recipe (Leaf), and defects, each one field away from a sound
// certificate. Keys are made when they are asked for and are kept nowhere.
//
// A sound client leaf is what every stack accepts (rulings 0.6), and what RFC 5280 asks of it:
//
//	version             3                            §4.1.2.1
//	serialNumber        random, positive, ≤ 20 bytes §4.1.2.2
//	signature           ECDSA with SHA-256           RFC 5758 §3.2
//	validity            10 min ago to 24 h ahead     §4.1.2.5
//	subject             CN, nothing else             §4.1.2.6
//	subjectPublicKey    P-256                        RFC 5480 §2
//	authorityKeyId      the issuer's subjectKeyId    §4.2.1.1
//	subjectKeyId        160 bits of SHA-256          §4.2.1.2, RFC 7093 §2
//	keyUsage            digitalSignature, critical   §4.2.1.3
//	subjectAltName      the CN again                 §4.2.1.6
//	basicConstraints    CA:FALSE, critical           §4.2.1.9
//	extKeyUsage         clientAuth                   §4.2.1.12
//
// An authority's certificate is CA:TRUE with keyCertSign and cRLSign, both
// critical (§4.2.1.9, §4.2.1.3). A chain is sent leaf first and without its
// root (RFC 8446 §4.4.2), and written as PEM (RFC 7468) in that order; keys
// are written as PKCS #8 (RFC 5958).
//
// What a defect breaks is a step of path validation (RFC 5280 §6.1.3): the
// signature (a)(1), the validity (a)(2), the issuer's name (a)(4); or the
// purpose of the key (§4.2.1.12).
package certs
