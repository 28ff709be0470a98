package live

import (
	"bytes"
	"encoding/json"
	"testing"

	"aegis.test/conformance/harness"
)

// FuzzJournal: whatever a journal holds, what is understood of it leads nowhere else,
// and what is not is told.
func FuzzJournal(f *testing.F) {
	line := func(e Entry) string {
		data, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		return string(data) + "\n"
	}
	head := line(Entry{Target: "eu", URL: "https://aegis.test"})
	for _, seed := range []string{
		"", head, head + line(Entry{Mode: harness.OIDC, Endpoint: "review", Unique: "conformance-1"}), head + line(Entry{Serial: "0a:1b"}), head + head,
		"{}\n", head + `{"unique": "../x"}` + "\n", head + "null\n", head[:len(head)-4], "[]\n", head + "{}{}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a := Abandoned{}.read(bytes.NewReader(data))
		if len(a.Strange) == 0 && a.Target == "" {
			t.Error("a journal of no target is understood")
		}
		if len(a.Strange) > maxStrange+1 {
			t.Errorf("%d lines are told of", len(a.Strange))
		}
		for _, e := range a.Entries {
			if wrong := e.wrong(); wrong != "" {
				t.Errorf("%+v is taken, and %s", e, wrong)
			}
		}
	})
}
