// Package logline reads one line of a log, in whatever form: JSON, logfmt or text.
package logline

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Entry is a line of a log, in whatever form it is: JSON, logfmt, or text.
type Entry struct {
	line string
	// fields are the members of a JSON line or the pairs of a logfmt line, nested
	// ones by their path, in lower case: log.level. Text has none.
	fields map[string]string
}

// Parse reads a line. An engine's or a collector's prefix may stand before it.
func Parse(line string) Entry {
	e := Entry{line: line, fields: map[string]string{}}
	if i := strings.IndexByte(line, '{'); i >= 0 {
		var members map[string]any
		if json.NewDecoder(strings.NewReader(line[i:])).Decode(&members) == nil {
			flatten(e.fields, "", members)
			return e
		}
	}
	for _, pair := range logfmt.FindAllStringSubmatch(line, -1) {
		e.fields[strings.ToLower(pair[1])] = strings.Trim(pair[2], `"`)
	}
	return e
}

// logfmt is a pair of a logfmt line.
var logfmt = regexp.MustCompile(`(?:^|\s)([A-Za-z_@][\w.@-]*)=("(?:[^"\\]|\\.)*"|[^\s"]+)`)

func flatten(into map[string]string, path string, members map[string]any) {
	for name, value := range members {
		at := strings.ToLower(name)
		if path != "" {
			at = path + "." + at
		}
		switch v := value.(type) {
		case map[string]any:
			flatten(into, at, v)
		case nil:
		default:
			into[at] = fmt.Sprint(v)
		}
	}
}

// Field is the first of some fields that is there, by its whole path or its last
// part.
func (e Entry) Field(names []string) string {
	for _, name := range names {
		if v := e.fields[name]; v != "" {
			return v
		}
	}
	for _, at := range slices.Sorted(maps.Keys(e.fields)) {
		for _, name := range names {
			if strings.HasSuffix(at, "."+name) && e.fields[at] != "" {
				return e.fields[at]
			}
		}
	}
	return ""
}

// Names that loggers give to what a record must hold.
var (
	whenNames   = []string{"time", "timestamp", "ts", "@timestamp", "@t", "datetime", "date", "asctime"}
	WhyNames    = []string{"reason", "reason_class", "cause", "error_code", "auth_error", "denial"}
	sourceNames = []string{"from", "source", "source_ip", "client", "client_ip", "client_addr", "remote", "remote_addr", "remote_ip", "ip",
		"peer", "source.ip", "client.ip"}
	levelNames = []string{"level", "severity", "levelname", "lvl", "log.level", "severity_text", "loglevel", "@l", "level_value"}
)

// What text tells without names for it. A reason is none of the words that every
// answer of its status has.
var (
	moment = regexp.MustCompile(`\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d|` +
		`[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|^[IWEF]\d{4} \d\d:\d\d:\d\d|\b1\d{9}(\.\d+)?\b|\b\d\d:\d\d:\d\d[.,]\d{3}\b`)
	because = regexp.MustCompile(`(?i)\b(missing|absent|without|no (token|credentials?|bearer|authorization|identity|certificate)|expired|` +
		`invalid|malformed|bad|unknown|untrusted|wrong|mismatch|not[ _-](enrolled|allowed|valid|listed|trusted|active)|unenrolled|unsupported|` +
		`signature|audience|issuer|claim|revoked)`)
	standard = regexp.MustCompile(`(?i)\b40[13]\b[ "]*(unauthorized|forbidden)?|\b(unauthorized|forbidden)\b`)
)

// sentences are the names of what a record says in words.
var sentences = []string{"msg", "message", "event", "error", "err", "detail", "short_message", "body", "@m", "@mt", "description"}

// Reason is why a record says that a call was denied; "" where it gives none.
func (e Entry) Reason() string {
	if why := e.Field(WhyNames); why != "" {
		return why
	}
	text := e.line
	if strings.Contains(e.line, "{") && len(e.fields) > 0 {
		text = e.Field(sentences)
	}
	return because.FindString(standard.ReplaceAllString(text, ""))
}

