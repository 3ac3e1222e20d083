package status

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
)

func at(minute int) metav1.Time {
	return metav1.NewTime(time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC))
}

func TestMerge(t *testing.T) {
	ready := func(status metav1.ConditionStatus, reason string, minute int) metav1.Condition {
		return metav1.Condition{Type: v1alpha1.ConditionReady, Status: status, Reason: reason, LastTransitionTime: at(minute)}
	}
	delegated := metav1.Condition{Type: v1alpha1.ConditionDelegated, Status: metav1.ConditionTrue, LastTransitionTime: at(1)}
	before := []metav1.Condition{ready(metav1.ConditionTrue, "Served", 1), delegated}
	same := merge(before, []metav1.Condition{ready(metav1.ConditionTrue, "ServedInPart", 9)}, at(20))
	if len(same) != 2 || same[0].LastTransitionTime != at(1) || same[0].Reason != "ServedInPart" || same[1] != delegated {
		t.Errorf("the status is as before, so the time is, and what others say stays: %+v", same)
	}
	other := merge(before, []metav1.Condition{ready(metav1.ConditionFalse, "NotListening", 9)}, at(20))
	if other[0].Status != metav1.ConditionFalse || other[0].LastTransitionTime != at(20) {
		t.Errorf("another status has the time of now: %+v", other)
	}
	if before[0].Reason != "Served" {
		t.Error("what was before has been changed")
	}
}

func TestSince(t *testing.T) {
	cluster := func(name string, healthy bool, inside, outside string, minute *metav1.Time) v1alpha1.RouteCluster {
		return v1alpha1.RouteCluster{Name: name, Healthy: healthy, Since: minute,
			Inside: &v1alpha1.RouteHealth{State: inside, Since: minute}, Outside: &v1alpha1.RouteHealth{State: outside, Since: minute}}
	}
	one, nine := at(1), at(9)
	before := []v1alpha1.RouteCluster{cluster("aws", true, "Up", "Up", &one), {Name: "bare", Healthy: true}}
	for name, c := range map[string]struct {
		now                    v1alpha1.RouteCluster
		since, inside, outside metav1.Time
	}{
		"the same":                {cluster("aws", true, "Up", "Up", nil), one, one, one},
		"down inside":             {cluster("aws", false, "Down", "Up", nil), nine, nine, one},
		"down outside":            {cluster("aws", true, "Up", "Down", nil), one, one, nine},
		"another cluster":         {cluster("azure", true, "Up", "Up", nil), nine, nine, nine},
		"without a time till now": {cluster("bare", true, "Up", "Up", nil), nine, nine, nine},
	} {
		since(before, &c.now, nine)
		if *c.now.Since != c.since || *c.now.Inside.Since != c.inside || *c.now.Outside.Since != c.outside {
			t.Errorf("%s: since %v, inside %v, outside %v", name, c.now.Since, c.now.Inside.Since, c.now.Outside.Since)
		}
	}
}

// statusServer is an API server that notes which statuses are written when.
type statusServer struct {
	fail    error
	slow    time.Duration
	written []writtenStatus
	fence
}

type writtenStatus struct {
	object string
	at     time.Time
	uid    types.UID
	hosts  int32
}

// startWriter runs a writer against a server until the test ends.
func startWriter(t *testing.T) (*Writer, *statusServer) {
	t.Helper()
	s := &statusServer{}
	client := dynamicfake.NewSimpleDynamicClient(runtime.NewScheme())
	client.PrependReactor("patch", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		s.passed.Load()
		<-time.After(s.slow)
		s.passed.Load() // a test may have set how it fails meanwhile
		a := action.(clienttesting.PatchActionImpl)
		if a.GetSubresource() != "status" || a.GetPatchType() != types.JSONPatchType {
			return true, nil, errors.New("this is no way to write a status")
		}
		if s.fail != nil {
			return true, nil, s.fail
		}
		var ops []struct {
			Op, Path string
			Value    json.RawMessage
		}
		w := writtenStatus{object: a.GetNamespace() + "/" + a.GetName(), at: time.Now()}
		var status struct{ Hosts int32 }
		err := errors.Join(json.Unmarshal(a.GetPatch(), &ops), json.Unmarshal(ops[0].Value, &w.uid))
		if ops[1].Path == "/status" && a.GetResource().Resource == "dnszones" {
			err = errors.Join(err, json.Unmarshal(ops[1].Value, &status))
		}
		w.hosts = status.Hosts
		s.written = append(s.written, w)
		return true, nil, err
	})
	w := New(client, clock.RealClock{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return w, s
}

// hosts is a status that differs by a number.
func hosts(n int32) v1alpha1.DNSZoneStatus { return v1alpha1.DNSZoneStatus{Hosts: n} }

// TestStatusesRest: a status is written at once, then at most once a second, and it
// is the last one that counts.
func TestStatusesRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := startWriter(t)
		z := dnsZone("example.org", nil)
		other := dnsZone("example.net", nil)
		began := time.Now()
		for i := range int32(5) {
			w.Zone(z, hosts(i+1))
			synctest.Wait()
		}
		w.Zone(other, hosts(1))
		synctest.Wait()
		if len(s.written) != 2 || s.written[0].hosts != 1 || s.written[1].object != "/example.net" || time.Since(began) != 0 {
			t.Fatalf("not one write for each zone at once: %+v", s.written)
		}
		s.elapse(rest)
		synctest.Wait()
		if len(s.written) != 3 || s.written[2].hosts != 5 || s.written[2].at.Sub(began) < rest {
			t.Fatalf("not the last status after a second: %+v", s.written)
		}
		w.Zone(z, hosts(5))
		s.elapse(time.Minute)
		if len(s.written) != 3 {
			t.Errorf("what is there was written again: %+v", s.written)
		}
	})
}

