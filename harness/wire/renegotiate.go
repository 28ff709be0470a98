package wire

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"aegis.test/conformance/harness"
)

// Types of a record, and of a handshake message (RFC 5246 sections 6.2.1 and 7.4).
const (
	recordCipher    = 20 // change_cipher_spec
	recordAlert     = 21
	recordHandshake = 22

	messageServerHello = 2
	messageTicket      = 4 // RFC 5077: it is no part of what a client's Finished is of
)

// sealed says how records are sealed under a cipher suite.
type sealed struct {
	key  int // bytes
	hash crypto.Hash
}

// sealings are the cipher suites that another handshake is asked for under.
var sealings = map[uint16]sealed{
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:   {16, crypto.SHA256},
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: {16, crypto.SHA256},
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:   {32, crypto.SHA384},
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: {32, crypto.SHA384},
}

// renegotiate shakes hands over TLS 1.2 and asks for another handshake on the same
// connection, securely (RFC 5746 section 3.5). crypto/tls never asks: the hello is
// sealed here, by the keys of the handshake that it made. The transport outcome is
// how the server refused: an alert, whose number is sealed, an end or silence. It is
// Answered where the server began one, and Unoffered where none could be asked for.
func renegotiate(ctx context.Context, t *harness.Target, r harness.Request, seen *harness.Observation) {
	defer func() { seen.Total = time.Since(seen.At) }()
	conn, hello, err := another(ctx, t, r, seen)
	if err != nil {
		seen.Transport, seen.Detail = harness.Unoffered, err.Error()
		return
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	_ = conn.SetReadDeadline(time.Now().Add(firstSilence))
	_, writeErr := conn.Write(hello)
	var head [5]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		seen.Transport, seen.Detail, _ = classify(cmp.Or(writeErr, err))
		return
	}
	switch head[0] {
	case recordAlert:
		seen.Transport, seen.Detail = harness.Alert, "another handshake was refused by an alert"
	case recordHandshake:
		seen.Detail = "another handshake was begun"
	default:
		seen.Transport, seen.Detail = harness.Malformed, fmt.Sprintf("a record of type %d, that nothing asked for", head[0])
	}
}

// another shakes hands, and gives the connection below with the record that asks for
// another handshake. An error says why there is none.
func another(ctx context.Context, t *harness.Target, r harness.Request, seen *harness.Observation) (net.Conn, []byte, error) {
	face, err := faceOf(t, r)
	if err != nil {
		return nil, nil, err
	}
	u, err := url.Parse(face.URL)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the target's address: %w", err)
	}
	r.MinTLS, r.MaxTLS = tls.VersionTLS12, tls.VersionTLS12
	config, err := clientTLS(face, u, r)
	if err != nil {
		return nil, nil, err
	}
	var keys bytes.Buffer
	config.KeyLogWriter = &keys
	for suite := range sealings {
		config.CipherSuites = append(config.CipherSuites, suite)
	}
	raw, err := connect(ctx, face, u)
	if err != nil {
		return nil, nil, err
	}
	said := &transcript{Conn: raw}
	conn := tls.Client(said, config)
	err = conn.HandshakeContext(ctx)
	var hello []byte
	if err == nil {
		describe(conn.ConnectionState(), seen)
		hello, err = said.hello(keys.String(), seen.CipherSuite, config.ServerName)
	}
	if err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	return raw, hello, nil
}

// transcript keeps what is said on a connection.
type transcript struct {
	net.Conn
	in, out bytes.Buffer
}

func (t *transcript) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.in.Write(p[:n])
	return n, err
}

func (t *transcript) Write(p []byte) (int, error) {
	t.out.Write(p)
	return t.Conn.Write(p)
}

