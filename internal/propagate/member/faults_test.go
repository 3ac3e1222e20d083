package member

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/apitest"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// mishap is what becomes of a request to a member's API server.
type mishap int

const (
	fine      mishap = iota
	dropped          // it is done, and no answer comes
	late             // it is done a while later
	twice            // a proxy repeats it
	truncated        // the answer is cut off
	conflicts409
	expired410
	tooMany429
	broken500
	refused503
	stale   // a list is older than what was seen
	lacking // a list lacks objects
	mishaps
)

// suffer lets a mishap happen.
func (m *memberAPI) suffer(w http.ResponseWriter, r *http.Request, what mishap) {
	watches := r.URL.Query().Get("watch") != ""
	_, object := apitest.Split(r.URL.Path)
	lists := r.Method == http.MethodGet && object == "" && !watches
	switch what {
	case conflicts409:
		apitest.Refuse(w, 409, "Conflict")
		return
	case expired410:
		apitest.Refuse(w, 410, "Expired")
		return
	case tooMany429:
		apitest.Refuse(w, 429, "TooManyRequests")
		return
	case broken500:
		apitest.Refuse(w, 500, "InternalError")
		return
	case refused503:
		apitest.Refuse(w, 503, "ServiceUnavailable")
		return
	case late:
		select {
		case <-time.After(rand.N(30 * time.Millisecond)):
		case <-r.Context().Done():
		}
	case stale, lacking:
		if lists {
			m.lie(w, r, what)
			return
		}
	}
	if watches || what == late || what == stale || what == lacking {
		m.serve(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	again := func() *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		r.Body = io.NopCloser(bytes.NewReader(body))
		m.serve(answer, r)
		return answer
	}
	answer := again()
	if what == twice {
		answer = again()
	}
	if what == dropped {
		panic(http.ErrAbortHandler)
	}
	text := answer.Body.Bytes()
	w.Header().Set("Content-Type", "application/json")
	if what == truncated {
		w.Header().Set("Content-Length", fmt.Sprint(len(text)+10))
		text = text[:len(text)/2]
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(text)
}

// lie answers a list with what is not so.
func (m *memberAPI) lie(w http.ResponseWriter, r *http.Request, what mishap) {
	collection, _ := apitest.Split(r.URL.Path)
	m.mu.Lock()
	objects := maps.Clone(m.objects)
	version := m.version
	if what == stale && m.old != nil {
		objects, version = maps.Clone(m.old), max(1, m.version-10)
	}
	if what == lacking {
		for _, path := range slices.Sorted(maps.Keys(objects)) {
			delete(objects, path)
			break
		}
	}
	m.mu.Unlock()
	past := &memberAPI{objects: objects, version: version}
	w.Header().Set("Content-Type", "application/json")
	past.list(w, collection, collection, memberKinds()[collection])
}

// remembers keeps the state as it is now, for lists that are older.
func (m *memberAPI) remembers() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.old = map[string]map[string]any{}
	for path, obj := range m.objects {
		m.old[path] = runtime.DeepCopyJSON(obj)
	}
}

// isQuiet says whether the member's session has nothing to do.
func (m *memberAPI) isQuiet(joined *Member) bool {
	s := joined.engaged()
	return s != nil && s.queue.Len() == 0 && s.queue.Idle()
}

// allWrites are those of the member's session. Events are left out: they are sent by and by, and of what has happened.
func (m *memberAPI) allWrites() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	writes := maps.Clone(m.writes)
	maps.DeleteFunc(writes, func(what string, _ int) bool {
		collection, _ := apitest.Split(what[strings.Index(what, "/"):])
		return strings.HasPrefix(what, "GET ") || collection == "/api/v1/events"
	})
	return writes
}

// stranger is an object of somebody else's in a member, under a name that the hub may come to use.
func stranger(name string) (path string, make func(map[string]any)) {
	return "/api/v1/namespaces/shop/configmaps/" + name, func(obj map[string]any) {
		maps.Copy(obj, configMapOf(name, "theirs"))
		obj["metadata"] = map[string]any{"name": name, "namespace": "shop"}
		if rand.N(2) == 0 { // a copy of one of the hub's
			unstructuredOf(obj).SetLabels(map[string]string{v1alpha1.LabelManaged: "true"})
			unstructuredOf(obj).SetAnnotations(map[string]string{v1alpha1.AnnotationOrigin: hubUID + "/then@50/t/configmaps/shop/another"})
		}
	}
}

