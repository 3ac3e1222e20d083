package audit

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/hanse-dev/hanse/internal/propagate/record"
)

// Sources are the files of a hub.
type Sources struct {
	// Log is the hub's audit log; those that were rotated are beside it.
	Log string
	// Flight is the directory of its flight recorder; empty: there is none.
	Flight string
}

// mostWrites bounds what is remembered of writes until it is known whose they were.
const mostWrites = 100_000

// write is one in a member, with who may have led to it.
type write struct {
	Entry
	users, by []string
}

// Read answers a query. It blocks on the disk.
func Read(ctx context.Context, from Sources, q Query) (Report, error) {
	if q.Limit <= 0 {
		q.Limit = MostEntries
	}
	writes, err := writesOf(ctx, from.Flight, q)
	if err != nil {
		return Report{}, err
	}
	asked := map[string][]*write{}
	for _, w := range writes {
		if w.AuditID != "" {
			asked[w.AuditID] = append(asked[w.AuditID], w)
		}
	}
	files, err := logs(from.Log)
	if err != nil {
		return Report{}, err
	}
	entries := []Entry{}
	for _, file := range files {
		err := readLog(ctx, file, q.Since, nil, func(e *event) {
			for _, w := range asked[e.AuditID] {
				w.ledBy(e)
			}
			if q.Cluster == "" && q.wants(e) {
				entries = bound(append(entries, e.entry()), q.Limit)
			}
		})
		if err != nil {
			return Report{}, err
		}
	}
	if err := earlier(ctx, files, q.Since, asked); err != nil {
		return Report{}, err
	}
	for _, w := range writes {
		w.User, w.By = strings.Join(w.users, ", "), strings.Join(w.by, ", ")
		if w.AuditID != "" && w.User == "" {
			w.User = Unknown
		}
		if q.User == "" || slices.Contains(w.users, q.User) {
			entries = append(entries, w.Entry)
		}
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.At.Compare(b.At) })
	return Report{Entries: newest(entries, q.Limit)}, nil
}

// earlier looks for who led to writes by requests from before a time: a cluster gets today what was written while it was away.
func earlier(ctx context.Context, files []string, before time.Time, asked map[string][]*write) error {
	for id, writes := range asked {
		if !slices.ContainsFunc(writes, func(w *write) bool { return len(w.users) == 0 }) {
			delete(asked, id)
		}
	}
	if len(asked) == 0 || before.IsZero() {
		return nil
	}
	only := func(id []byte) bool { return asked[string(id)] != nil }
	for _, file := range files {
		err := readLog(ctx, file, time.Time{}, only, func(e *event) {
			for _, w := range asked[e.AuditID] {
				w.ledBy(e)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Unknown is the user of a request that is not in the audit log: it is too old, or of a part of the hub's own, which the log leaves out.
const Unknown = "unknown"

// ledBy notes that a request may have led to the write: it has the ID, came before, and is about the object. Clients choose IDs, so it
// may be one of several, and all of them are named.
func (w *write) ledBy(e *event) {
	if e.RequestReceivedTimestamp.After(w.At) || !e.about(w.Object) {
		return
	}
	made := e.entry()
	if !slices.Contains(w.users, made.User) {
		w.users = append(w.users, made.User)
	}
	if made.By != "" && !slices.Contains(w.by, made.By) {
		w.by = append(w.by, made.By)
	}
}

// wants says whether a request to the hub is asked for.
func (q Query) wants(e *event) bool {
	made := e.entry()
	if q.User != "" && made.User != q.User && made.By != q.User || made.At.Before(q.Since) || !q.Until.IsZero() && made.At.After(q.Until) {
		return false
	}
	if q.Resource == "" && q.Namespace == "" && q.Name == "" {
		return true
	}
	return e.ObjectRef != nil && (q.Resource == "" || e.resource() == q.Resource) && (q.Namespace == "" || e.namespace() == q.Namespace) &&
		(q.Name == "" || e.ObjectRef.Name == q.Name)
}

// wantsObject says whether an object is asked for, as the flight recorder names it.
func (q Query) wantsObject(object string) bool {
	parts := strings.SplitN(object, "/", 3)
	return len(parts) == 3 && (q.Resource == "" || parts[0] == q.Resource) && (q.Namespace == "" || parts[1] == q.Namespace) && (q.Name == "" || parts[2] == q.Name)
}

// writesOf are those in members that are asked for, with what was decided about the object before.
func writesOf(ctx context.Context, flight string, q Query) (all []*write, err error) {
	if flight == "" {
		return nil, nil
	}
	decided := map[string]*record.Outcome{}
	err = record.Each(ctx, flight, q.Since, func(e record.Entry) {
		if e.Outcome != nil {
			if q.wantsObject(e.Outcome.Object) {
				decided[e.Outcome.Object] = e.Outcome
			}
			return
		}
		w := e.Write
		if !q.wantsObject(w.Object) || q.Cluster != "" && w.Cluster != q.Cluster || !q.Until.IsZero() && w.At.After(q.Until) {
			return
		}
		made := &write{Entry: Entry{At: w.At, Cluster: w.Cluster, Verb: w.Verb, Object: w.Object, Error: w.Error, AuditID: w.AuditID}}
		if o := decided[w.Object]; o != nil {
			made.Decision, made.Cause = o.Decision.String(), o.Cause
		}
		all = bound(append(all, made), mostWrites)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing was recorded yet
	}
	return all, err
}

// bound keeps the newest, at least so many, without moving all of them each time.
func bound[E any](all []E, most int) []E {
	if len(all) < 2*most {
		return all
	}
	return newest(all, most)
}

// newest keeps so many at most.
func newest[E any](all []E, most int) []E { return slices.Clone(all[max(0, len(all)-most):]) }
