package harness

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"
)

// Request is one request to send: a sound one, with what a variant changed.
type Request struct {
	Mode     Mode
	Endpoint Endpoint
	Variant  string // what is changed, in words; "" for a control
	Control  bool
	Face     *Face // nil means the target's face for Mode

	Method string
	Path   string  // raw request target
	Fields []Field // header fields in order, sent as they are
	Body   []byte

	// Origin is the scheme, host and port of a sound call to its face.
	Origin string

	// Unique is what stands for "{{unique}}" in it; empty where nothing does.
	Unique string

	// Unflanked says that no accepted call may be made at its endpoint: it comes without
	// its body, and that it was refused shows little.
	Unflanked bool

	Credential  string // in words, for reports: "expired token"
	Certificate *tls.Certificate
	MinTLS      uint16 // tls.VersionTLS12 …; 0 means the library's own
	MaxTLS      uint16
	// Suites and Groups, if not nil, are the only cipher suites of TLS 1.2, and the only
	// key exchanges, that are offered.
	Suites []uint16
	Groups []tls.CurveID
	SNI    string // "" means the face's; NoSNI sends none
	// Protocol is "" for HTTP/1.1, "h2", or "h3", which goes by UDP to the face's port.
	Protocol string
	// Sessions keeps session tickets and offers them, whatever host they are of;
	// nil neither keeps nor offers any.
	Sessions tls.ClientSessionCache
	// Raw, if not nil, are the bytes to send in place of all the above but the
	// face and the protocol; what comes is read until the connection ends, or falls
	// silent.
	Raw []byte
	// Renegotiate asks for another handshake over TLS 1.2 in the place of a call.
	Renegotiate bool
	// HeldBack is how long the body, which is announced, waits for an interim answer
	// 100, in HTTP/1.1; 0 sends it at once.
	HeldBack time.Duration
	// Preface is sent before anything else, in the clear.
	Preface []byte
	// Split says how the ClientHello is cut; "" sends it whole.
	Split Split
}

// NoSNI is the SNI of a request that names no server.
const NoSNI = "-"

// Split is a way to cut a ClientHello into pieces.
type Split string

// Ways to cut it.
const (
	SplitSegments Split = "segments" // of TCP
	SplitRecords  Split = "records"  // of TLS (RFC 8446 section 5.1)
)

// Field is one header field line.
type Field struct{ Name, Value string }

// Set replaces every field of that name (ASCII case ignored) by one.
func (r *Request) Set(name, value string) {
	r.Remove(name)
	r.Fields = append(r.Fields, Field{name, value})
}

// To sends it to another face than its mode's own.
func (r *Request) To(f Face) {
	r.Face = &f
	r.Set("Host", f.Authority())
}

// Add appends a field line.
func (r *Request) Add(name, value string) {
	r.Fields = append(r.Fields, Field{name, value})
}

