package dns

import (
	"log/slog"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/dns/geo"
)

func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // errors are what many tests are about
	m.Run()
}

// newTest is a Controller that does not run, with an API server that only stores
// routes and zones. It may be made in a bubble of synctest.
func newTest(t *testing.T) (*Controller, *dynamicfake.FakeDynamicClient) {
	t.Helper()
	return newTestOf(t, Config{HubUID: "hub", Clock: clock.RealClock{}})
}

// newTestOf is newTest, configured.
func newTestOf(t *testing.T, cfg Config) (*Controller, *dynamicfake.FakeDynamicClient) {
	t.Helper()
	client := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		v1alpha1.Resource("globalroutes"): "GlobalRouteList", v1alpha1.Resource("dnszones"): "DNSZoneList",
		{Version: "v1", Resource: "configmaps"}: "ConfigMapList",
	})
	c := newController(client, cfg)
	t.Cleanup(func() {
		c.broadcaster.Shutdown()
		c.statuses.Close()
	})
	return c, client
}

// embedded is the database in the binary.
func embedded(t *testing.T) *geo.DB {
	t.Helper()
	db, err := geo.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return db
}
