package wire

import (
	"bytes"
	"crypto/tls"
	"testing"

	"aegis.test/conformance/harness"
)

func TestPiecesHoldTheWholeHello(t *testing.T) {
	hello := append([]byte{22, 3, 1, 0, 100}, bytes.Repeat([]byte{7}, 100)...)
	segments := pieces(harness.SplitSegments, hello)
	if got := bytes.Join(segments, nil); !bytes.Equal(got, hello) || len(segments) < 2 {
		t.Errorf("segments: got %d pieces of %d bytes, want several of %d", len(segments), len(got), len(hello))
	}
	var payload []byte
	records := pieces(harness.SplitRecords, hello)
	for _, r := range records {
		if r[0] != 22 || int(r[3])<<8|int(r[4]) != len(r)-recordHeader {
			t.Errorf("got record header %x before %d bytes", r[:recordHeader], len(r)-recordHeader)
		}
		payload = append(payload, r[recordHeader:]...)
	}
	if !bytes.Equal(payload, hello[recordHeader:]) || len(records) < 2 {
		t.Errorf("records: got %d with %d bytes, want several with 100", len(records), len(payload))
	}
}

func TestTicketsAreOfAnyHost(t *testing.T) {
	tickets, ticket := &Tickets{}, &tls.ClientSessionState{}
	tickets.Put("one", ticket)
	frozen{tickets}.Put("two", nil)
	if got, ok := tickets.Get("other"); !ok || got != ticket {
		t.Error("got no ticket, want the one that was put")
	}
	tickets.Put("one", nil)
	if _, ok := tickets.Get("one"); ok {
		t.Error("got a ticket that was taken back")
	}
}