// Remove takes every field of that name out.
func (r *Request) Remove(name string) {
	kept := r.Fields[:0:0]
	for _, f := range r.Fields {
		if !equalFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	r.Fields = kept
}

// Get is the first value of that name, or "".
func (r *Request) Get(name string) string {
	for _, f := range r.Fields {
		if equalFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

func equalFold(a, b string) bool {
	return http.CanonicalHeaderKey(a) == http.CanonicalHeaderKey(b)
}

// Exchange is a request with what was seen of it.
type Exchange struct {
	Request     Request
	Observation Observation
}

// Transport is how an exchange ended when no HTTP answer came.
type Transport string

// Transport outcomes. Answered means that an HTTP answer was read.
const (
	Answered  Transport = ""
	Alert     Transport = "tls-alert" // the peer sent a TLS alert
	EOF       Transport = "eof"       // closed before any byte of HTTP
	Reset     Transport = "reset"     // RST, or a broken pipe
	Refused   Transport = "refused"   // nobody listens
	DNS       Transport = "dns"       // the name does not resolve
	TimeOut   Transport = "time-out"
	Untrusted Transport = "untrusted" // we refused the server's certificate
	Malformed Transport = "malformed" // bytes came, and are no HTTP
	Unoffered Transport = "unoffered" // the server does not speak the protocol asked for
	Broken    Transport = "broken"    // anything else; Detail says what
)

// Observation is everything seen on the wire once.
type Observation struct {
	ProbeID   string
	Status    int // 0 when no answer came
	Header    http.Header
	Body      []byte // the first MaxBody bytes
	Truncated bool   // the body was longer, or ended early
	Transport Transport
	Detail    string // of the transport outcome, in the library's words
	Unsent    bool   // it was not sent: Detail says why
	AlertCode uint8  // of Alert

	TLSVersion  uint16 // 0 when the handshake did not end
	CipherSuite uint16
	Group       tls.CurveID // of the key exchange; 0 where none was of a group
	// Unbound says that a handshake of TLS 1.2 had no extended master secret (RFC 7627).
	Unbound bool
	ALPN    string
	Resumed bool
	Peer    string // SHA-256 of the server's leaf, hex
	// Authorities are the names, in DER, of those whose clients' certificates the server
	// says to take (RFC 8446 section 4.2.4); nil where it names none.
	Authorities [][]byte

	Connect   time.Duration // from start to TCP
	Handshake time.Duration // from start to TLS
	FirstByte time.Duration
	Total     time.Duration
	At        time.Time // start
	// Opened is when its connection was begun, where that waited for the call: it can
	// have been decided on from then on. The zero value is At.
	Opened time.Time

	// Earlier is how the attempts before this one ended, where the request was sent
	// again: "429", or a Transport. Unrepeated says that none was made after an end
	// without an answer, as one may have changed what the first did.
	Earlier    []string
	Unrepeated bool

	// Continued says that the body was held back and sent in the end: 100 was answered,
	// or nothing was.
	Continued bool

	// Further are the statuses of the answers that came after the first, on a
	// connection on which Request.Raw was sent.
	Further []int

	// Reached is what the request log said of this probe; nil when there is
	// no such oracle, or it was not asked.
	Reached *Reached
	// Unread is why the request log that is granted said nothing of this probe; empty
	// when it did, or none is granted.
	Unread string

	// Beside is what was asked beside an answer that came under a name which is not the
	// target's; nil where it was not asked.
	Beside *Beside
	// Likewise is what the same call, also without a body, was answered at an endpoint that
	// takes accepted calls; nil where it was not asked. Unflanked requests have one.
	Likewise *Likewise
}

// Likewise is a call of the same method and credential at an endpoint that is known to
// look at who calls.
type Likewise struct {
	Endpoint string
	Observation
}

// Beside tells the service's answer from one that a server gives to whatever name is
// nobody's.
type Beside struct {
	// Nowhere is the answer to the same call at a path that nobody has, At.
	Nowhere Observation
	At      string
	// Accepted is the answer to an accepted call of the endpoint, under the target's own
	// name; Status is 0 where there was none.
	Accepted Observation
}

// Reached is what a service's request log knows of one probe.
type Reached struct {
	Seen     int      `json:"seen"`     // requests with the probe's ID that came to the service
	Handled  int      `json:"handled"`  // of these, the ones that came to the handler
	Identity []string `json:"identity"` // whom the handler served, once per request
	Complete bool     `json:"complete"` // the log is known to be complete for this probe
}

// MaxBody is how much of an answer's body is read and kept, bytes.
const MaxBody = 64 << 10

// Trace is everything that one stimulus brought to light.
type Trace struct {
	Exchanges []Exchange
	Startups  []Startup
	Tallies   []Tally
	Records   []Record
	Watching  []Watching
	Alarms    []Alarm
	Facts     []Fact
	Tokens    []VaultToken // of the service
	Rendered  []Rendering
	Issues    []Issue
	Roles     []LoginRole
	Logins    []Login
	// Moot are the variants that the target gives nothing to send: it does not show
	// the mode of what they present.
	Moot []string
	// Timeline is of a change that was made while the exchanges went on, each under
	// its class as its variant; who judges them makes its samples.
	Timeline *Timeline
	// Then is what was seen of a further change, made after that one; its exchanges
	// are the last of Exchanges as well. nil where none was made.
	Then *Trace
	// Notes tell what was left out, and why.
	Notes []string
	// Overdue is what was waited for until its bound had passed, Late when the harness
	// itself was late.
	Overdue []Overdue
	Late    []Late
}

// Watching is what watches a target, as it stands.
type Watching struct {
	Rules     []AlertRule // those on Metric
	Metric    string
	Series    int // of Metric, now
	Targets   []Scraped
	Managers  []string
	Receivers []Receiver
}

// Alarm is whether an alert fired.
type Alarm struct {
	When  string   // what was done, or was the case
	Rules []string // names of the rules that could
	Fired []string // names of the alerts that did
	Took  time.Duration
	// Told is how often receivers were told since; nil where that is not shown, or not asked.
	Told *Told
}

// Record is what a log tells of one exchange of the trace.
type Record struct {
	Exchange int      // index into Trace.Exchanges
	Lines    []string // that hold the probe's ID, as they are
}

// Startup is one start of a replica, as seen from outside.
type Startup struct {
	Variant string
	Control bool // a sound start, that must succeed
	Asked   bool // it was seen to ask for its secrets while they were held
	Exited  bool
	Code    int           // exit status, when Exited
	Took    time.Duration // to its exit, or to its first answer
	// Before are the answers it gave while its secrets were held or missing;
	// calls that found nobody listening are only counted.
	Before  []Exchange
	Refused int
	// After are the answers it gave once it had its secrets.
	After []Exchange
	Log   string // an excerpt, without what must not show
	// Leaks names what showed in its log and must not, Unnamed what its log
	// should have named and did not.
	Leaks, Unnamed []string
}

// Family is a metric family on a metrics page.
type Family struct {
	Type   string             // counter, gauge, …
	Help   string             // the text of its HELP line
	Series map[string]float64 // by labels, as on the page
}

// Sum is the sum over the family's series (rulings A-28).
func (f Family) Sum() float64 {
	var sum float64
	for _, v := range f.Series {
		sum += v
	}
	return sum
}

// Tally is a metric family before and after something was done.
type Tally struct {
	Mode    Mode
	Name    string
	Of      string // what was done, where several things are told apart
	Fresh   bool   // read from a replica that had just started
	Before  Family
	Between []Family // readings after Before, in order
	After   Family
	Again   []Family // readings after After, while nobody called
	Calls   int      // requests made in between, controls left out
}

// Rendering are the files of a replica whose secrets an agent renders, at one
// moment.
type Rendering struct {
	When  string
	User  int // whom the replica runs as
	Files []File
}

// Issue is what came of a request for a certificate.
type Issue struct {
	Variant string
	Control bool   // a sound request, that must be granted
	Asker   string // the only name that is his
	Refused string // why there is none, in the issuer's words
	// Certificate is nil where there is none.
	Certificate *x509.Certificate
}
