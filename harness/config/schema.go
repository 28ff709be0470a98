package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"aegis.test/conformance/harness/strict"
)

// SchemaID names the format of staging.yaml.
const SchemaID = "https://aegis.test/conformance/staging.schema.json"

// Patterns of what is text with a form.
const (
	durationPattern  = `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`
	referencePattern = `^(env:.+|file:.+|vault:[^#]+#.+)$`
	urlPattern       = `^[hH][tT][tT][pP][sS]?://[^/?#@]+(/[^?#]*)?$`
	hostPortPattern  = `^.+:[0-9a-z]+$`
)

// Schema is the JSON Schema of staging.yaml, made from the types that read it.
func Schema() ([]byte, error) {
	one := map[string]any{"type": "object", "additionalProperties": false, "properties": object(reflect.TypeFor[File]())}
	all := object(reflect.TypeFor[File]())
	all[targetsKey] = map[string]any{
		"type": "array", "minItems": 1, "items": one,
		"description": "several targets: each is read over what stands beside this list, and has a sign-off of its own",
	}
	schema := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SchemaID,
		"title": "staging.yaml of aegis-conformance", "type": "object", "additionalProperties": false, "properties": all,
		"anyOf": []any{
			map[string]any{"required": []string{"target", "endpoints"}, "properties": map[string]any{
				"target": map[string]any{"required": requiredOf(reflect.TypeFor[Target]())},
			}},
			map[string]any{"required": []string{"service"}}, map[string]any{"required": []string{targetsKey}},
		},
	}
	return json.MarshalIndent(schema, "", "  ")
}

// object is the properties of a struct.
func object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	for _, k := range strict.Keys(t) {
		p := shape(k.Field.Type, k.Field.Tag)
		p["description"] = k.Field.Tag.Get("says")
		properties[k.Name] = p
	}
	return properties
}

// shape is the schema of one value.
func shape(t reflect.Type, tag reflect.StructTag) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "string", "pattern": durationPattern}
	case t == reflect.TypeFor[Reference]():
		return map[string]any{"type": "string", "pattern": referencePattern}
	case t.Kind() == reflect.Struct:
		return map[string]any{"type": []string{"object", "null"}, "additionalProperties": false, "properties": object(t)}
	case t.Kind() == reflect.Slice:
		items := shape(t.Elem(), tag)
		if t.Elem().Kind() == reflect.Struct {
			items["required"] = requiredOf(t.Elem())
		}
		list := map[string]any{"type": "array", "items": items}
		if tag.Get("single") != "" {
			return map[string]any{"anyOf": []any{items, list}}
		}
		return list
	case t.Kind() == reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": shape(t.Elem(), "")}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.Int:
		return map[string]any{"type": "integer", "minimum": 0}
	case t.Kind() == reflect.Float64:
		return map[string]any{"type": "number", "minimum": 0}
	}
	p := map[string]any{"type": "string"}
	if list := tag.Get("enum"); list != "" {
		p["enum"] = strings.Split(list, ",")
	}
	if pattern := map[string]string{"url": urlPattern, "hostport": hostPortPattern}[tag.Get("form")]; pattern != "" {
		p["pattern"] = pattern
	}
	if tag.Get("form") == "regexp" {
		p["format"] = "regex"
	}
	return p
}

func requiredOf(t reflect.Type) []string {
	names := []string{}
	for _, k := range strict.Keys(t) {
		if k.Field.Tag.Get("required") != "" {
			names = append(names, k.Name)
		}
	}
	return names
}
