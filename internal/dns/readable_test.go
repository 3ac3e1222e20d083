package dns

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// asObject is what the hub's watch brings of an object.
func asObject(t *testing.T, o runtime.Object, kind string, change func(spec map[string]any)) *unstructured.Unstructured {
	t.Helper()
	u, err := unstructuredOf(o, kind)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(u.Object["spec"].(map[string]any))
	}
	return u
}

// TestWhatCannotBeUnderstood: the last spec that could be stays in effect, after a restart,
// too; and nothing of it ends the hub.
func TestWhatCannotBeUnderstood(t *testing.T) {
	db := embedded(t)
	bad := map[string]func(map[string]any){
		"a day":        func(s map[string]any) { s["healthCheck"] = map[string]any{"interval": "1d"} },
		"a negative":   func(s map[string]any) { s["healthCheck"] = map[string]any{"timeout": "-1s"} },
		"another form": func(s map[string]any) { s["hosts"] = "h1.example.org" },
		"no host":      func(s map[string]any) { s["hosts"] = []any{"a b"} },
	}
	for name, change := range bad {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good := testRoute(1, 1)
				good.UID = "uid"
				zone := dnsZone("example.org", nil)
				var written v1alpha1.GlobalRouteStatus
				var writtenZone v1alpha1.DNSZoneStatus
				for _, restarted := range []bool{false, true} {
					c, _ := newTest(t)
					c.loop.publisher.off, c.listener.bound = false, []string{"127.0.0.1:53"}
					c.loop.publisher.statuses = statusesOf{c.statuses, func(r *v1alpha1.GlobalRoute, s v1alpha1.GlobalRouteStatus) { written = s }, func(s v1alpha1.DNSZoneStatus) { writtenZone = s }}
					ctx, cancel := context.WithCancel(t.Context())
					go c.loop.run(ctx)
					k := c.caches
					k.clusters["aws"] = route.Cluster{Name: "aws"}
					c.loop.database(db, nil)
					routes, zones := c.routeSink(func() {}), c.zoneSink(func() {})
					answered := func(what string, want int) {
						t.Helper()
						<-time.After(time.Second)
						synctest.Wait()
						if n := len(c.loop.view.Load().hosts); n != want {
							t.Errorf("%s: %d hosts are answered, want %d", what, n, want)
						}
					}
					worse := testRoute(1, 2)
					worse.UID, worse.Status = "uid", written
					brokenZone := zone.DeepCopy()
					brokenZone.Generation, brokenZone.Status = 4, writtenZone
					if !restarted {
						zones.Apply(asObject(t, zone, "DNSZone", nil))
						routes.Apply(asObject(t, good, "GlobalRoute", nil))
						answered("good", 1)
						if written.LastValid != nil || writtenZone.LastValid != nil {
							t.Error("it is the writer that notes it")
						}
					} else {
						worse.Status.LastValid, brokenZone.Status.LastValid = noted(t, &good.Spec), noted(t, &zone.Spec)
					}
					zones.Apply(asObject(t, brokenZone, "DNSZone", func(s map[string]any) {
						s["allowedRoutes"] = map[string]any{"namespaces": map[string]any{"from": "Selector", "selector": map[string]any{"matchExpressions": []any{map[string]any{"key": "x", "operator": "Like"}}}}}
					}))
					routes.Replace([]*unstructured.Unstructured{asObject(t, worse, "GlobalRoute", change)})
					answered("bad", 1)
					accepted := meta.FindStatusCondition(written.Conditions, v1alpha1.ConditionAccepted)
					if accepted == nil || accepted.Reason != reasonInvalid || !strings.Contains(accepted.Message, "what was understood last is in effect") || written.ObservedGeneration != 2 {
						t.Errorf("it is not said: %+v", accepted)
					}
					if ready := meta.FindStatusCondition(writtenZone.Conditions, v1alpha1.ConditionReady); ready == nil || !strings.Contains(ready.Message, "Like") {
						t.Errorf("it is not said of the zone: %+v", ready)
					}
					cancel()
					synctest.Wait()
				}
				// Where nothing is noted, nothing is answered, and that is all.
				c, _ := newTest(t)
				worse := testRoute(1, 2)
				c.routeSink(func() {}).Apply(asObject(t, worse, "GlobalRoute", change))
				c.zoneSink(func() {}).Apply(asObject(t, zone, "DNSZone", func(s map[string]any) { s["domain"] = 7 }))
				if r := c.caches.routes["ns/r1"]; r == nil || len(r.Spec.Hosts) != 0 || c.caches.unread["ns/r1"] == "" || len(c.caches.zones) != 0 {
					t.Errorf("%+v, %v", r, c.caches.zones)
				}
			})
		})
	}
}

// noted is a spec as it stands in a status.
func noted(t *testing.T, spec any) *runtime.RawExtension {
	t.Helper()
	u := &unstructured.Unstructured{}
	var err error
	if u.Object, err = runtime.DefaultUnstructuredConverter.ToUnstructured(spec); err != nil {
		t.Fatal(err)
	}
	raw, err := u.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return &runtime.RawExtension{Raw: raw}
}

// statusesOf shows what statuses are to be written.
type statusesOf struct {
	statusWriter
	route func(*v1alpha1.GlobalRoute, v1alpha1.GlobalRouteStatus)
	zone  func(v1alpha1.DNSZoneStatus)
}

func (s statusesOf) Route(r *v1alpha1.GlobalRoute, status v1alpha1.GlobalRouteStatus) {
	s.route(r, status)
}
func (s statusesOf) Zone(_ *v1alpha1.DNSZone, status v1alpha1.DNSZoneStatus) { s.zone(status) }