// hello is the sealed record of a ClientHello that renews the handshake. keys is its
// NSS key log.
func (t *transcript) hello(keys string, suite uint16, name string) ([]byte, error) {
	how, ok := sealings[suite]
	var kind, random, master string
	if _, err := fmt.Sscan(keys, &kind, &random, &master); err != nil || kind != "CLIENT_RANDOM" || !ok {
		return nil, errors.New("the handshake left no keys of TLS 1.2 with AES-GCM")
	}
	client, err := hex.DecodeString(random)
	secret, errSecret := hex.DecodeString(master)
	if err = cmp.Or(err, errSecret); err != nil {
		return nil, fmt.Errorf("reading the key log: %w", err)
	}
	ours, theirs := messages(t.out.Bytes()), messages(t.in.Bytes())
	if len(ours) == 0 || len(theirs) == 0 || theirs[0][0] != messageServerHello || len(theirs[0]) < 38 {
		return nil, errors.New("the handshake was none that can be read")
	}
	digest := how.hash.New()
	digest.Write(ours[0])
	for _, m := range theirs {
		if m[0] != messageTicket {
			digest.Write(m)
		}
	}
	for _, m := range ours[1:] {
		digest.Write(m)
	}
	verify := prf(how.hash, secret, "client finished", digest.Sum(nil), 12)
	server := theirs[0][6:38]
	block := prf(how.hash, secret, "key expansion", append(bytes.Clone(server), client...), 2*how.key+8)
	message, err := secondHello(suite, verify, name)
	if err != nil {
		return nil, err
	}
	return seal(block[:how.key], block[2*how.key:2*how.key+4], message)
}

// messages are the handshake messages at the start of a direction, up to where it
// goes on sealed.
func messages(said []byte) [][]byte {
	var plain []byte
	for s := cryptobyte.String(said); !s.Empty(); {
		var kind uint8
		var version uint16
		var payload cryptobyte.String
		if !s.ReadUint8(&kind) || !s.ReadUint16(&version) || !s.ReadUint16LengthPrefixed(&payload) || kind == recordCipher {
			break
		}
		if kind == recordHandshake {
			plain = append(plain, payload...)
		}
	}
	var all [][]byte
	for len(plain) >= 4 {
		end := 4 + int(plain[1])<<16 + int(plain[2])<<8 + int(plain[3])
		if end > len(plain) {
			break
		}
		all, plain = append(all, plain[:end]), plain[end:]
	}
	return all
}

// secondHello is a ClientHello that renews a handshake whose Finished it proves.
func secondHello(suite uint16, verify []byte, name string) ([]byte, error) {
	var random [32]byte
	_, _ = rand.Read(random[:])
	var b cryptobyte.Builder
	b.AddUint8(1) // client_hello
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint16(tls.VersionTLS12)
		b.AddBytes(random[:])
		b.AddUint8(0) // no session
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint16(suite) })
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(0) }) // no compression
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			extension := func(kind uint16, body func(*cryptobyte.Builder)) {
				b.AddUint16(kind)
				b.AddUint16LengthPrefixed(body)
			}
			list := func(values ...uint16) func(*cryptobyte.Builder) {
				return func(b *cryptobyte.Builder) {
					b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
						for _, v := range values {
							b.AddUint16(v)
						}
					})
				}
			}
			extension(0xff01, func(b *cryptobyte.Builder) { // renegotiation_info (RFC 5746)
				b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(verify) })
			})
			if name != "" {
				extension(0, func(b *cryptobyte.Builder) { // server_name (RFC 6066)
					b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
						b.AddUint8(0)
						b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
					})
				})
			}
			extension(10, list(29, 23, 24)) // supported_groups: x25519, P-256, P-384
			extension(11, func(b *cryptobyte.Builder) {
				b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(0) }) // ec_point_formats
			})
			extension(13, list(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501)) // signature_algorithms
			extension(23, func(*cryptobyte.Builder) {})                         // extended_master_secret (RFC 7627)
		})
	})
	return b.Bytes()
}

// prf is the pseudorandom function of TLS 1.2 (RFC 5246 section 5).
func prf(hash crypto.Hash, secret []byte, label string, seed []byte, n int) []byte {
	seed = append([]byte(label), seed...)
	sum := func(parts ...[]byte) []byte {
		mac := hmac.New(hash.New, secret)
		for _, p := range parts {
			mac.Write(p)
		}
		return mac.Sum(nil)
	}
	var out []byte
	for a := sum(seed); len(out) < n; a = sum(a) {
		out = append(out, sum(a, seed)...)
	}
	return out[:n]
}

// seal seals a handshake message as the second record of a direction, after its
// Finished (RFC 5288 section 3).
func seal(key, salt, message []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	sequence := binary.BigEndian.AppendUint64(nil, 1)
	head := binary.BigEndian.AppendUint16([]byte{recordHandshake}, tls.VersionTLS12)
	bound := binary.BigEndian.AppendUint16(append(bytes.Clone(sequence), head...), uint16(len(message)))
	body := gcm.Seal(bytes.Clone(sequence), append(bytes.Clone(salt), sequence...), message, bound)
	return append(binary.BigEndian.AppendUint16(head, uint16(len(body))), body...), nil
}
