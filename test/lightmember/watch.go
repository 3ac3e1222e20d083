package lightmember

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// bookmarkEvery is how often a quiet watch is told the version.
const bookmarkEvery = time.Minute

// selection is which objects of a resource are asked for.
type selection struct {
	gr        schema.GroupResource
	namespace string
	name      string // by a field selector
	labels    labels.Selector
}

func (s selection) has(e event) bool {
	return s.names(e) && s.labels.Matches(e.labels)
}

func (s selection) names(e event) bool {
	return (s.namespace == "" || s.namespace == e.name.Namespace) && (s.name == "" || s.name == e.name.Name)
}

// current is all there is of a selection, as events, by name, and the version. c.mu is held.
func (c *Cluster) current(s selection) (all []event, version uint64) {
	for name, o := range c.of(s.gr).objects {
		e := event{kind: "ADDED", version: o.since, name: name, object: o.json, labels: o.labels, now: true}
		if s.has(e) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b event) int {
		return cmp.Compare(a.name.String(), b.name.String())
	})
	return all, c.version
}

// stream is one watch.
type stream struct {
	cluster   *Cluster
	selection selection
	kind      metav1.TypeMeta
	from      uint64
	bookmarks bool
	out       http.ResponseWriter
}

// watch answers until the client goes or its time is over.
func (s *stream) watch(ctx context.Context, options metav1.ListOptions) error {
	c := s.cluster
	c.mu.Lock()
	r := c.of(s.selection.gr)
	initial := options.SendInitialEvents != nil && *options.SendInitialEvents
	var first []event
	switch {
	case initial || options.ResourceVersion == "" || options.ResourceVersion == "0":
		first, s.from = c.current(s.selection)
	default:
		from, err := strconv.ParseUint(options.ResourceVersion, 10, 64)
		if err != nil || from < r.dropped {
			c.mu.Unlock()
			return failure(http.StatusGone, metav1.StatusReasonExpired, "too old resource version")
		}
		s.from = from
	}
	c.mu.Unlock()
	if options.TimeoutSeconds != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*options.TimeoutSeconds)*time.Second)
		defer cancel()
	}
	s.bookmarks = options.AllowWatchBookmarks
	s.out.Header().Set("Content-Type", "application/json")
	s.out.WriteHeader(http.StatusOK)
	for _, e := range first {
		s.send(e.kind, e.object)
	}
	if initial && s.bookmarks {
		s.bookmark(s.from, true)
	}
	s.flush()
	s.follow(ctx, r)
	return nil
}

// follow sends what happens until ctx ends, or until what is to be sent next is not kept any more.
func (s *stream) follow(ctx context.Context, r *resource) {
	timer := time.NewTicker(bookmarkEvery)
	defer timer.Stop()
	for {
		s.cluster.fleet.pauseWhileHanging(ctx, s.cluster)
		s.cluster.mu.Lock()
		lost := s.from < r.dropped
		at, _ := slices.BinarySearchFunc(r.events, s.from+1, func(e event, v uint64) int {
			switch {
			case e.version < v:
				return -1
			case e.version > v:
				return 1
			}
			return 0
		})
		events, news, version := slices.Clone(r.events[at:]), r.news, s.cluster.version
		s.cluster.mu.Unlock()
		if lost {
			return
		}
		for _, e := range events {
			s.pass(e)
			s.from = e.version
		}
		if len(events) > 0 {
			s.flush()
		}
		select {
		case <-ctx.Done():
			return
		case <-news:
		case <-timer.C:
			if s.bookmarks {
				s.bookmark(max(version, s.from), false)
				s.flush()
			}
		}
	}
}

// pass sends an event as this watch sees it.
func (s *stream) pass(e event) {
	if !s.selection.names(e) {
		return
	}
	before := e.wasThere && s.selection.labels.Matches(e.before)
	now := e.now && s.selection.labels.Matches(e.labels)
	switch {
	case now && before:
		s.send("MODIFIED", e.object)
	case now:
		s.send("ADDED", e.object)
	case before:
		s.send("DELETED", e.object)
	}
}

func (s *stream) send(kind string, object []byte) {
	fmt.Fprintf(s.out, `{"type":%q,"object":`, kind)
	_, _ = s.out.Write(object) // a client that is gone ends ctx
	fmt.Fprintln(s.out, "}")
}

func (s *stream) bookmark(version uint64, end bool) {
	meta := map[string]any{"resourceVersion": strconv.FormatUint(version, 10)}
	if end {
		meta["annotations"] = map[string]any{metav1.InitialEventsAnnotationKey: "true"}
	}
	data, err := json.Marshal(map[string]any{"apiVersion": s.kind.APIVersion, "kind": s.kind.Kind, "metadata": meta})
	if err == nil {
		s.send("BOOKMARK", data)
	}
}

func (s *stream) flush() {
	if f, ok := s.out.(http.Flusher); ok {
		f.Flush()
	}
}
