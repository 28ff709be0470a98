// Package service is a service of the runbook's contract in mode oidc, as small as it can
// be: whose token a call bears is for an old library to say.
package service

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// Config is what a verifier goes by.
type Config struct {
	Issuer, Audience string
	JWKS             []byte // of the trusted key: RFC 7517
	KeyPEM           []byte // the trusted public key: SPKI in PEM
	KeyID            string
	Secret           []byte // of the client: tokens may be encrypted with it (OpenID Connect Core section 10.2)
}

// Verify says whom a token stands for.
type Verify func(token string) (subject string, err error)

// Main serves until it is killed. It reads ISSUER, AUDIENCE, KID and SECRET, and the files
// that JWKS, KEY, TLS_CERT and TLS_KEY name, and says first where it listens.
func Main(verifier func(Config) (Verify, error)) {
	log.SetFlags(0)
	c := Config{
		Issuer: os.Getenv("ISSUER"), Audience: os.Getenv("AUDIENCE"), KeyID: os.Getenv("KID"), Secret: []byte(os.Getenv("SECRET")),
		JWKS: read("JWKS"), KeyPEM: read("KEY"),
	}
	verify, err := verifier(c)
	if err != nil {
		log.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(os.Getenv("TLS_CERT"), os.Getenv("TLS_KEY"))
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr())
	server := &http.Server{
		Handler: handler(verify), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}
	log.Fatal(server.ServeTLS(l, "", ""))
}

func read(name string) []byte {
	data, err := os.ReadFile(os.Getenv(name))
	if err != nil {
		log.Fatalf("reading the file of %s: %v", name, err)
	}
	return data
}

// handler serves the critical endpoints to whom verify knows, and nobody else.
func handler(verify Verify) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, map[string]string{"status": "ok"}) })
	for _, path := range []string{"/predict", "/enroll", "/review"} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			subject, err := caller(verify, r)
			if err != nil {
				w.Header().Set("WWW-Authenticate", `Bearer realm="aegis", error="invalid_token"`)
				answer(w, 401, map[string]string{"error": "unauthorized"})
				return
			}
			var body map[string]any
			if json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&body) != nil {
				answer(w, 400, map[string]string{"error": "no JSON object"})
				return
			}
			answer(w, 200, map[string]string{"caller": subject})
		})
	}
	return mux
}

func caller(verify Verify, r *http.Request) (string, error) {
	lines := r.Header["Authorization"]
	if len(lines) != 1 {
		return "", fmt.Errorf("%d credentials", len(lines))
	}
	scheme, token, ok := strings.Cut(lines[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", fmt.Errorf("no bearer token")
	}
	subject, err := verify(token)
	if err == nil && subject == "" {
		err = fmt.Errorf("a token for nobody")
	}
	return subject, err
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