// Dated reports a time: of RFC 3339 or another form that is common, or a number.
func (e Entry) Dated() bool {
	when := e.Field(whenNames)
	if _, err := time.Parse(time.RFC3339Nano, when); err == nil {
		return true
	}
	if strings.Trim(when, "0123456789.eE+") == "" && when != "" && when != "0" {
		return true
	}
	return moment.MatchString(when) || when == "" && moment.MatchString(e.line)
}

// words are the words of a line, without what quotes, encloses or joins them.
func (e Entry) words() []string {
	return strings.FieldsFunc(e.line, func(r rune) bool { return strings.ContainsRune(" \t\"'`,;()[]{}=<>|", r) })
}

// Places reports whether the record tells of a path: as a field, or as a word.
func (e Entry) Places(path string) bool {
	for _, v := range e.fields {
		if v == path || strings.HasSuffix(v, " "+path) || strings.Contains(v, " "+path+" ") {
			return true
		}
	}
	return slices.ContainsFunc(e.words(), func(word string) bool {
		before, _, _ := strings.Cut(word, "?")
		return strings.TrimSuffix(before, ":") == path
	})
}

// Sourced reports whether the record tells whom the call was of: in a field, or by
// an address.
func (e Entry) Sourced() bool {
	return e.Field(sourceNames) != "" || slices.ContainsFunc(e.words(), func(word string) bool {
		word = strings.TrimSuffix(word, ":")
		if host, port, found := strings.Cut(word, ":"); found && strings.Trim(port, "0123456789") == "" {
			word = host // of an IPv4 address
		}
		_, err := netip.ParseAddr(word)
		return err == nil
	})
}

// Severe are the names of levels that are error or worse, with pino's numbers and
// logstash's.
var Severe = map[string]bool{
	"error": true, "err": true, "critical": true, "crit": true, "fatal": true, "alert": true, "emerg": true, "emergency": true,
	"panic": true, "severe": true,
	"e": true, "f": true, "50": true, "60": true, "40000": true, "50000": true,
	"0": true, "1": true, "2": true, "3": true, // of syslog, and of GELF
}

// levelled is a level in a line of text: a word in capitals, in brackets or before
// a colon, a letter of klog's, or a priority of syslog's.
var levelled = regexp.MustCompile(`\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|CRIT|FATAL|SEVERE|ALERT|EMERG|EMERGENCY|` +
	`PANIC)\b|(?i:[\[<(|]\s*(trace|debug|info|notice|warn|warning|error|err|critical|crit|fatal|severe|alert|emerg|panic)\s*[\])>|])|` +
	`(?i:(?:^|\s)(trace|debug|info|notice|warn|warning|error|critical|fatal|panic):)|^([IWEF])\d{4} \d\d:|^<(\d{1,3})>`)

// Level is the level of a record, in lower case; "" where the line has none.
func (e Entry) Level() string {
	if level := e.Field(levelNames); level != "" {
		return strings.ToLower(level)
	}
	if n, err := strconv.Atoi(e.Field([]string{"severity_number", "severitynumber", "levelno"})); err == nil {
		return map[bool]string{true: "error", false: "info"}[n >= 17 && n <= 24 || n >= 40] // OpenTelemetry's, and Python's
	}
	found := levelled.FindStringSubmatch(e.line)
	if found == nil {
		return ""
	}
	if priority := found[5]; priority != "" {
		n, _ := strconv.Atoi(priority) // digits
		return map[bool]string{true: "error", false: "info"}[n%8 <= 3]
	}
	return strings.ToLower(found[1] + found[2] + found[3] + found[4])
}

// Said is all that a record tells, with what JSON escapes.
func (e Entry) Said() string {
	text := e.line
	for _, v := range e.fields {
		text += "\n" + v
	}
	return text
}
