package probe

import (
	"bytes"
	"testing"
)

func TestProxyHeaderSaysItsLength(t *testing.T) {
	header := proxyHeader("aegis-client")
	if got, want := int(header[14])<<8|int(header[15]), len(header)-16; got != want {
		t.Errorf("got length %d, want %d", got, want)
	}
	if !bytes.HasSuffix(header, []byte("\x22\x00\x0caegis-client")) {
		t.Errorf("got %q, want the CN at its end", header)
	}
}