// TestAMemberUnderFaults: whatever happens to requests while things change here and there, strangers are left alone, and when
// the faults end, all becomes as the hub has it, and then nothing is written any more.
func TestAMemberUnderFaults(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			underFaults(t, rand.New(rand.NewPCG(seed, 7)))
		})
	}
}

func underFaults(t *testing.T, random *rand.Rand) {
	m, h := newMemberAPI(t), newHub()
	var mu sync.Mutex
	rate := 40 // percent of requests
	m.mishap = func(*http.Request) mishap {
		mu.Lock()
		defer mu.Unlock()
		if random.IntN(100) >= rate {
			return fine
		}
		return mishap(random.IntN(int(mishaps)))
	}
	draw := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n)
	}
	strange := map[string]map[string]any{}
	for i := range 3 {
		path, make := stranger(fmt.Sprint("cm", i))
		m.change(path, make)
		strange[path] = m.get(path)
	}
	member, leave := m.joined(t, h, "aws")
	defer func() { leave() }()
	name := func() string { return fmt.Sprint("cm", draw(8)) }
	for range 120 {
		switch draw(9) {
		case 0, 1, 2:
			h.put(configMaps(), configMapOf(name(), fmt.Sprint("value", draw(5))))
		case 3:
			h.drop(keyOf(name()))
		case 4:
			h.put(deployments(), deploymentOf(int64(draw(5))))
		case 5: // somebody changes one that is there
			path := "/api/v1/namespaces/shop/configmaps/" + name()
			if m.get(path) != nil && strange[path] == nil {
				m.change(path, func(obj map[string]any) { obj["data"] = map[string]any{"key": "drift"} })
			}
		case 6:
			if path := "/api/v1/namespaces/shop/configmaps/" + name(); strange[path] == nil {
				m.remove(path)
			}
		case 7:
			m.remembers()
			m.cut()
		case 8:
			if draw(5) == 0 { // the hub is killed
				leave()
				h.mu.Lock()
				h.members = nil
				h.mu.Unlock()
				member, leave = m.joined(t, h, "aws")
			}
		}
		<-time.After(time.Duration(draw(5)) * time.Millisecond)
	}
	mu.Lock()
	rate = 0
	mu.Unlock()
	m.cut() // whoever watches on a lie has to look again
	member.Disengage()
	leave()
	leave = m.engage(t, member)
	// What was put back often is put back later and later.
	waitLonger(t, longestTruce+patience, "all to be as it is to be", func() bool { return h.difference(m, member, strange) == "" }, func() string { return h.difference(m, member, strange) })
	waitFor(t, "nothing to be left to do", func() bool { return m.isQuiet(member) })
	before := m.allWrites()
	for _, key := range append(h.Keys("aws", configMaps()), h.Keys("aws", deployments())...) {
		if strange[pathOf(key)] == nil {
			member.Enqueue(key)
		}
	}
	waitFor(t, "nothing to be left to do", func() bool { return m.isQuiet(member) })
	after := m.allWrites()
	maps.DeleteFunc(after, func(what string, times int) bool { return before[what] == times })
	if len(after) != 0 {
		t.Errorf("writes when all is as it is to be: %v", after)
	}
	for path, as := range strange {
		if now := m.get(path); !sameBut(now, as) {
			t.Errorf("the stranger %s is %v, was %v", path, now, as)
		}
	}
}

func pathOf(key template.Key) string {
	if key.GR == deployments() {
		return "/apis/apps/v1/namespaces/shop/deployments/" + key.Name
	}
	return "/api/v1/namespaces/shop/configmaps/" + key.Name
}

// difference is what is not as it is to be in a member; empty: nothing.
func (h *hub) difference(m *memberAPI, member *Member, strange map[string]map[string]any) string {
	wanted := map[string]bool{}
	for _, key := range append(h.Keys("aws", configMaps()), h.Keys("aws", deployments())...) {
		path := pathOf(key)
		wanted[path] = true
		if strange[path] != nil {
			continue
		}
		w, _ := h.Wanted("aws", key)
		if obj := m.get(path); obj == nil || w != nil && !sameBut(obj["data"], w.Content.Object["data"]) && key.GR == configMaps() || key.GR == deployments() && replicasIn(obj) != int64(w.Total) {
			return fmt.Sprintf("%s is %v", path, obj)
		}
		if state, why := h.stateOf(member, key); state != v1alpha1.StateSynced {
			return fmt.Sprintf("%s is %s: %s", path, state, why)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for path := range m.objects {
		if strange[path] == nil && !wanted[path] {
			return path + " is there still"
		}
	}
	return ""
}
