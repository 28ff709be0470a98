package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"aegis.test/conformance/harness/strict"
)

// Effective is the configuration as it holds: every value with where it came
// from, and dots for what a reference names.
func (l Loaded) Effective() string {
	var b strings.Builder
	l.show(&b, reflect.ValueOf(l.File), "", "")
	return b.String()
}

func (l Loaded) show(b *strings.Builder, v reflect.Value, path, indent string) {
	for _, k := range strict.Keys(v.Type()) {
		at, field := strict.Join(path, k.Name), v.Field(k.Index)
		if !l.holds(at, field) {
			continue
		}
		switch {
		case field.Kind() == reflect.Struct:
			fmt.Fprintf(b, "%s%s:\n", indent, k.Name)
			l.show(b, field, at, indent+"  ")
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			fmt.Fprintf(b, "%s%s:\n", indent, k.Name)
			for i := range field.Len() {
				var item strings.Builder
				l.show(&item, field.Index(i), fmt.Sprintf("%s[%d]", at, i), indent+"    ")
				b.WriteString(strings.Replace(item.String(), indent+"    ", indent+"  - ", 1))
			}
		default:
			text, origin := written(field), l.Origins[at]
			if field.Type() == reflect.TypeFor[Reference]() {
				text, origin = dots, field.String()+", "+origin
			}
			fmt.Fprintf(b, "%s%-*s # %s\n", indent, max(48-len(indent), 1), k.Name+": "+text, origin)
		}
	}
}

// holds reports whether there is anything to show: what was left out and has no
// default is not there.
func (l Loaded) holds(path string, v reflect.Value) bool {
	if v.Kind() != reflect.Struct {
		return l.Origins[path] != ""
	}
	for _, k := range strict.Keys(v.Type()) {
		if l.holds(strict.Join(path, k.Name), v.Field(k.Index)) {
			return true
		}
	}
	return false
}

// dots stand for a secret.
const dots = "••••"

// written is a value as YAML has it, on one line.
func written(v reflect.Value) string {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		return time.Duration(v.Int()).String()
	case v.Kind() == reflect.String:
		return strconv.Quote(v.String())
	case v.Kind() == reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, written(v.Index(i)))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case v.Kind() == reflect.Map:
		all := v.Interface().(map[string]string)
		var items []string
		for _, name := range slices.Sorted(maps.Keys(all)) {
			items = append(items, name+": "+dots) // an environment holds what it holds
		}
		return "{" + strings.Join(items, ", ") + "}"
	default:
		return fmt.Sprint(v.Interface())
	}
}
