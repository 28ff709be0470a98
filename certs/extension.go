package certs

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// Strange is a critical extension that nobody knows (RFC 5280 §4.2), with a
// value of so many bytes.
func Strange(bytes int) pkix.Extension {
	return pkix.Extension{
		Id:       asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 1}, // RFC 5612: an arc for examples
		Critical: true,
		Value:    append([]byte{asn1.TagOctetString, 0x83, byte(bytes >> 16), byte(bytes >> 8), byte(bytes)}, make([]byte, bytes)...),
	}
}

// PermittedName is a critical name constraint: subjects below the directory
// name O=organisation only (RFC 5280 §4.2.1.10).
func PermittedName(organisation string) (pkix.Extension, error) {
	name, err := distinguishedName([]Attribute{{"O", organisation}})
	if err != nil {
		return pkix.Extension{}, err
	}
	context := func(tag int, content []byte) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: content}
	}
	directory, err := asn1.Marshal([]asn1.RawValue{context(4, name)}) // GeneralSubtree
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("encoding a name constraint: %w", err)
	}
	value, err := asn1.Marshal([]asn1.RawValue{context(0, directory)})
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("encoding a name constraint: %w", err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 30}, Critical: true, Value: value}, nil
}
