// Package browser_test opens the sign-off's page in a browser: a module of its own, as
// what drives the browser is nobody's who runs the command.
package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	browser "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"aegis.test/conformance/harness/report"
	"aegis.test/conformance/harness/report/reporttest"
	"aegis.test/conformance/harness/signoff"
)

// names of the browser, Debian's first.
var names = []string{"chromium", "chromium-browser", "google-chrome"}

// chromium is the path of a browser. Where there is none the test is skipped, but
// for CI, which must have one.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no browser, and CI is set: apt-get install chromium")
	}
	t.Skip("no browser: apt-get install chromium")
	return ""
}

// tab is a page opened in a browser, with what it tried to load and what the
// browser complained of.
type tab struct {
	context.Context
	file string

	mu        sync.Mutex
	requests  []string
	complaint []string
}

// shared is one browser for all tests; each has a tab of its own.
var shared struct {
	sync.Mutex
	context.Context
	end func()
}

// TestMain ends the shared browser.
func TestMain(m *testing.M) {
	code := m.Run()
	if shared.end != nil {
		shared.end()
	}
	os.Exit(code)
}

// running is the shared browser, started when it is first asked for.
func running(t *testing.T, path string) context.Context {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.Context != nil {
		return shared.Context
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to be root in its sandbox
	}
	allocated, endAllocated := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, endBrowser := chromedp.NewContext(allocated)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	shared.Context, shared.end = ctx, func() { endBrowser(); endAllocated() }
	return ctx
}

// open shows a page in a tab, after what was done before it; nil without a
// browser.
func open(t *testing.T, html []byte, before ...action) *tab {
	t.Helper()
	path := chromium(t)
	file := filepath.Join(t.TempDir(), "signoff.html")
	if err := os.WriteFile(file, html, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(running(t, path))
	t.Cleanup(cancel)
	opened := &tab{Context: ctx, file: (&url.URL{Scheme: "file", Path: file}).String()}
	if err := chromedp.Listen(ctx, opened.heard); err != nil {
		t.Fatal(err)
	}
	opened.run(t, call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}))
	opened.run(t, before...)
	opened.run(t, chromedp.Navigate(opened.file))
	return opened
}

// action is what a test does to a page.
type action = chromedp.Action[chromedp.Void]

// call is a command of the browser's protocol as an action.
func call[P, R any](command cdp.Command[P, R], params P) action {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, command, params)
		return err
	})
}

func (b *tab) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *log.EventEntryAdded:
		b.complaint = append(b.complaint, e.Entry.Text)
	case *runtime.EventExceptionThrown:
		b.complaint = append(b.complaint, e.ExceptionDetails.Text)
	case *browser.EventJavascriptDialogOpening:
		b.complaint = append(b.complaint, "a dialog: "+e.Message)
	}
}

func (b *tab) run(t *testing.T, actions ...action) {
	t.Helper()
	if err := chromedp.Do(b, actions...); err != nil {
		t.Fatal(err)
	}
}

// get runs an action that answers.
func get[T any](t *testing.T, b *tab, a chromedp.Action[T]) T {
	t.Helper()
	answer, err := chromedp.Run(b, a)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// ask evaluates an expression in the page.
func ask[T any](t *testing.T, b *tab, expression string) T {
	t.Helper()
	return get(t, b, chromedp.Evaluate[T](expression))
}

// alone requires that nothing but the page was loaded, and that the browser had
// nothing to say against it.
func (b *tab) alone(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, request := range b.requests {
		if request != b.file {
			t.Errorf("the page asked for %.200s", request)
		}
	}
	if len(b.requests) == 0 {
		t.Error("not even the page was seen to load: the listener hears nothing")
	}
	for _, complaint := range b.complaint {
		t.Errorf("the browser says %.300s", complaint)
	}
}

// keep writes a screenshot where SIGNOFF_SCREENSHOTS says, for a person to look at.
func (b *tab) keep(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("SIGNOFF_SCREENSHOTS")
	if dir == "" {
		return
	}
	shot := get(t, b, chromedp.CaptureScreenshot())
	if err := os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o644); err != nil {
		t.Fatal(err)
	}
}

func size(width, height int64) action {
	return chromedp.EmulateViewport(width, height)
}

