package wire

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"aegis.test/conformance/harness"
)

// Framed is a request as the first stream of a connection of HTTP/2, with all
// that comes before it (RFC 9113 section 3.4). Names and values of its fields go
// out as they are, which no client's library lets them; further ones, and the
// body, come after the request's own.
func Framed(r harness.Request, fields []harness.Field, body []byte) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	put := func(name, value string) { _ = encoder.WriteField(hpack.HeaderField{Name: name, Value: value}) } // to memory
	put(":method", r.Method)
	put(":scheme", "https")
	put(":authority", r.Get("Host"))
	put(":path", r.Path)
	for _, f := range r.Fields {
		if !strings.EqualFold(f.Name, "Host") {
			put(strings.ToLower(f.Name), f.Value)
		}
	}
	for _, f := range fields {
		put(f.Name, f.Value)
	}
	out := bytes.NewBufferString(http2.ClientPreface)
	framer := http2.NewFramer(out, nil)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: len(body) == 0})
	if len(body) > 0 {
		_ = framer.WriteData(1, true, body)
	}
	return out.Bytes()
}

// frames sends a request that was framed, and reads what comes until the
// connection ends or falls silent. A stream or a connection that is ended without
// an answer is an error of net/http2's.
func (w *httpConn) frames(raw []byte, seen *harness.Observation) error {
	_ = w.SetReadDeadline(time.Now().Add(firstSilence))
	_, writeErr := w.Write(raw)
	framer := http2.NewFramer(io.Discard, w.Conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4<<10, nil)
	framer.MaxHeaderListSize = maxHead
	for range maxFrames {
		frame, err := framer.ReadFrame()
		switch {
		case err != nil && seen.Status != 0:
			return nil
		case err != nil && writeErr != nil:
			return writeErr
		case err != nil:
			return err
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if err := w.head(f, seen); err != nil {
				return err
			}
		case *http2.DataFrame:
			room := harness.MaxBody - len(seen.Body)
			seen.Body = append(seen.Body, f.Data()[:min(room, len(f.Data()))]...)
			seen.Truncated = seen.Truncated || len(f.Data()) > room
		case *http2.RSTStreamFrame:
			if seen.Status == 0 {
				return http2.StreamError{StreamID: f.StreamID, Code: f.ErrCode}
			}
		case *http2.GoAwayFrame:
			if seen.Status == 0 && f.ErrCode != http2.ErrCodeNo {
				return http2.GoAwayError{LastStreamID: f.LastStreamID, ErrCode: f.ErrCode, DebugData: string(f.DebugData())}
			}
		}
	}
	return nil
}

// maxFrames is how many frames are read of a connection.
const maxFrames = 1000

// head takes the head of an answer: the first is the request's, another one is to
// a request that was never sent.
func (w *httpConn) head(f *http2.MetaHeadersFrame, seen *harness.Observation) error {
	status, err := strconv.Atoi(f.PseudoValue("status"))
	switch {
	case err != nil && len(f.PseudoFields()) == 0:
		return nil // a trailer
	case err != nil:
		return fmt.Errorf("reading the status of an answer: %w", err)
	case status < 200:
		return nil
	case seen.Status != 0:
		seen.Further = append(seen.Further, status)
	default:
		seen.FirstByte = time.Since(seen.At)
		seen.Status, seen.Header = status, http.Header{}
		for _, field := range f.RegularFields() {
			seen.Header.Add(field.Name, field.Value)
		}
	}
	return w.SetReadDeadline(time.Now().Add(nextSilence))
}
