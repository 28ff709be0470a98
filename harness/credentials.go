package harness

import (
	"strings"
	"time"
)

// TokenGrant is what the harness may present as a bearer.
type TokenGrant struct {
	Valid      Secret // accepted by the target
	Expired    Secret
	OtherRealm Secret
	// Signing are keys the target trusts, the first the one to use.
	Signing []SigningKey
	// Subject is the subject of minted tokens.
	Subject string
}

// SigningKey is a private key whose public half the target's JWKS holds.
type SigningKey struct {
	ID        string // kid
	Algorithm string // JWA name: RS256, ES256
	PEM       Secret // PKCS #8
}

// Mints reports whether a key gives a capability that depends on the kind of key.
func (k SigningKey) Mints(c Capability) bool {
	family := strings.TrimRight(k.Algorithm, "0123456789")
	switch c {
	case MintEC:
		return family == "ES"
	case MintRSA:
		return family == "RS" || family == "PS"
	case EncryptTokens:
		return k.Mints(MintEC) || k.Mints(MintRSA)
	default:
		return c == MintTokens
	}
}

// CertGrant is what the harness may present as a client certificate.
type CertGrant struct {
	Enrolled   CertPair
	Unenrolled CertPair
	// Authority is the CA that the ingress trusts, with its key.
	Authority CertPair
	// Foreign is a client of the authority that Target.Foreign trusts, with the
	// enrolled client's name.
	Foreign CertPair
	// Sibling is a client of another authority of the estate (the one of the
	// servers, say), Public one of an authority that the ingress's system
	// trusts; both bear the enrolled client's name. Neither is trusted as a
	// client.
	Sibling, Public CertPair
	// Revoked is a client of the enrolled one's name, whose certificate verifies but for
	// the list of what is revoked, on which it stands.
	Revoked CertPair
	// EnrolledCN and UnenrolledCN are the identities of the two, in the form that the
	// profile declares.
	EnrolledCN, UnenrolledCN string
}

// CertPair is a certificate chain and its key.
type CertPair struct {
	Chain []byte // PEM, leaf first
	Key   Secret // PEM, PKCS #8
}

// EndedToken is a token that ends; the zero value is none.
type EndedToken struct {
	Token Secret
	At    time.Time // from then on no sound verifier takes it
}

// Life is something that was granted for a time.
type Life struct {
	What string // "the token of Vault"
	Ends time.Time
}

// Bearer is a source of valid tokens. When there is no new one to be had it
// gives the last.
type Bearer interface{ Token() Secret }

// Ending is a source that knows when a token that it gave ends, which may be none that
// says so itself.
type Ending interface {
	Ends(token Secret) (at time.Time, known bool)
}
