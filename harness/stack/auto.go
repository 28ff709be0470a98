package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"aegis.test/conformance/fixtures/images"
)

// EnvironmentError is the error of a stack that could not be started for what
// surrounds it: no engine, an image that cannot be had, a port that is taken,
// a component that ended. Its text says what to do next, where that is known.
type EnvironmentError struct {
	Runtime Runtime
	Err     error
}

func (e *EnvironmentError) Error() string {
	return fmt.Sprintf("starting a stack (%s): %v", e.Runtime, e.Err)
}

func (e *EnvironmentError) Unwrap() error { return e.Err }

// lookBound is how long Auto may look for public images, pulls included.
const lookBound = 10 * time.Second

// Start starts a target. The error is an EnvironmentError, or that of Known or
// KnownService.
func Start(ctx context.Context, spec Spec) (*Stack, error) {
	if err := KnownService(spec.Runtime, spec.Service); err != nil {
		return nil, err
	}
	p, err := choose(ctx, spec)
	if err != nil {
		return nil, err
	}
	choice := string(p.runtime) + ": " + p.why
	if spec.Progress != nil {
		spec.Progress(choice)
	}
	spec.Runtime = p.runtime
	s, err := p.start(ctx, spec)
	if err != nil {
		return nil, &EnvironmentError{p.runtime, err}
	}
	s.Choice = choice
	return s, nil
}

// placement is a runtime, why it was taken, and how it starts a stack.
type placement struct {
	runtime Runtime
	why     string
	have    map[string]images.Have // in containers
	start   func(context.Context, Spec) (*Stack, error)
}

func choose(ctx context.Context, spec Spec) (placement, error) {
	asked := spec.Runtime
	if spec.Service.given() && asked != Embedded {
		asked = Containers // an image under test is placed nowhere else
	}
	switch asked {
	case Embedded:
		return placement{Embedded, "as asked for", nil, startEmbedded}, nil
	case Containers:
		have, err := ensure(ctx, spec, 0)
		if err != nil {
			return placement{}, &EnvironmentError{asked, err}
		}
		return placement{Containers, "as asked for; " + tally(have), have, inContainers(have)}, nil
	case Auto, "":
		return weigh(ctx, spec)
	}
	return placement{}, Known(asked)
}

// weigh takes containers when what they need is at hand, and else embedded.
func weigh(ctx context.Context, spec Spec) (placement, error) {
	have, err := ensure(ctx, spec, lookBound)
	if ctx.Err() != nil {
		return placement{}, &EnvironmentError{Auto, context.Cause(ctx)}
	}
	if err != nil {
		return placement{Embedded, reason(err), nil, startEmbedded}, nil
	}
	return placement{Containers, engineVersion(ctx) + " answers, " + tally(have), have, inContainers(have)}, nil
}

func inContainers(have map[string]images.Have) func(context.Context, Spec) (*Stack, error) {
	return func(ctx context.Context, spec Spec) (*Stack, error) { return startContainers(ctx, spec, have) }
}

// ensure has the images: the public ones present or pulled, within bound if
// that is not 0, and then our own built, which takes seconds.
func ensure(ctx context.Context, spec Spec, bound time.Duration) (map[string]images.Have, error) {
	have, err := pulled(ctx, spec, bound)
	if err != nil {
		return nil, err
	}
	maps.Copy(have, optional(ctx, spec, "monitoring", images.Prometheus, images.Alertmanager))
	maps.Copy(have, optional(ctx, spec, "Kubernetes", images.Kubernetes))
	own, err := images.Ensure(ctx, []string{images.Fixture}, images.Options{Build: true, Progress: spec.Progress})
	if err != nil {
		return nil, err
	}
	maps.Copy(have, own)
	for _, given := range []string{spec.Service.Image, spec.Service.PreviousImage} {
		if given == "" {
			continue
		}
		if have[given], err = images.Given(ctx, given, images.Options{Pull: true, Progress: spec.Progress}); err != nil {
			return nil, err
		}
	}
	return have, nil
}

// optional has the images of what a stack can do without, or none of them: it then
// says what it cannot show.
func optional(ctx context.Context, spec Spec, what string, names ...string) map[string]images.Have {
	ctx, cancel := context.WithTimeout(ctx, lookBound)
	defer cancel()
	have, err := images.Ensure(ctx, names, images.Options{Pull: true, Progress: spec.Progress})
	if err != nil && spec.Progress != nil {
		spec.Progress("without " + what + ": " + reason(err))
	}
	return have
}

func pulled(ctx context.Context, spec Spec, bound time.Duration) (map[string]images.Have, error) {
	if bound > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, bound, fmt.Errorf("the images were not there, nor pulled within %s", bound))
		defer cancel()
	}
	public := []string{images.Vault, images.Nginx}
	if f, ok := flavourOf(spec.Ingress); ok {
		public[1] = f.image
	}
	if spec.HA {
		public = append(public, images.HAProxy)
	}
	have, err := images.Ensure(ctx, public, images.Options{Pull: true, Progress: spec.Progress})
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return have, err
}

// tally counts the images by origin: "images: 2 present, 1 built".
func tally(have map[string]images.Have) string {
	count := map[images.Origin]int{}
	for _, h := range have {
		count[h.Origin]++
	}
	var parts []string
	for _, origin := range []images.Origin{images.Present, images.Pulled, images.Built} {
		if n := count[origin]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, origin))
		}
	}
	return "images: " + strings.Join(parts, ", ")
}

// reason is, in a line, why there are no containers.
func reason(err error) string {
	if _, ok := errors.AsType[*images.NoEngine](err); ok {
		return "no container engine answers"
	}
	var lacking []string
	for _, image := range images.All {
		if lacks(err, image.Name) {
			lacking = append(lacking, fmt.Sprintf("no image for %s (make images builds it, %s)", image.Name, image.Takes))
		}
	}
	if len(lacking) == 0 {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return line
	}
	return strings.Join(lacking, ", ")
}

// lacks reports whether err holds an Unavailable for the image.
func lacks(err error, image string) bool {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range several.Unwrap() {
			if lacks(one, image) {
				return true
			}
		}
		return false
	}
	unavailable, ok := errors.AsType[*images.Unavailable](err)
	return ok && unavailable.Image == image
}

// engineVersion is the engine in words: "engine 20.10.24".
func engineVersion(ctx context.Context) string {
	engine, err := images.Engine(ctx)
	if err != nil {
		return "an engine"
	}
	defer func() { _ = engine.Close() }()
	version, err := engine.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "an engine"
	}
	return "engine " + version.Version
}
