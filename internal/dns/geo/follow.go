package geo

import (
	"context"
	"os"
	"time"

	"k8s.io/utils/clock"
)

// Follow opens the database at path and gives it to loaded, and does so again
// whenever the file has changed, was replaced or is back, within two seconds.
// What cannot be read is an error and no database; callers then keep the one
// that they have. Calls of loaded do not overlap. Follow blocks until ctx ends.
func Follow(ctx context.Context, c clock.WithTicker, path string, loaded func(*DB, error)) {
	ticker := c.NewTicker(time.Second)
	defer ticker.Stop()
	follow(ctx, path, ticker.C(), loaded)
}

// follow looks at the file at each tick. It waits until the file looks the same
// twice, since one that is being written is not yet all there.
func follow(ctx context.Context, path string, tick <-chan time.Time, loaded func(*DB, error)) {
	seen := look(path)
	read := seen
	loaded(Open(path))
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		now := look(path)
		settled := now.same(seen)
		seen = now
		if settled && !now.same(read) {
			read = now
			loaded(Open(path))
		}
	}
}

// looks is what a file looks like from outside; nil if there is none.
type looks struct{ os.FileInfo }

func look(path string) looks {
	info, err := os.Stat(path)
	if err != nil {
		return looks{}
	}
	return looks{info}
}

func (l looks) same(m looks) bool {
	if l.FileInfo == nil || m.FileInfo == nil {
		return l.FileInfo == nil && m.FileInfo == nil
	}
	return os.SameFile(l.FileInfo, m.FileInfo) && l.Size() == m.Size() && l.ModTime().Equal(m.ModTime())
}