// TestStatusOfBefore: what the object says already is not written, a condition is
// put beside the others.
func TestStatusOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := startWriter(t)
		z := dnsZone("example.org", func(z *v1alpha1.DNSZone) { z.Status = hosts(3) })
		z.Status.LastValid = record(&z.Spec)
		w.Zone(z, hosts(3))
		s.elapse(time.Minute)
		if len(s.written) != 0 {
			t.Errorf("what is there was written: %+v", s.written)
		}
		w.Condition(z, metav1.Condition{Type: v1alpha1.ConditionDelegated, Status: metav1.ConditionTrue, Reason: "Delegated"})
		synctest.Wait()
		if len(s.written) != 1 || s.written[0].hosts != 3 {
			t.Errorf("a condition came in place of the rest: %+v", s.written)
		}
		// A namesake does not inherit what was said of the one before.
		again := dnsZone("example.org", func(z *v1alpha1.DNSZone) { z.UID = "another" })
		w.Zone(again, hosts(3))
		s.elapse(2 * rest)
		if n := len(s.written); n != 2 || s.written[n-1].uid != "another" || len(w.latest(zoneKey(z), "another").(v1alpha1.DNSZoneStatus).Conditions) != 0 {
			t.Errorf("the namesake's status: %+v", s.written)
		}
	})
}

// TestStatusRetries: what fails is tried again, unless it can never be written.
func TestStatusRetries(t *testing.T) {
	namesake := apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "",
		"testing value /metadata/uid failed: test failed", 0, false)
	invalid := apierrors.NewInvalid(schema.GroupKind{Group: "hanse.dev", Kind: "GlobalRoute"}, "route", nil)
	for name, c := range map[string]struct {
		fail    error
		retried bool
	}{
		"the server is away":       {errors.New("connection refused"), true},
		"the server says no":       {apierrors.NewInternalError(errors.New("etcd")), true},
		"a status that is refused": {invalid, true},
		"the object is gone":       {apierrors.NewNotFound(schema.GroupResource{}, "route"), false},
		"it is a namesake":         {namesake, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, s := startWriter(t)
				s.fail = c.fail
				r := &v1alpha1.GlobalRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "route", UID: "uid"}}
				w.Route(r, v1alpha1.GlobalRouteStatus{ObservedGeneration: 1})
				s.elapse(3 * rest / 2)
				s.fail = nil
				s.elapse(2 * rest)
				if retried := len(s.written) > 0; retried != c.retried {
					t.Errorf("tried again: %t, want %t", retried, c.retried)
				}
			})
		})
	}
}

// TestForget: a route that is made again under its name starts again.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := startWriter(t)
		r := &v1alpha1.GlobalRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "route", UID: "uid"}}
		for range 2 {
			w.Route(r, v1alpha1.GlobalRouteStatus{ObservedGeneration: 1})
			synctest.Wait()
			w.Forget("ns", "route")
		}
		if !slices.EqualFunc(s.written, []string{"ns/route", "ns/route"}, func(w writtenStatus, o string) bool { return w.object == o }) {
			t.Errorf("written: %+v", s.written)
		}
	})
}