// scheme sets light or dark, and screen or print.
func scheme(name, medium string) action {
	return call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: medium,
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
}

// scriptless turns the page's scripts off; the test's own questions still run.
func scriptless() action {
	return call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

func files(t *testing.T, r signoff.Record) map[string][]byte {
	t.Helper()
	all, err := report.Files(r)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// beside finds what stands out of the page on its right; a drawing that scrolls
// in itself does not.
const beside = `[...document.querySelectorAll("body *")].filter((e) => !e.closest(".sr, .skip, .drawing") && e.checkVisibility() &&
	e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).slice(0, 5).map((e) => e.outerHTML.slice(0, 120))`

// TestFirstScreen wants the verdict, what it is of and what to do next on the first screen
// of a record that did not fail, wide and narrow, and nothing beside the screen.
func TestFirstScreen(t *testing.T) {
	for _, c := range []struct {
		name          string
		width, height int64
		first         []string
	}{
		{"wide", 1280, 900, []string{"h1", ".answer", ".headline", ".bar", ".totals .not-exercised", "#h-next", ".next li:last-child",
			"#h-checklist", ".checklist li:last-child", "#h-who", ".who dl div:last-child"}},
		{"narrow", 390, 844, []string{"h1", ".answer", ".eyebrow .tag", ".headline", ".bar", ".totals .fail", ".totals .not-exercised", "#h-next"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, files(t, reporttest.Real(t, ".."))["signoff.html"], size(c.width, c.height))
			b.keep(t, c.name+"-real")
			b.within(t, c.height, c.first...)
			b.narrow(t, c.width)
			b.alone(t)
		})
	}
}

// within wants elements to end within so many pixels of the page's top.
func (b *tab) within(t *testing.T, height int64, selectors ...string) {
	t.Helper()
	for _, selector := range selectors {
		ends := ask[[]float64](t, b, fmt.Sprintf("[...document.querySelectorAll(%q)].map((e) => e.getBoundingClientRect().bottom)", selector))
		if len(ends) == 0 {
			t.Errorf("there is no %s", selector)
		}
		for _, bottom := range ends {
			if bottom <= 0 || bottom > float64(height) {
				t.Errorf("%s ends at %.0f of %d", selector, bottom, height)
			}
		}
	}
}

// narrow wants nothing to stand beside the screen.
func (b *tab) narrow(t *testing.T, width int64) {
	t.Helper()
	for _, element := range ask[[]string](t, b, beside) {
		t.Errorf("beside a screen of %d stands %s", width, element)
	}
}

// TestFirstScreenOfAFailure wants of a run that failed, of however many causes, what failed,
// where and who mends it above the fold of a laptop, and in the first two screens of a
// telephone.
func TestFirstScreenOfAFailure(t *testing.T) {
	for _, c := range []struct {
		name                  string
		width, height, within int64
	}{{"laptop", 1280, 800, 800}, {"telephone", 390, 844, 2 * 844}} {
		for kind, r := range map[string]signoff.Record{"few": reporttest.Checked(reporttest.Sample()), "many": reporttest.Broken(reporttest.Real(t, ".."))} {
			t.Run(c.name+" "+kind, func(t *testing.T) {
				b := open(t, files(t, r)["signoff.html"], size(c.width, c.height))
				b.keep(t, c.name+"-"+kind)
				b.within(t, c.within, "h1", ".answer", ".headline", ".which dd", ".worst li a", ".worst .where", ".worst .whose", ".bar", ".totals .fail")
				b.narrow(t, c.width)
				told := ask[string](t, b, `document.querySelector(".worst").innerText`)
				causes := slices.DeleteFunc(r.Causes(), func(c signoff.Cause) bool { return c.Owner == "" }) // nothing of it failed
				for _, cause := range causes[:min(5, len(causes))] {
					if !strings.Contains(told, cause.IDs[0]) || !strings.Contains(told, string(cause.Owner)) {
						t.Errorf("the first screen does not say %s, and to be mended in the %s: %s", cause.IDs[0], cause.Owner, told)
					}
				}
				lead := ask[string](t, b, `document.querySelector(".worst li a").hash.replace("#cause-", "")`)
				b.run(t, chromedp.Click(chromedp.CSS(".worst li a")))
				if at := ask[float64](t, b, fmt.Sprintf(`document.getElementById("cause-%s").getBoundingClientRect().top`, lead)); at < -2 || at > float64(c.height) {
					t.Errorf("the first cause's link leads to %.0f", at)
				}
				b.alone(t)
			})
		}
	}
}

// TestNoScript wants the page whole without its script.
func TestNoScript(t *testing.T) {
	b := open(t, files(t, reporttest.Sample())["signoff.html"], scriptless())
	if ask[bool](t, b, `document.querySelector("#filter").checkVisibility()`) {
		t.Error("a filter shows that cannot work")
	}
	if n := ask[int](t, b, `document.querySelectorAll("tr.finding").length`); n != len(reporttest.Sample().Findings) {
		t.Errorf("%d findings show; want %d", n, len(reporttest.Sample().Findings))
	}
	b.run(t, chromedp.Click(chromedp.CSS("#OIDC-005 + tr summary")))
	if !ask[bool](t, b, `document.querySelector("#OIDC-005 + tr dl").checkVisibility({contentVisibilityAuto: true})`) {
		t.Error("the evidence does not unfold")
	}
	b.alone(t)
}

// TestFilter wants the filter to show what was asked for, and a link to lead to
// what it hides.
func TestFilter(t *testing.T) {
	b := open(t, files(t, reporttest.Sample())["signoff.html"])
	shown := `[...document.querySelectorAll("tr.finding")].filter((r) => r.checkVisibility()).map((r) => r.id).join(" ")`
	for _, c := range []struct{ text, verdict, want string }{
		{"", "", "OIDC-001 OIDC-004 OIDC-005 OIDC-009 MTLS-001 MTLS-002 MTLS-003 MET-001 MET-003"},
		{"broken pipe", "", "MET-003"},
		{"", "not-exercised", "MET-001"},
		{"mtls", "fail", "MTLS-002"},
		{"nothing of the kind", "", ""},
	} {
		b.filter(t, c.text, c.verdict)
		if got := ask[string](t, b, shown); got != c.want {
			t.Errorf("%q, %q shows %q; want %q", c.text, c.verdict, got, c.want)
		}
	}
	b.run(t, chromedp.Click(chromedp.CSS(".totals .fail a")))
	if got := ask[string](t, b, shown); got != "OIDC-005 MTLS-002" {
		t.Errorf("the count of failures shows %q in the catalogue; want those", got)
	}
	b.filter(t, "nothing of the kind", "")
	b.run(t, chromedp.Evaluate[chromedp.Void](`location.hash = "#OIDC-005"`), chromedp.WaitVisible(chromedp.CSS("#OIDC-005")))
	if count := ask[string](t, b, `document.querySelector("#filter-count").textContent`); count != "9 of 9 shown" {
		t.Errorf("the filter says %q", count)
	}
	b.alone(t)
}

// filter asks the page's filter for something, as a person does.
func (b *tab) filter(t *testing.T, text, verdict string) {
	t.Helper()
	b.run(t, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		for (const [id, value, event] of [["filter-text", %q, "input"], ["filter-verdict", %q, "change"]]) {
			document.getElementById(id).value = value;
			document.getElementById(id).dispatchEvent(new Event(event));
		}
	})()`, text, verdict)))
}

// TestPrint wants an A4 document of few pages with what a reader files, whatever the screen
// was filtered to; and with everything in it where that was asked for.
func TestPrint(t *testing.T) {
	const few, most = 4, 12
	b := open(t, files(t, reporttest.Broken(reporttest.Real(t, "..")))["signoff.html"], size(688, 1000)) // A4 less its margins, at 96 dpi
	b.filter(t, "no such thing", "")
	b.run(t, scheme("dark", "print"))
	for _, part := range []string{".top", ".worst", "#failures", "#unseen", "#runbook", "#environment", "#signature"} {
		if !ask[bool](t, b, fmt.Sprintf("document.querySelector(%q).checkVisibility()", part)) {
			t.Errorf("print leaves out %s", part)
		}
	}
	if ask[bool](t, b, `document.querySelector("#catalogue").checkVisibility()`) {
		t.Error("print holds the catalogue, and nobody asked for it")
	}
	for _, element := range ask[[]string](t, b, beside) {
		t.Errorf("print cuts off %s", element)
	}
	if paper := ask[string](t, b, `getComputedStyle(document.body).backgroundColor`); paper != "rgb(255, 255, 255)" {
		t.Errorf("it prints on %s", paper)
	}
	if pages := printed(t, b, "signoff"); pages < few || pages > most {
		t.Errorf("%d pages; want %d to %d", pages, few, most)
	}
	b.run(t, scheme("dark", "print"), chromedp.Evaluate[chromedp.Void](`document.getElementById("whole").checked = true; dispatchEvent(new Event("beforeprint"))`))
	lost := ask[[]string](t, b, `[...document.querySelectorAll("main *:not(option, script)")].filter((e) =>
		!e.closest("nav, .filter, .print-whole, svg") && e.textContent.trim() && (!e.checkVisibility({contentVisibilityAuto: true}) || e.getBoundingClientRect().height < 1))
		.slice(0, 5).map((e) => e.outerHTML.slice(0, 120))`)
	for _, element := range lost {
		t.Errorf("print of the whole loses %s", element)
	}
	if pages := printed(t, b, "signoff-whole"); pages <= most {
		t.Errorf("%d pages of the whole: too few for what it holds", pages)
	}
	b.alone(t)
}

// printed prints the page as a person would, holds the document against A4, and counts its
// pages.
func printed(t *testing.T, b *tab, name string) int {
	t.Helper()
	b.run(t, scheme("light", ""))
	pdf := get(t, b, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize(), chromedp.PDFPrintBackground(), chromedp.PDFOutlineAndTagged()))
	if dir := os.Getenv("SIGNOFF_SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".pdf"), pdf, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	boxes := regexp.MustCompile(`/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]`).FindAllSubmatch(pdf, -1)
	for _, box := range boxes {
		if !bytes.HasPrefix(box[1], []byte("594.9")) && !bytes.HasPrefix(box[1], []byte("595")) || !bytes.HasPrefix(box[2], []byte("84")) {
			t.Fatalf("a page of %s by %s points is no A4", box[1], box[2])
		}
	}
	return len(boxes)
}

// TestHostileAnswersAreInert opens records full of markup and scripts: none of
// it becomes an element, runs, loads or is complained of.
func TestHostileAnswersAreInert(t *testing.T) {
	for _, r := range reporttest.Hostile() {
		b := open(t, files(t, r)["signoff.html"])
		if n := ask[int](t, b, `document.querySelectorAll("img, iframe, object, embed, a:not([href^='#']), script:not(body > script:last-of-type)").length`); n != 0 {
			t.Errorf("%d elements came of the answers", n)
		}
		if title := ask[string](t, b, "document.title"); !strings.Contains(title, "Aegis conformance sign-off") {
			t.Errorf("the title is %q", title)
		}
		b.alone(t)
	}
}

// TestPolicyBites tries what the page's policy is there to stop, so that a page
// that is alone is so because nothing got through.
func TestPolicyBites(t *testing.T) {
	tampered := bytes.Replace(files(t, reporttest.Sample())["signoff.html"], []byte("<footer>"),
		[]byte(`<footer onclick="1"><img src="http://127.0.0.1:9/x.png"><script>document.title = "owned"</script><b style="color:red">x</b>`), 1)
	b := open(t, tampered)
	if title := ask[string](t, b, "document.title"); strings.Contains(title, "owned") {
		t.Error("a script that is not the page's ran")
	}
	if color := ask[string](t, b, `getComputedStyle(document.querySelector("footer b")).color`); color == "rgb(255, 0, 0)" {
		t.Error("a style that is not the page's holds")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaint) < 3 {
		t.Errorf("the browser complained of %q; want the image, the script and the style", b.complaint)
	}
}

// TestLandmarks wants one of each landmark, headings in order, and a name on
// everything that can be operated.
func TestLandmarks(t *testing.T) {
	b := open(t, files(t, reporttest.Sample())["signoff.html"])
	tree, err := chromedp.Call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	roles := map[string]int{}
	level := 0
	for _, node := range tree.Nodes {
		if node.Ignored {
			continue
		}
		role, name := value(node.Role), value(node.Name)
		roles[role]++
		if slices.Contains([]string{"link", "button", "searchbox", "combobox", "image", "figure", "navigation", "search", "region", "article", "table"}, role) &&
			name == "" && role != "table" {
			t.Errorf("a %s has no name", role)
		}
		if role == "heading" {
			next := headingLevel(node)
			if next > level+1 {
				t.Errorf("heading %q of level %d follows one of level %d", name, next, level)
			}
			level = next
		}
	}
	for role, want := range map[string]int{"main": 1, "banner": 1, "contentinfo": 1, "navigation": 1, "search": 1} {
		if roles[role] != want {
			t.Errorf("%d landmarks %q; want %d", roles[role], role, want)
		}
	}
	if n := ask[int](t, b, `document.querySelectorAll("h1").length`); n != 1 {
		t.Errorf("%d first headings", n)
	}
	if lang := ask[string](t, b, "document.documentElement.lang"); lang != "en" {
		t.Errorf("the language is %q", lang)
	}
}

func value(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var text string
	_ = json.Unmarshal(v.Value, &text)
	return text
}

func headingLevel(node *accessibility.Node) int {
	for _, property := range node.Properties {
		if property.Name == "level" {
			var n int
			_ = json.Unmarshal(property.Value.Value, &n)
			return n
		}
	}
	return 0
}

// contrasts finds text whose colour stands too little off the ground below it:
// WCAG 2.2 AA asks for 4.5, or 3 where it is large.
const contrasts = `(() => {
  const parts = (c) => c.match(/[\d.]+/g).map(Number);
  const light = (c) => parts(c).slice(0, 3).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor, p = parts(c);
    if (p.length < 4 || p[3] === 1) return c;
    if (p[3] > 0) return "rgb(127, 127, 127)"; // half seen through: no ground to judge by
  } return getComputedStyle(document.documentElement).colorScheme.includes("dark") ? "rgb(0,0,0)" : "rgb(255,255,255)"; };
  const bad = [];
  let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !e.checkVisibility() || e.closest("script, option, .sr")) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const text = e.closest("svg") ? style.fill : style.color;
    const [a, b] = [light(text), light(ground(e))].sort((x, y) => y - x);
    const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    seen++;
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) bad.push(e.outerHTML.slice(0, 100) + " " + text + " on " + ground(e));
  }
  return {seen, bad: bad.slice(0, 10)};
})()`

// TestContrastAsShown measures every text of the page as the browser paints it,
// light and dark.
func TestContrastAsShown(t *testing.T) {
	for _, name := range []string{"light", "dark"} {
		b := open(t, files(t, reporttest.Checked(reporttest.Sample()))["signoff.html"], size(1280, 900), scheme(name, "screen"))
		b.run(t, chromedp.Evaluate[chromedp.Void](`for (const d of document.querySelectorAll("details")) d.open = true`))
		b.keep(t, "scheme-"+name)
		found := ask[struct {
			Seen int
			Bad  []string
		}](t, b, contrasts)
		if found.Seen < 300 {
			t.Errorf("%s: only %d texts were measured", name, found.Seen)
		}
		for _, text := range found.Bad {
			t.Errorf("%s: %s", name, text)
		}
		b.keepWhole(t, "whole-"+name)
	}
}

// keepWhole keeps the page from top to bottom.
func (b *tab) keepWhole(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("SIGNOFF_SCREENSHOTS")
	if dir == "" {
		return
	}
	shot := get(t, b, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), shot, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestKeyboard walks the page by its Tab key: the first stop leads past what
// comes before the findings, and the filter can be reached.
func TestKeyboard(t *testing.T) {
	b := open(t, files(t, reporttest.Sample())["signoff.html"], size(1280, 900))
	b.run(t, chromedp.KeyEvent("\t"))
	if first := ask[string](t, b, "document.activeElement.className"); first != "skip" {
		t.Errorf("the first stop is %q", first)
	}
	for range 400 {
		if ask[string](t, b, "document.activeElement.id") == "filter-text" {
			return
		}
		b.run(t, chromedp.KeyEvent("\t"))
	}
	t.Error("the filter is not reached by the keyboard")
}
