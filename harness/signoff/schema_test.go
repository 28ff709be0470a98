package signoff

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"aegis.test/conformance/harness"
)

// TestSchemaDescribesTheProfile: a field that is declared and not described would
// make every record of a target that declares it invalid.
func TestSchemaDescribesTheProfile(t *testing.T) {
	var schema struct {
		Properties struct {
			Target struct {
				Properties struct {
					Profile struct {
						Properties map[string]json.RawMessage `json:"properties"`
					} `json:"profile"`
				} `json:"properties"`
			} `json:"target"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(schemaJSON, &schema); err != nil {
		t.Fatal(err)
	}
	described := schema.Properties.Target.Properties.Profile.Properties
	for field := range reflect.TypeFor[harness.Profile]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if _, ok := described[name]; !ok {
			t.Errorf("schema.json does not describe profile.%s (%s)", name, field.Name)
		}
		delete(described, name)
	}
	for name := range described {
		t.Errorf("schema.json describes profile.%s, which is not there", name)
	}
}