// TestSpecIsNoted: with the status, in a form in which it is the same when it is read back:
// a restart writes nothing. One that is very large is left out.
func TestSpecIsNoted(t *testing.T) {
	w := New(nil, clock.RealClock{})
	t.Cleanup(w.Close)
	r := &v1alpha1.GlobalRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "route", UID: "uid"}}
	r.Spec.Hosts = []string{"www.example"}
	r.Spec.HealthCheck.Interval = &metav1.Duration{Duration: time.Minute}
	w.Route(r, v1alpha1.GlobalRouteStatus{ObservedGeneration: 1})
	written := w.latest(routeKey("ns", "route"), "uid").(v1alpha1.GlobalRouteStatus)
	if got := string(written.LastValid.Raw); got != `{"healthCheck":{"interval":"1m0s"},"hosts":["www.example"],"routing":{}}` {
		t.Errorf("noted is %s", got)
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&written)
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &r.Status); err != nil {
		t.Fatal(err)
	}
	restarted := New(nil, clock.RealClock{})
	t.Cleanup(restarted.Close)
	restarted.Route(r, v1alpha1.GlobalRouteStatus{ObservedGeneration: 1})
	if len(restarted.wanted) != 0 {
		t.Errorf("it is written again: %+v", restarted.wanted)
	}
	r.Spec.HealthCheck.ExpectedText = string(make([]byte, maxRecord))
	restarted.Route(r, v1alpha1.GlobalRouteStatus{ObservedGeneration: 1})
	if s := restarted.latest(routeKey("ns", "route"), "uid").(v1alpha1.GlobalRouteStatus); s.LastValid != nil {
		t.Error("what is very large is noted")
	}
}

// TestNothingIsRemembered: of what has gone nothing is kept, whether it goes before its
// status is written, after it, or meanwhile.
func TestNothingIsRemembered(t *testing.T) {
	for name, when := range map[string]time.Duration{"after": 5 * rest, "meanwhile": rest / 2, "before": 0} {
		synctest.Test(t, func(t *testing.T) {
			w, s := startWriter(t)
			s.slow = rest
			z := dnsZone("example.org", nil)
			w.Zone(z, hosts(1))
			s.elapse(when)
			s.fail = apierrors.NewNotFound(schema.GroupResource{}, "gone")
			w.ForgetZone(z.Name)
			// What is said of it by somebody who has not heard that it has gone.
			w.Condition(z, metav1.Condition{Type: v1alpha1.ConditionDelegated, Status: metav1.ConditionTrue})
			s.elapse(20 * rest)
			if n := len(w.wanted) + len(w.written) + len(w.at); n != 0 {
				t.Errorf("%s: wanted %v, written %v, at %v", name, w.wanted, w.written, w.at)
			}
		})
	}
}

// TestStatusIsNotOvertaken: while a status is being written, however long that takes,
// nobody else writes the same object's next.
func TestStatusIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := startWriter(t)
		s.slow = 10 * rest
		z := dnsZone("example.org", nil)
		began := time.Now()
		w.Zone(z, hosts(1))
		s.elapse(rest)
		w.Zone(z, hosts(2))
		s.elapse(5 * rest)
		w.Zone(z, hosts(3))
		s.elapse(3 * s.slow)
		if len(s.written) != 2 || s.written[1].hosts != 3 || s.written[1].at.Sub(began) < 2*s.slow {
			t.Errorf("written: %+v", s.written)
		}
	})
}

// TestZoneThatMoves: what a provider said of a zone is gone when the hub serves it,
// what the world's DNS said is not.
func TestZoneThatMoves(t *testing.T) {
	w := New(nil, clock.RealClock{})
	t.Cleanup(w.Close)
	z := dnsZone("example.org", nil)
	z.Status.Conditions = []metav1.Condition{
		{Type: v1alpha1.ConditionDeletionsHeld, Status: metav1.ConditionTrue}, {Type: v1alpha1.ConditionDelegated, Status: metav1.ConditionTrue},
	}
	w.Zone(z, v1alpha1.DNSZoneStatus{Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}})
	var types []string
	for _, c := range w.latest(zoneKey(z), z.UID).(v1alpha1.DNSZoneStatus).Conditions {
		types = append(types, c.Type)
	}
	slices.Sort(types)
	if !slices.Equal(types, []string{v1alpha1.ConditionDelegated, v1alpha1.ConditionReady}) {
		t.Errorf("conditions %v", types)
	}
}

func dnsZone(domain string, change func(*v1alpha1.DNSZone)) *v1alpha1.DNSZone {
	z := &v1alpha1.DNSZone{}
	z.Name, z.UID, z.Generation, z.Spec.Domain = domain, "zone-uid", 3, domain
	if change != nil {
		change(z)
	}
	return z
}

// fence orders what a test does with a fake before what happens as time passes.
type fence struct{ passed atomic.Int32 }

// elapse lets time pass, and then all that happens at its end.
func (f *fence) elapse(d time.Duration) {
	f.passed.Add(1)
	<-time.After(d)
	synctest.Wait()
}
