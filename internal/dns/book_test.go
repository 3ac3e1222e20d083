package dns

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/grant"
	"github.com/hanse-dev/hanse/internal/dns/route"
)

// TestBookIsKept: a hub that starts again knows whose names are, and there is nothing to
// know of namespaces that have none.
func TestBookIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, client := newTest(t)
		var down atomic.Bool
		down.Store(true)
		client.PrependReactor("*", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
			return down.Load(), nil, errors.New("the hub does not answer")
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		read := make(chan *grant.Book, 1)
		load := func() {
			book := grant.NewBook()
			if c.books.load(ctx, book) {
				read <- book
			}
		}
		go load()
		go c.books.run(ctx)
		c.books.keep(map[string][]byte{"shop": []byte(`{"old.example": {"route":"web","since":"2026-01-01T00:00:00Z"}}`), "gone": []byte("{}"), "bad": []byte("{")})
		<-time.After(5 * pageRest)
		c.books.keep(map[string][]byte{"shop": []byte(`{"www.example": {"route":"web","since":"2026-01-01T00:00:00Z","until":"2027-01-01T00:00:00Z"}}`), "gone": nil})
		<-time.After(5 * pageRest)
		if len(read) > 0 {
			t.Fatal("the book was read while the hub did not answer")
		}
		down.Store(false)
		<-time.After(5 * pageRest)
		synctest.Wait()
		list, err := c.books.pages().List(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for i := range list.Items {
			names = append(names, list.Items[i].GetName())
		}
		if slices.Sort(names); !slices.Equal(names, []string{"dns-names.bad", "dns-names.shop"}) {
			t.Errorf("there are %v", names)
		}
		<-read // whatever had been written by then
		load()
		book := <-read
		if page := string(book.Page("shop")); book.Len() != 1 || !strings.Contains(page, `"www.example"`) || book.Next().Year() != 2027 {
			t.Errorf("%s, until %s", page, book.Next())
		}
		c.books.keep(map[string][]byte{"shop": nil, "bad": nil})
		<-time.After(2 * pageRest)
		synctest.Wait()
		if list, err = c.books.pages().List(ctx, metav1.ListOptions{}); err != nil || len(list.Items) != 0 {
			t.Errorf("%v, left are %v", err, list.Items)
		}
	})
}

// TestNothingIsKeptForEver: of zones, routes and names that have gone, nothing is left in
// memory but a number.
func TestNothingIsKeptForEver(t *testing.T) {
	db := embedded(t)
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTestOf(t, Config{HubUID: "hub", Clock: clock.RealClock{}, Names: grant.Terms{Grace: time.Hour}})
		ctx, cancel := context.WithCancel(t.Context())
		go c.loop.run(ctx)
		go c.statuses.Run(ctx)
		defer func() { cancel(); synctest.Wait() }()
		k := c.caches
		k.clusters["aws"] = route.Cluster{Name: "aws"}
		c.loop.database(db, nil)
		var last uint32
		for round := range 3 {
			for i := range 20 {
				domain := strings.Repeat("x", round+1) + string(rune('a'+i)) + ".example"
				r := testRoute(i, 1)
				r.Spec.Hosts = []string{"www." + domain}
				k.change(func(d *dirty) { k.zones[domain], d.zones = dnsZone(domain, nil), true })
				set(k, r)
			}
			<-time.After(5 * time.Second)
			synctest.Wait()
			p := &c.loop.publisher
			if len(p.zones) != 20 || p.book.Len() != 20*(round+1) || len(c.loop.view.Load().hosts) != 20 {
				t.Fatalf("round %d: %d zones, %d names, %d hosts", round, len(p.zones), p.book.Len(), len(c.loop.view.Load().hosts))
			}
			for _, s := range p.zones {
				last = max(last, s.serial)
			}
			k.change(func(d *dirty) {
				clear(k.zones)
				clear(k.routes)
				d.everything, d.zones = true, true
			})
			<-time.After(5 * time.Second)
			synctest.Wait()
			if len(p.zones)+len(p.named) != 0 || p.serials != last {
				t.Fatalf("round %d: %v %v, serial %d, want %d", round, p.zones, p.named, p.serials, last)
			}
		}
		k.change(func(*dirty) {}) // what has been read here comes before the passes that only the clock wakes
		<-time.After(2 * time.Hour)
		synctest.Wait()
		if n := c.loop.publisher.book.Len(); n != 0 {
			t.Errorf("%d names are remembered", n)
		}
		// A zone that is made again goes on above what there was.
		k.change(func(d *dirty) { k.zones["new.example"], d.zones = dnsZone("new.example", nil), true })
		<-time.After(time.Second)
		synctest.Wait()
		if got := c.loop.publisher.zones["new.example."].serial; got <= last {
			t.Errorf("serial %d after %d", got, last)
		}
	})
}

// TestNamespaceIsLabelled: a zone follows the labels of namespaces.
func TestNamespaceIsLabelled(t *testing.T) {
	db := embedded(t)
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTest(t)
		ctx, cancel := context.WithCancel(t.Context())
		go c.loop.run(ctx)
		defer func() { cancel(); synctest.Wait() }()
		k := c.caches
		k.clusters["aws"] = route.Cluster{Name: "aws"}
		k.zones["example.org"] = dnsZone("example.org", func(z *v1alpha1.DNSZone) {
			z.Spec.AllowedRoutes = &v1alpha1.AllowedRoutes{Namespaces: v1alpha1.RouteNamespaces{
				From: v1alpha1.FromSelector, Selector: &v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{"team": "pay"}},
			}}
		})
		c.loop.database(db, nil)
		set(k, testRoute(1, 1))
		sink := c.namespaceSink(func() {})
		for _, step := range []struct {
			labels map[string]string
			hosts  []string
		}{
			{nil, nil},
			{map[string]string{"team": "pay"}, []string{"h1.example.org."}},
			{map[string]string{"team": "lend"}, nil},
			{map[string]string{"team": "pay", "more": "yes"}, []string{"h1.example.org."}},
		} {
			sink.Apply(namespaceWith("ns", step.labels))
			<-time.After(time.Second)
			synctest.Wait()
			if got := slices.Collect(maps.Keys(c.loop.view.Load().hosts)); !slices.Equal(got, step.hosts) {
				t.Errorf("labels %v: answered are %v, want %v", step.labels, got, step.hosts)
			}
		}
	})
}

func namespaceWith(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
}
