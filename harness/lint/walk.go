package lint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"aegis.test/conformance/harness/lint/alert"
	"aegis.test/conformance/harness/lint/document"
	"aegis.test/conformance/harness/lint/ingress"
	"aegis.test/conformance/harness/lint/manifest"
	"aegis.test/conformance/harness/lint/pki"
	"aegis.test/conformance/harness/lint/place"
	"aegis.test/conformance/harness/lint/policy"
	"aegis.test/conformance/harness/saved"
)

// Bounds of a run.
const (
	MaxFile  = 8 << 20   // bytes of one file
	MaxFiles = 20_000    // files and folders that are looked at
	MaxBytes = 256 << 20 // bytes of all files that are read
)

// budget is what a run has used of its bounds.
type budget struct {
	files int
	bytes int64
}

// errBudget ends a run that has met its bounds.
var errBudget = errors.New("the run's bounds are met")

// passed are folders that hold what others have written, or what was made.
var passed = []string{".git", ".hg", ".svn", ".terraform", "node_modules", "vendor", "__pycache__", ".venv"}

// walk reads what was named.
func (t *Tree) walk(paths []string) {
	for _, path := range paths {
		if path == "-" {
			t.stdin()
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			t.unreadable(path, fmt.Errorf("it cannot be read: %w", reason(err)))
			continue
		}
		if !info.IsDir() {
			t.file(path, true)
			continue
		}
		err = filepath.WalkDir(path, t.met(path))
		if errors.Is(err, errBudget) {
			t.unreadable(path, fmt.Errorf("more than %d files or %d MiB were met: name the folders that matter", MaxFiles, MaxBytes>>20))
			return
		}
	}
	t.included()
}

// included takes out what was read by itself and is a part of another.
func (t *Tree) included() {
	parts := map[string]bool{}
	for _, c := range t.Proxies {
		for _, name := range c.Included {
			parts[filepath.Clean(name)] = true
		}
	}
	t.Proxies = slices.DeleteFunc(t.Proxies, func(c *ingress.Configuration) bool { return parts[filepath.Clean(c.File)] })
}

// reason is a file system's error without the path, which is told already.
func reason(err error) error {
	if told, ok := errors.AsType[*fs.PathError](err); ok {
		return told.Err
	}
	return err
}

// met is what becomes of each entry of a folder.
func (t *Tree) met(root string) fs.WalkDirFunc {
	return func(path string, entry fs.DirEntry, err error) error {
		if t.budget.files++; t.budget.files > MaxFiles || t.budget.bytes > MaxBytes {
			return errBudget
		}
		switch {
		case err != nil:
			t.unreadable(path, fmt.Errorf("it cannot be read: %w", reason(err)))
			if entry != nil && entry.IsDir() {
				return fs.SkipDir
			}
		case entry.IsDir() && path != root && slices.Contains(passed, entry.Name()):
			t.unknown(place.Place{File: path}, "a folder that is passed over: name it to read it")
			return fs.SkipDir
		case entry.IsDir():
		case entry.Type()&fs.ModeSymlink != 0:
			t.unknown(place.Place{File: path}, "a symbolic link, which is not followed: name what it leads to")
		default:
			t.file(path, false)
		}
		return nil
	}
}

// file reads one file by its name and what is in it. What was named by the user must be
// known; in a folder, there are others.
func (t *Tree) file(path string, named bool) {
	read := readerOf(path)
	if read == nil && !named {
		t.unknown(place.Place{File: path}, "no kind of file that is read")
		return
	}
	text, err := t.read(path)
	if err != nil {
		t.unreadable(path, err)
		return
	}
	if read == nil {
		read = sniffed(text)
	}
	if read == nil {
		t.unreadable(path, fmt.Errorf("it is no kind of file that is read: conformance lint --help lists them"))
		return
	}
	if err := read(t, path, text); err != nil {
		if told, ok := errors.AsType[*unlike](err); ok && !named {
			t.unknown(place.Place{File: path}, told.what)
			return
		}
		t.unreadable(path, err)
	}
}

