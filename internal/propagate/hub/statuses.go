package hub

import (
	"context"
	"fmt"
	"time"

	"github.com/hanse-dev/hanse/internal/guard"
	"github.com/hanse-dev/hanse/internal/propagate/report"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Members' statuses change many times while a workload starts. A merged status waits a little for the others, and one object's is
// written at most once in statusInterval, whatever the number of members: that bounds the hub's writes.
const (
	statusDelay    = 50 * time.Millisecond
	statusInterval = time.Second
	// statusYield is for how long statuses let Recordings go first, which members wait for.
	statusYield = 5 * time.Second
)

// status is the last one that was written.
type status struct {
	at       time.Time
	revision uint64 // of the object by it; 0: not known
}

// Status has the status of an object written before long, but not before after has gone by. It does not block.
func (r *Recorder) Status(key template.Key, after time.Duration) {
	r.statuses.AddAfter(key, max(after, statusDelay, r.rest(key, r.clock.Now())))
}

// rest is how long the status of an object is not to be written yet, because it has just been.
func (r *Recorder) rest(key template.Key, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.written[key]
	if !ok {
		return 0
	}
	return last.at.Add(statusInterval).Sub(now)
}

// writeStatus merges what the members say of an object and writes it if it differs from what is there. It is idempotent.
func (r *Recorder) writeStatus(ctx context.Context, key template.Key) error {
	a, now := r.published.Assignment(key), r.clock.Now()
	if a == nil {
		return nil
	}
	if r.yields(now) || r.outdated(a.Template, now) {
		r.statuses.AddAfter(key, statusDelay)
		return nil
	}
	if rest := r.rest(key, now); rest > 0 { // it was asked for before the last was written
		r.statuses.AddAfter(key, rest)
		return nil
	}
	out, err := report.Status(a, r.published.Facts(), r.published.Members(), r.began, now)
	for range out.Blamed {
		guard.Count(ctx, "propagation") // recovered by package report
	}
	r.tellBlame(key, out.Blamed, err)
	switch {
	case err != nil:
		return err
	case out.RetryAfter > 0:
		r.statuses.AddAfter(key, out.RetryAfter)
		return nil
	case out.Patch == nil:
		return nil
	}
	r.note(key, status{at: now})
	made, err := r.patch(ctx, a.Template, map[string]any{"status": out.Patch}, "status")
	switch {
	case gone(err):
		r.Forget(key)
		return nil
	case err != nil:
		return fmt.Errorf("write the status of %s at the hub: %w", key, err)
	}
	r.noteRevision(key, template.RevisionOf(made.GetResourceVersion()))
	return nil
}

func (r *Recorder) note(key template.Key, s status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written[key] = s
}

// noteRevision notes what the write led to, unless the object has been forgotten while it was written.
func (r *Recorder) noteRevision(key template.Key, revision uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.written[key]; ok {
		s.revision = revision
		r.written[key] = s
	}
}

// yields says whether statuses have to wait for Recordings, which they do not for long.
func (r *Recorder) yields(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.recordings.Len() == 0 {
		r.busy = time.Time{}
		return false
	}
	if r.busy.IsZero() {
		r.busy = now
	}
	return now.Sub(r.busy) < statusYield
}

// outdated says whether t is older than the status that was written last: what differs from it would be taken for what differs
// from that. After a while that is of no account: the watch may have been cut.
func (r *Recorder) outdated(t *template.Template, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.written[t.Key]
	return t.Revision < last.revision && now.Sub(last.at) < 2*statusInterval
}

// tellBlame says who is to blame, and once, that nobody is any more.
func (r *Recorder) tellBlame(key template.Key, blamed map[string]string, err error) {
	r.mu.Lock()
	was := r.blamed[key]
	if len(blamed) > 0 {
		r.blamed[key] = true
	} else if err == nil {
		delete(r.blamed, key)
	}
	r.mu.Unlock()
	if len(blamed) > 0 || was && err == nil {
		r.blame(key, blamed)
	}
}
