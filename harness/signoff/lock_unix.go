//go:build unix

package signoff

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockBound is how long a publisher waits for another: publishing takes milliseconds.
const lockBound = 30 * time.Second

// lock waits until nobody else publishes into a directory of dir, which it makes if
// there is none. The directory itself is locked (flock(2)), so that nothing is left.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the directory above: %w; choose another with --out", err)
	}
	return hold(dir, syscall.LOCK_EX)
}

// share waits until nobody publishes into a directory of dir, so that what is read
// there is one set. Where it cannot be locked, what is read is compared all the same.
func share(dir string) (unlock func()) {
	unlock, err := hold(dir, syscall.LOCK_SH)
	if err != nil {
		return func() {}
	}
	return unlock
}

func hold(dir string, how int) (release func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), f.Close())
		}
		if time.Since(began) > lockBound {
			return nil, errors.Join(fmt.Errorf("another program has been publishing there for %v", lockBound), f.Close())
		}
	}
}
