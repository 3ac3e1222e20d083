package decide

import (
	"github.com/hanse-dev/hanse/internal/propagate/agenda"
	"github.com/hanse-dev/hanse/internal/propagate/cluster"
	"github.com/hanse-dev/hanse/internal/propagate/room"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// crowded is a federation in which web has the only replicas in aws, and the others are
// full.
type crowded struct {
	*rig
	t   *testing.T
	all map[string]*Cluster
}

func newCrowded(t *testing.T) *crowded {
	c := &crowded{rig: demandingRig(), t: t, all: map[string]*Cluster{}}
	for _, name := range []string{"aws", "azure", "google"} {
		c.all[name] = ready(name, 0)
		c.all[name].Labels = map[string]string{"tier": "prod"}
		c.all[name].Facts.Labels = c.all[name].Labels
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
	all := make([]*Cluster, 0, len(c.all))
	for _, one := range c.all {
		all = append(all, one)
	}
	c.clusters(all...)
}

// change has the hub see a cluster as changed.
func (c *crowded) change(name string, change func(*Cluster)) {
	next := *c.all[name]
	change(&next)
	c.all[name] = &next
	c.show()
}

// TestWhatStaysForWantOfRoomWaitsForIt is about every reason to leave a cluster.
func TestWhatStaysForWantOfRoomWaitsForIt(t *testing.T) {
	for name, leave := range map[string]func(c *crowded){
		"drained": func(c *crowded) {
			c.change("aws", func(c *Cluster) { c.Cordoned, c.Drained = true, true })
			c.do(func() {
				c.w.drains.Read(nil, true)
				c.w.backlog.Add(c.w.keys(func(*object) bool { return true }), agenda.Work{Decide: true})
			})
		},
		"tainted": func(c *crowded) {
			c.change("aws", func(c *Cluster) {
				c.Taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoExecute}}
			})
		},
		"lost": func(c *crowded) {
			c.w.losses = cluster.NewLosses(30 * time.Second)
			c.change("aws", func(c *Cluster) { c.Ready, c.Since = false, at(1000) })
			for second := range 60 {
				c.now = at(1000 + second)
				c.apply(Looked{"aws", c.now, false})
				c.apply(Looked{"azure", c.now, true})
				c.apply(Looked{"google", c.now, true})
			}
		},
		"not allowed": func(c *crowded) {
			c.apply(policyOf(policyManifest("web", at(5), 1, selecting("web", prodOnly()))))
			c.change("aws", func(c *Cluster) { c.Labels, c.Facts.Labels = nil, nil })
		},
		"not able": func(c *crowded) {
			c.do(func() {
				c.w.stuck.ceilings.Set(c.key("web"), "aws", 0, c.now)
				c.w.backlog.Add(c.w.keys(func(*object) bool { return true }), agenda.Work{Decide: true})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowded(t)
			leave(c)
			if got := c.get("web"); got.Decision.String() != "aws=3" {
				t.Fatalf("nothing else can take it, and it is %s", got.Decision)
			}
			c.see("azure", 3, podsOf("ballast", 2)...)
			if got := c.get("web").Decision.Division(); got["azure"] != 1 || got["aws"] != 2 {
				t.Errorf("a pod is gone in azure: %v", got)
			}
			c.see("google", 5, podsOf("ballast", 3)...)
			if got := c.get("web").Decision.Division(); got["azure"]+got["google"] != 3 || got["google"] != 2 {
				t.Errorf("google has another node: %v", got)
			}
			if len(c.w.room.Short()) > 0 {
				t.Errorf("all has moved, and %v wait for room", c.w.room.Short())
			}
		})
	}
}

func TestWhatStaysForWantOfRoomGoesToAClusterThatJoins(t *testing.T) {
	c := newCrowded(t)
	c.change("aws", func(c *Cluster) { c.Taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoExecute}} })
	c.all["oracle"] = ready("oracle", 2000)
	c.show()
	if got := c.get("web"); got.Decision.String() != "aws=3" || !strings.Contains(got.Decision.Reason, "free in oracle") || got.Undecided {
		t.Errorf("before it is known what is free in oracle: %s, because %q", got.Decision, got.Decision.Reason)
	}
	c.see("oracle", 2)
	if got := c.get("web").Decision.Division(); got["oracle"] != 2 || got["aws"] != 1 {
		t.Errorf("two fit into oracle: %v", got)
	}
}

// TestPromisesThatEndAreRoom scales down what never had pods, whose end nobody sees.
func TestPromisesThatEndAreRoom(t *testing.T) {
	c := newCrowded(t)
	c.see("azure", 3)
	c.demanding(t, "paused", 20, 3, nil, "")
	c.change("aws", func(c *Cluster) { c.Taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoExecute}} })
	if got := c.get("web"); got.Decision.String() != "aws=3" {
		t.Fatalf("azure is promised, and web is %s", got.Decision)
	}
	c.demanding(t, "paused", 20, 0, recordOf(c.get("paused")), "")
	c.pass(5 * time.Second)
	if got := c.get("web").Decision.Division(); got["azure"] != 3 {
		t.Errorf("azure has room: %v", got)
	}
}

// TestWhyFollowsWhatIsFree says no old numbers.
func TestWhyFollowsWhatIsFree(t *testing.T) {
	c := newCrowded(t)
	c.demanding(t, "web", 10, 3, map[string]string{"hanse.dev/division": `{"aws":3}`}, `{nodeSelector: {}}`)
	big := c.get("web").Object.DeepCopy()
	containers := []any{map[string]any{"name": "c", "resources": map[string]any{"requests": map[string]any{"cpu": "3"}}}}
	_ = unstructured.SetNestedSlice(big.Object, containers, "spec", "template", "spec", "containers")
	c.write(c.gr, big)
	c.change("aws", func(c *Cluster) { c.Taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoExecute}} })
	why := func() (all string) {
		for _, r := range c.get("web").Decision.Rejected {
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
	c.w.room = room.New()
	c.change("aws", func(c *Cluster) { c.Taints = []corev1.Taint{{Key: "maintenance", Effect: corev1.TaintEffectNoExecute}} })
	if got := c.get("web"); got.Decision.String() != "aws=3" {
		t.Errorf("nothing is known, and it is %s", got.Decision)
	}
	for name, pods := range map[string]string{"aws": "web", "azure": "ballast"} {
		c.see(name, 3, podsOf(pods, 3)...)
	}
	c.see("google", 3, podsOf("ballast", 1)...)
	if got := c.get("web").Decision.Division(); got["google"] != 2 || got["aws"] != 1 {
		t.Errorf("two fit into google: %v", got)
	}
}
