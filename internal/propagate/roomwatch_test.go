package propagate

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-dev/hanse/internal/capacity"
)

// crowded is a federation in which web has the only replicas in aws, and the others are
// full.
type crowded struct {
	*rig
	t   *testing.T
	all map[string]*cluster
}

func newCrowded(t *testing.T) *crowded {
	c := &crowded{rig: demandingRig(), t: t, all: map[string]*cluster{}}
	for _, name := range []string{"aws", "azure", "google"} {
		c.all[name] = ready(name, 0)
		c.all[name].labels = map[string]string{"tier": "prod"}
		c.all[name].facts.Labels = c.all[name].labels
	}
	c.show()
	c.see("aws", 3)
	c.see("azure", 3, podsOf("ballast", 3)...)
	c.see("google", 3, podsOf("ballast", 3)...)
	c.demanding(t, "web", 10, 3, map[string]string{"hanse.dev/division": `{"aws":3}`}, "")
	c.see("aws", 3, podsOf("web", 3)...)
	return c
}

func (c *crowded) show() {
	all := make([]*cluster, 0, len(c.all))
	for _, one := range c.all {
		all = append(all, one)
	}
	c.clusters(all...)
}

// change has the hub see a cluster as changed.
func (c *crowded) change(name string, change func(*cluster)) {
	next := *c.all[name]
	change(&next)
	c.all[name] = &next
	c.show()
}

// TestWhatStaysForWantOfRoomWaitsForIt is about every reason to leave a cluster.
func TestWhatStaysForWantOfRoomWaitsForIt(t *testing.T) {
	for name, leave := range map[string]func(c *crowded){
		"drained": func(c *crowded) {
			c.change("aws", func(c *cluster) { c.cordoned, c.drained = true, true })
			c.engine.drains.known = true
			c.engine.decideAll()
		},
		"tainted": func(c *crowded) {
			c.change("aws", func(c *cluster) {
				c.taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoExecute}}
			})
		},
		"lost": func(c *crowded) {
			c.engine.losses = newLosses(30 * time.Second)
			c.change("aws", func(c *cluster) { c.ready, c.since = false, at(1000) })
			for second := range 60 {
				now := at(1000 + second)
				c.engine.losses.judge.Failed("aws", now, now)
				c.engine.losses.judge.Answered("azure", now, now)
				c.engine.losses.judge.Answered("google", now, now)
				c.engine.weighLosses(now)
			}
		},
		"not allowed": func(c *crowded) {
			c.engine.changePolicies([]*unstructured.Unstructured{policyObject("web", at(5), 1, selecting("web", prodOnly()))}, nil)
			c.change("aws", func(c *cluster) { c.labels, c.facts.Labels = nil, nil })
		},
		"not able": func(c *crowded) {
			key := c.get("web").key
			c.engine.mu.Lock()
			c.engine.ceilings[key] = map[string]ceiling{"aws": {most: 0, until: time.Now().Add(time.Hour)}}
			c.engine.decideAll()
			c.engine.mu.Unlock()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowded(t)
			leave(c)
			if got := c.get("web"); got.decision.String() != "aws=3" {
				t.Fatalf("nothing else can take it, and it is %s", got.decision)
			}
			c.see("azure", 3, podsOf("ballast", 2)...)
			if got := c.get("web").decision.Division(); got["azure"] != 1 || got["aws"] != 2 {
				t.Errorf("a pod is gone in azure: %v", got)
			}
			c.see("google", 5, podsOf("ballast", 3)...)
			if got := c.get("web").decision.Division(); got["azure"]+got["google"] != 3 || got["google"] != 2 {
				t.Errorf("google has another node: %v", got)
			}
			if len(c.engine.around.short) > 0 {
				t.Errorf("all has moved, and %v wait for room", c.engine.around.short)
			}
		})
	}
}

func TestWhatStaysForWantOfRoomGoesToAClusterThatJoins(t *testing.T) {
	c := newCrowded(t)
	c.change("aws", func(c *cluster) { c.taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoExecute}} })
	c.all["oracle"] = ready("oracle", 2000)
	c.show()
	if got := c.get("web"); got.decision.String() != "aws=3" || !strings.Contains(got.decision.Reason, "free in oracle") || got.undecided {
		t.Errorf("before it is known what is free in oracle: %s, because %q", got.decision, got.decision.Reason)
	}
	c.see("oracle", 2)
	if got := c.get("web").decision.Division(); got["oracle"] != 2 || got["aws"] != 1 {
		t.Errorf("two fit into oracle: %v", got)
	}
}

// TestPromisesThatEndAreRoom scales down what never had pods, whose end nobody sees.
func TestPromisesThatEndAreRoom(t *testing.T) {
	c := newCrowded(t)
	c.see("azure", 3)
	c.demanding(t, "paused", 20, 3, nil, "")
	c.change("aws", func(c *cluster) { c.taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoExecute}} })
	if got := c.get("web"); got.decision.String() != "aws=3" {
		t.Fatalf("azure is promised, and web is %s", got.decision)
	}
	select {
	case <-c.engine.around.news:
	default:
	}
	c.demanding(t, "paused", 20, 0, recordOf(c.get("paused")), "")
	select {
	case <-c.engine.around.news:
	default:
		t.Error("nobody looks")
	}
	c.engine.decideShort()
	if got := c.get("web").decision.Division(); got["azure"] != 3 {
		t.Errorf("azure has room: %v", got)
	}
}

// TestWhyFollowsWhatIsFree says no old numbers.
func TestWhyFollowsWhatIsFree(t *testing.T) {
	c := newCrowded(t)
	c.demanding(t, "web", 10, 3, map[string]string{"hanse.dev/division": `{"aws":3}`}, `{nodeSelector: {}}`)
	big := c.get("web").obj.DeepCopy()
	containers := []any{map[string]any{"name": "c", "resources": map[string]any{"requests": map[string]any{"cpu": "3"}}}}
	_ = unstructured.SetNestedSlice(big.Object, containers, "spec", "template", "spec", "containers")
	c.sink.apply(big)
	c.change("aws", func(c *cluster) { c.taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoExecute}} })
	why := func() (all string) {
		for _, r := range c.get("web").decision.Rejected {
			all += r.Cluster + ": " + r.Reason + "; "
		}
		return all
	}
	c.see("azure", 3, podsOf("ballast", 2)...)
	if !strings.Contains(why(), "azure: no room for cpu 3; a node has at most cpu 1 free") {
		t.Errorf("one is free: %s", why())
	}
	c.see("azure", 3, podsOf("ballast", 1)...)
	if !strings.Contains(why(), "azure: no room for cpu 3; a node has at most cpu 2 free") {
		t.Errorf("two are free: %s", why())
	}
}

// TestANewHubMovesNothingBeforeItKnows has read neither nodes nor pods.
func TestANewHubMovesNothingBeforeItKnows(t *testing.T) {
	c := newCrowded(t)
	c.engine.around = newSurroundings()
	c.engine.around.watcher = capacity.New(func(string) {})
	c.change("aws", func(c *cluster) { c.taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoExecute}} })
	if got := c.get("web"); got.decision.String() != "aws=3" {
		t.Errorf("nothing is known, and it is %s", got.decision)
	}
	for name, pods := range map[string]string{"aws": "web", "azure": "ballast"} {
		c.see(name, 3, podsOf(pods, 3)...)
	}
	c.see("google", 3, podsOf("ballast", 1)...)
	if got := c.get("web").decision.Division(); got["google"] != 2 || got["aws"] != 1 {
		t.Errorf("two fit into google: %v", got)
	}
}
