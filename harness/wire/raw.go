package wire

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"time"

	"aegis.test/conformance/harness"
)

// How long a connection on which raw bytes were sent may be silent: before its
// first answer, and after it.
const (
	firstSilence = 2 * time.Second
	nextSilence  = 250 * time.Millisecond
)

// maxSaid is about how many bytes are kept of an answer to raw bytes.
const maxSaid = 4 << 10

// maxFurther is how many answers are counted after the first.
const maxFurther = 16

// Message is a request of some fields and a body that are sent as they are: no
// length is added.
func Message(r harness.Request, fields []harness.Field, body string) []byte {
	var b bytes.Buffer
	b.Grow(len(body) + 4096)
	b.WriteString(r.Method + " " + r.Path + " HTTP/1.1\r\n")
	for _, list := range [][]harness.Field{r.Fields, fields} {
		for _, f := range list {
			b.WriteString(f.Name + ": " + f.Value + "\r\n")
		}
	}
	b.WriteString("\r\n")
	b.WriteString(body)
	return b.Bytes()
}

// Closing ends a connection after the answer.
var Closing = harness.Field{Name: "Connection", Value: "close"}

// Chunked is a body in one chunk, with trailer fields (RFC 9112 section 7.1).
func Chunked(body []byte, trailers ...harness.Field) string {
	var b bytes.Buffer
	if len(body) > 0 {
		b.WriteString(strconv.FormatInt(int64(len(body)), 16) + "\r\n" + string(body) + "\r\n")
	}
	b.WriteString("0\r\n")
	for _, f := range trailers {
		b.WriteString(f.Name + ": " + f.Value + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

// further reads what comes after the first answer to raw bytes, until the
// connection ends or falls silent: the statuses of more answers.
func (w *httpConn) further(seen *harness.Observation) {
	for len(seen.Further) < maxFurther {
		_ = w.SetReadDeadline(time.Now().Add(nextSilence))
		w.inHead, w.read = true, 0
		response, err := http.ReadResponse(w.in, nil)
		w.inHead = false
		if err != nil {
			return
		}
		seen.Further = append(seen.Further, response.StatusCode)
		n, err := io.Copy(io.Discard, io.LimitReader(response.Body, harness.MaxBody))
		if err != nil || n == harness.MaxBody {
			return
		}
	}
}
