package wire

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"net"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/cryptobyte"
)

// Tickets keeps session tickets whatever host they are of, so that the ticket
// of one can be offered to another. It may be used by many at once.
type Tickets struct {
	mu   sync.Mutex
	last *tls.ClientSessionState

	secret   []byte // with which the server protects what follows its handshake, in TLS 1.3
	received []byte // the records of the last connection, as they came
}

// Get is the last ticket.
func (t *Tickets) Get(string) (*tls.ClientSessionState, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last, t.last != nil
}

// Put keeps a ticket; nil, which takes one back, keeps none.
func (t *Tickets) Put(_ string, ticket *tls.ClientSessionState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = ticket
}

// Frozen offers the ticket that is kept, and keeps no other.
func (t *Tickets) Frozen() tls.ClientSessionCache { return frozen{t} }

type frozen struct{ *Tickets }

func (frozen) Put(string, *tls.ClientSessionState) {}

// maxReceived is how many bytes of a connection are kept to read tickets from: those
// come before the first answer.
const maxReceived = 64 << 10

// watch keeps what a connection receives, and the secret to read it with. crypto/tls
// tells of no ticket but over QUIC whether it allows early data.
func (t *Tickets) watch(raw net.Conn, config *tls.Config) net.Conn {
	t.mu.Lock()
	t.received, t.secret = nil, nil
	t.mu.Unlock()
	config.KeyLogWriter = keyLog{t}
	return watched{raw, t}
}

type watched struct {
	net.Conn
	tickets *Tickets
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.tickets.mu.Lock()
	defer w.tickets.mu.Unlock()
	if room := maxReceived - len(w.tickets.received); room > 0 {
		w.tickets.received = append(w.tickets.received, p[:min(n, room)]...)
	}
	return n, err
}

// keyLog takes the one secret that is needed; it writes none anywhere (draft-ietf-tls-keylogfile).
type keyLog struct{ tickets *Tickets }

func (k keyLog) Write(line []byte) (int, error) {
	fields := bytes.Fields(line)
	if len(fields) != 3 || string(fields[0]) != "SERVER_TRAFFIC_SECRET_0" {
		return len(line), nil
	}
	secret, err := hex.DecodeString(string(fields[2]))
	k.tickets.mu.Lock()
	defer k.tickets.mu.Unlock()
	k.tickets.secret = secret
	return len(line), err
}

// EarlyData is how many tickets of TLS 1.3 came on the last connection, and the most bytes
// of early data that one of them allows: max_early_data_size, 0 where none has it (RFC
// 8446 section 4.6.1). Over an older version there are none.
func (t *Tickets) EarlyData() (tickets int, most uint32, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.secret == nil {
		return 0, 0, nil
	}
	said, err := openRecords(t.received, t.secret)
	if err != nil {
		return 0, 0, err
	}
	for len(said) > 0 {
		var kind uint8
		var body cryptobyte.String
		if !said.ReadUint8(&kind) || !said.ReadUint24LengthPrefixed(&body) {
			return tickets, most, errors.New("reading the server's messages after its handshake: one is cut short")
		}
		if kind != messageTicket {
			continue
		}
		allowed, ok := maxEarlyData(body)
		if !ok {
			return tickets, most, errors.New("reading a session ticket: it is malformed")
		}
		tickets, most = tickets+1, max(most, allowed)
	}
	return tickets, most, nil
}

// Numbers of RFC 8446 sections 4, 4.2, 5.1.
const (
	earlyDataExtension   = 42
	recordApplication    = 23
	afterTicketLifetimes = 8 // ticket_lifetime and ticket_age_add
)

// maxEarlyData is the extension early_data of a NewSessionTicket, or 0 where it has none.
func maxEarlyData(body cryptobyte.String) (most uint32, ok bool) {
	var nonce, ticket, extensions cryptobyte.String
	if !body.Skip(afterTicketLifetimes) || !body.ReadUint8LengthPrefixed(&nonce) || !body.ReadUint16LengthPrefixed(&ticket) ||
		!body.ReadUint16LengthPrefixed(&extensions) {
		return 0, false
	}
	for len(extensions) > 0 {
		var kind uint16
		var value cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&value) {
			return 0, false
		}
		if kind == earlyDataExtension && !value.ReadUint32(&most) {
			return 0, false
		}
	}
	return most, true
}

// openRecords are the handshake messages that the server sent under a secret, one behind
// the other. Records before them are of the handshake, under another.
func openRecords(received, secret []byte) (cryptobyte.String, error) {
	protections, err := protectionsOf(secret)
	if err != nil {
		return nil, err
	}
	var said []byte
	var sequence uint64
	for len(received) >= recordHeader {
		length := int(binary.BigEndian.Uint16(received[3:]))
		if len(received) < recordHeader+length {
			break
		}
		record := received[:recordHeader+length]
		received = received[recordHeader+length:]
		if record[0] != recordApplication {
			continue
		}
		for _, p := range protections {
			plain, err := p.open(record, sequence)
			if err != nil {
				continue
			}
			sequence++
			plain = bytes.TrimRight(plain, "\x00") // padding (RFC 8446 section 5.4)
			if n := len(plain) - 1; n >= 0 && plain[n] == recordHandshake {
				said = append(said, plain[:n]...)
			}
		}
	}
	if sequence == 0 {
		return nil, errors.New("reading the server's records: none opens with the secret of the connection")
	}
	return said, nil
}

// protection is how one direction's records are protected.
type protection struct {
	aead cipher.AEAD
	iv   []byte
}

// protectionsOf are those that a secret may be of: its length says which digest, and two
// of the three cipher suites have the same.
func protectionsOf(secret []byte) ([]protection, error) {
	digest := func() hash.Hash { return sha256.New() }
	makers := map[int]func([]byte) (cipher.AEAD, error){16: gcm, chacha20poly1305.KeySize: chacha20poly1305.New}
	if len(secret) == sha512.Size384 {
		digest = sha512.New384
		makers = map[int]func([]byte) (cipher.AEAD, error){32: gcm}
	}
	iv, err := expandLabel(digest, secret, "iv", chacha20poly1305.NonceSize)
	if err != nil {
		return nil, err
	}
	var all []protection
	for size, maker := range makers {
		key, err := expandLabel(digest, secret, "key", size)
		if err != nil {
			return nil, err
		}
		aead, err := maker(key)
		if err != nil {
			return nil, err
		}
		all = append(all, protection{aead, iv})
	}
	return all, nil
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// open is what a record holds (RFC 8446 sections 5.2 and 5.3).
func (p protection) open(record []byte, sequence uint64) ([]byte, error) {
	nonce := bytes.Clone(p.iv)
	for i := range 8 {
		nonce[len(nonce)-1-i] ^= byte(sequence >> (8 * i))
	}
	return p.aead.Open(nil, nonce, record[recordHeader:], record[:recordHeader])
}

// expandLabel is HKDF-Expand-Label without a context (RFC 8446 section 7.1).
func expandLabel(digest func() hash.Hash, secret []byte, label string, length int) ([]byte, error) {
	var info cryptobyte.Builder
	info.AddUint16(uint16(length)) // #nosec G115 -- a key's
	info.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte("tls13 " + label)) })
	info.AddUint8(0)
	return hkdf.Expand(digest, secret, string(info.BytesOrPanic()), length)
}