// stdin reads what the path - stands for.
func (t *Tree) stdin() {
	const name = "stdin.yaml"
	if t.options.Stdin == nil {
		t.unreadable("-", errors.New("there is no standard input"))
		return
	}
	text, err := bounded(t.options.Stdin)
	if err == nil {
		err = asText(yamlFile)(t, name, text)
	}
	if err != nil {
		t.unreadable(name, err)
	}
}

// bounded reads no more than one file may have.
func bounded(from io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, MaxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("it cannot be read: %w", reason(err))
	case len(text) > MaxFile:
		return nil, fmt.Errorf("it is larger than %d MiB: it is not read", MaxFile>>20)
	}
	return text, nil
}

// unlike is the error of a file that may be whole, and is none that a rule is about.
type unlike struct{ what string }

func (u *unlike) Error() string { return u.what }

// read reads a regular file, within the bounds, as text.
func (t *Tree) read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", reason(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is no file but %s: it is not read", special(info.Mode()))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", reason(err))
	}
	defer file.Close() //nolint:errcheck // it was read only
	text, err := bounded(file)
	t.budget.bytes += int64(len(text))
	return text, err
}

// special names what is no file.
func special(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	default:
		return "a device"
	}
}

// reader reads a text into the tree.
type reader func(t *Tree, path string, text []byte) error

// endings are which reader a file's name asks for.
var endings = map[string]reader{
	".yaml": asText(yamlFile), ".yml": asText(yamlFile), ".json": asText(yamlFile), ".hcl": asText(policyFile),
	".conf": asText(proxyFile), ".nginx": asText(nginxFile), ".cfg": asText(proxyFile), ".caddy": asText(caddyFile),
	".caddyfile": asText(caddyFile),
	".pem":       certificateFile, ".crt": certificateFile, ".cer": certificateFile, ".der": certificateFile, ".key": certificateFile,
}

// readerOf is which reader a file's name asks for; nil where it says nothing.
func readerOf(path string) reader {
	if name := filepath.Base(path); name == "Caddyfile" || strings.HasPrefix(name, "Caddyfile.") {
		return asText(caddyFile)
	}
	return endings[strings.ToLower(filepath.Ext(path))]
}

// sniffed is which reader a text asks for whose name says nothing.
func sniffed(text []byte) reader {
	switch {
	case pki.Is(text):
		return certificateFile
	case haproxyLook.Match(text), nginxLook.Match(text):
		return asText(proxyFile)
	case bytes.Contains(text, []byte("apiVersion:")):
		return asText(yamlFile)
	case policyLook.Match(text):
		return asText(policyFile)
	default:
		return nil
	}
}

var (
	haproxyLook = regexp.MustCompile(`(?m)^(frontend|listen)\s+\S+\s*(#.*)?$`)
	nginxLook   = regexp.MustCompile(`(?m)^\s*(http|server|location\s[^{]*|upstream\s[^{]*)\s*\{`)
	policyLook  = regexp.MustCompile(`(?m)^\s*path\s+"[^"]*"\s*\{`)
)

// asText reads text only, and without a byte order mark.
func asText(read reader) reader {
	return func(t *Tree, path string, text []byte) error {
		plain, err := saved.Text(text)
		if err != nil {
			return err
		}
		if bytes.IndexByte(plain, 0) >= 0 {
			return errors.New("it is binary, and no text")
		}
		return read(t, path, plain)
	}
}

// yamlFile reads the documents of a file, each by what it is.
func yamlFile(t *Tree, path string, text []byte) error {
	documents, err := document.Read(path, text)
	if err != nil {
		return err
	}
	if len(documents) == 1 && documents[0].Keys()["path"] && strings.HasSuffix(path, ".json") {
		return policyFile(t, path, text)
	}
	if len(documents) == 1 && alert.IsFile(documents[0]) {
		return t.rules(documents[0], text, false)
	}
	known := false
	for _, d := range documents {
		is, err := t.document(d)
		if err != nil {
			return err
		}
		known = known || is
	}
	if !known {
		return &unlike{"no document in it is of a kind that is read"}
	}
	return nil
}

