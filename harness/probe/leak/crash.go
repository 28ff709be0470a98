package leak

import (
	"context"
	"fmt"
	"io"

	"aegis.test/conformance/harness"
)

// crash has a replica die as by a fault of its own, and searches what it leaves: the
// end of its log, and its files.
func (s *search) crash(ctx context.Context, mode harness.Mode, replica harness.Replica) error {
	crasher, ok := replica.(harness.Crasher)
	if !ok {
		s.told("not exercised: what a service leaves that crashes; the replica in mode %s cannot be made to crash", mode)
		return nil
	}
	whose, files := fmt.Sprintf("a replica in mode %s that crashed", mode), 0
	seen, err := crasher.Crash(ctx, func(file string, content io.Reader) error {
		files++
		what, err := s.sought.Scan(content)
		s.found(file+" of "+whose, what)
		return err
	})
	if err != nil {
		return fmt.Errorf("searching what %s has left: %w", whose, err)
	}
	if !seen.Ended {
		s.told("not exercised: what a service leaves that crashes; the replica in mode %s did not end by SIGABRT", mode)
		return nil
	}
	s.in("the log of "+whose, replica.Log())
	s.told("%s ended with status %d and left %d files, which were searched; %s", whose, seen.Code, files, cores(seen))
	return nil
}

func (s *search) told(format string, args ...any) {
	s.facts = append(s.facts, harness.SearchNote.At(fmt.Sprintf(format, args...)))
}

// cores says what becomes of a core file.
func cores(c harness.Crash) string {
	switch {
	case c.Piped:
		return "core files go to a program at the host, which no limit keeps them from, and where nobody has looked"
	case c.CoreLimit == "":
		return "its limit on core files is not known"
	}
	return "its limit on core files is " + c.CoreLimit
}
