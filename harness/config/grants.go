package config

import (
	"reflect"
	"strings"

	"aegis.test/conformance/harness"
	"aegis.test/conformance/harness/strict"
)

// OursOnly is what grants a capability that no configuration can.
const OursOnly = "only a stack of ours: conformance run"

// Gives says what in a configuration grants a capability, or that nothing does.
func Gives(c harness.Capability) string {
	if effect, ok := c.Effect(); ok {
		return "--allow " + string(effect)
	}
	if _, ok := c.Endpoint(); ok {
		return "endpoints, where an accepted call may be made"
	}
	if said := c.Row().Config; said != "" {
		return said
	}
	return OursOnly
}

// OutOfReach lists the capabilities that no configuration of a live target grants.
func OutOfReach() []harness.Capability {
	return harness.CapabilitiesWhere(func(r harness.CapabilityRow) bool { return r.Config == "" })
}

// OnPaper is a reference that nobody reads, for what a file would grant.
const OnPaper Reference = "vault:on/paper#it"

// Suppose sets what stands at a key of the file, and is nothing yet, to a value on paper:
// a text, a reference or a list of texts, or each of those below the key. It reports
// whether there is such a key.
func (f *File) Suppose(key string) bool {
	at := reflect.ValueOf(f).Elem()
	for name := range strings.SplitSeq(key, ".") {
		if at.Kind() != reflect.Struct {
			return false
		}
		field, ok := fieldAt(at, name)
		if !ok {
			return false
		}
		at = field
	}
	suppose(at)
	return true
}

// fieldAt is the field of a struct that a key names.
func fieldAt(of reflect.Value, name string) (reflect.Value, bool) {
	for _, k := range strict.Keys(of.Type()) {
		if k.Name == name {
			return of.Field(k.Index), true
		}
	}
	return reflect.Value{}, false
}

func suppose(at reflect.Value) {
	switch {
	case at.Kind() == reflect.Struct:
		for i := range at.NumField() {
			suppose(at.Field(i))
		}
	case !at.IsZero():
	case at.Type() == reflect.TypeFor[Reference]():
		at.Set(reflect.ValueOf(OnPaper))
	case at.Kind() == reflect.String:
		at.SetString("http://on.paper")
	case at.Type() == reflect.TypeFor[[]string]():
		at.Set(reflect.ValueOf([]string{"on.paper:443"}))
	}
}