// document reads one document; known says whether a rule is about it.
func (t *Tree) document(d *document.Document) (known bool, err error) {
	switch {
	case manifest.Is(d):
		objects, unknown, err := manifest.Read(d)
		if err != nil {
			return true, err
		}
		for _, u := range unknown {
			t.unknown(u.Place, fmt.Sprintf("%s: no rule is about this kind", u.Kind))
		}
		t.Objects = append(t.Objects, objects...)
		t.result.Read[Kubernetes] += len(objects)
		for _, o := range objects {
			c, err := ingress.FromIngress(o)
			if err != nil {
				return true, err
			}
			if c != nil {
				t.proxy(c)
			}
			if text := o.Rules(); text != nil {
				if err := t.rules(d, text, true, append(o.Path(), "spec")...); err != nil {
					return true, err
				}
			}
		}
		return len(objects) > 0, nil
	case alert.IsTest(d):
		t.unknown(d.Top(), "promtool's test of rules: promtool test rules runs it")
		return true, nil
	case ingress.IsEnvoy(d):
		c, err := ingress.ReadEnvoy(d)
		if err != nil {
			return true, err
		}
		t.proxy(c)
		return true, nil
	case policy.IsRole(d):
		role, err := policy.ReadRole(d)
		if err != nil {
			return true, err
		}
		t.Roles = append(t.Roles, role)
		t.result.Read[Vault]++
		return true, nil
	default:
		return false, nil
	}
}

// rules reads a rule file, or what an object holds of one.
func (t *Tree) rules(d *document.Document, text []byte, lax bool, path ...any) error {
	found, err := alert.Read(d, text, lax, path...)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return place.Errorf(d.At(path...), "it is a rule file without any rule")
	}
	t.Alerts = append(t.Alerts, found...)
	t.result.Read[Alerts]++
	return nil
}

// policyFile reads a policy of Vault's.
func policyFile(t *Tree, path string, text []byte) error {
	p, err := policy.Read(path, text)
	if errors.Is(err, policy.ErrOther) {
		return &unlike{err.Error()}
	}
	if err != nil {
		return err
	}
	t.Policies = append(t.Policies, p)
	t.result.Read[Vault]++
	return nil
}

// proxyFile reads a configuration whose name says only that it is one.
func proxyFile(t *Tree, path string, text []byte) error {
	switch {
	case haproxyLook.Match(text):
		c, err := ingress.ReadHAProxy(path, text)
		if err == nil {
			t.proxy(c)
		}
		return err
	case nginxLook.Match(text):
		return nginxFile(t, path, text)
	default:
		return &unlike{"no configuration of a proxy that is read"}
	}
}

// certificateFile reads certificates and keys.
func certificateFile(t *Tree, path string, text []byte) error {
	if plain, err := saved.Text(text); err == nil && pki.Is(plain) {
		text = plain
	}
	f, err := pki.Read(path, text)
	if err != nil {
		return err
	}
	if len(f.Certificates)+len(f.Keys) == 0 {
		return &unlike{"it holds neither a certificate nor a private key"}
	}
	t.Certificates = append(t.Certificates, f.Certificates...)
	t.Keys = append(t.Keys, f.Keys...)
	t.result.Read[Certificates]++
	return nil
}

// caddyFile reads a Caddyfile.
func caddyFile(t *Tree, path string, text []byte) error {
	c, err := ingress.ReadCaddy(path, text, t.read)
	if err == nil {
		t.proxy(c)
	}
	return err
}

// nginxFile reads a configuration of nginx's.
func nginxFile(t *Tree, path string, text []byte) error {
	c, err := ingress.ReadNginx(path, text, t.read)
	if err != nil {
		return err
	}
	t.proxy(c)
	return nil
}

// proxy takes a configuration in.
func (t *Tree) proxy(c *ingress.Configuration) {
	for _, u := range c.Unresolved {
		t.result.Undecided = append(t.result.Undecided, Note{Place: u.At, What: u.What})
	}
	t.Proxies = append(t.Proxies, c)
	t.result.Read[Ingress]++
}
