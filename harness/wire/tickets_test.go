package wire

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/tls"
	"net/http"
	"testing"

	"aegis.test/conformance/harness/wire/wiretest"
)

// ticket is a NewSessionTicket with these extensions (RFC 8446 section 4.6.1).
func ticket(extensions ...byte) []byte {
	body := append(make([]byte, afterTicketLifetimes), 1, 7, 0, 2, 8, 8, 0, byte(len(extensions)))
	body = append(body, extensions...)
	return append([]byte{messageTicket, 0, 0, byte(len(body))}, body...)
}

// record13 is a record of the server under a secret.
func record13(t *testing.T, secret []byte, sequence byte, kind byte, content []byte) []byte {
	t.Helper()
	key, err := expandLabel(sha256.New, secret, "key", 16)
	if err != nil {
		t.Fatal(err)
	}
	iv, err := expandLabel(sha256.New, secret, "iv", 12)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	iv[11] ^= sequence
	plain := append(bytes.Clone(content), kind, 0, 0)
	header := []byte{recordApplication, 3, 3, 0, byte(len(plain) + aead.Overhead())}
	return append(header, aead.Seal(nil, iv, plain, header)...)
}

func TestEarlyDataIsReadOffTheTickets(t *testing.T) {
	secret := bytes.Repeat([]byte{5}, sha256.Size)
	allowing := ticket(0, earlyDataExtension, 0, 4, 0, 0, 0x40, 0)
	for _, c := range []struct {
		name     string
		messages []byte
		given    int
		most     uint32
		wrong    bool
	}{
		{"two without it", append(ticket(), ticket(0, 99, 0, 0)...), 2, 0, false},
		{"one of two with it", append(ticket(), allowing...), 2, 16384, false},
		{"none", nil, 0, 0, false},
		{"one cut short", ticket()[:9], 0, 0, true},
		{"one whose extension is too short", ticket(0, earlyDataExtension, 0, 1, 9), 0, 0, true},
	} {
		handshake := record13(t, bytes.Repeat([]byte{6}, sha256.Size), 0, recordHandshake, []byte("under another secret"))
		received := append([]byte{recordHandshake, 3, 3, 0, 1, 2}, handshake...)
		received = append(received, record13(t, secret, 0, recordHandshake, c.messages)...)
		received = append(received, record13(t, secret, 1, recordApplication, []byte("HTTP/1.1 200 OK"))...)
		given, most, err := (&Tickets{secret: secret, received: received}).EarlyData()
		if given != c.given || most != c.most || (err != nil) != c.wrong {
			t.Errorf("%s: got %d tickets, %d bytes, %v, want %d, %d, an error: %v", c.name, given, most, err, c.given, c.most, c.wrong)
		}
	}
	if _, _, err := (&Tickets{secret: secret, received: record13(t, secret, 3, recordHandshake, ticket())}).EarlyData(); err == nil {
		t.Error("got no error where no record opens: nothing was read")
	}
}

// TestTicketsOfRealHandshakes reads them over TLS 1.3, and finds none over TLS 1.2.
func TestTicketsOfRealHandshakes(t *testing.T) {
	target := wiretest.Serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		tickets, call := &Tickets{}, wiretest.Post("/")
		call.Sessions, call.MinTLS, call.MaxTLS = tickets, version, version
		if o := Send(t.Context(), target, call); o.Status != http.StatusOK {
			t.Fatalf("%s: got %d %q (%s)", tls.VersionName(version), o.Status, o.Transport, o.Detail)
		}
		given, most, err := tickets.EarlyData()
		if want := version == tls.VersionTLS13; (given > 0) != want || most != 0 || err != nil {
			t.Errorf("%s: got %d tickets, %d bytes, %v, want some: %v", tls.VersionName(version), given, most, err, want)
		}
	}
}
