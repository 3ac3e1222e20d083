package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// clusterLabel is the label that every series of one cluster has.
const clusterLabel = "cluster"

// clusters are those that are joined, and the vectors that have series of them.
type clusters struct {
	mu     sync.RWMutex
	joined map[string]struct{}
	vecs   []interface {
		DeletePartialMatch(prometheus.Labels) int
	}
}

func newClusters() *clusters { return &clusters{joined: map[string]struct{}{}} }

// own has the series of a cluster deleted from the vectors when it leaves.
func (c *clusters) own(vecs ...interface {
	DeletePartialMatch(prometheus.Labels) int
}) {
	c.vecs = append(c.vecs, vecs...)
}

// during calls do unless the cluster is not joined; it does not leave meanwhile. So what comes late, as the answer to a
// write that was under way, does not bring series back that nobody would delete again.
func (c *clusters) during(cluster string, do func()) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if _, ok := c.joined[cluster]; ok {
		do()
	}
}

func (c *clusters) join(cluster string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined[cluster] = struct{}{}
}

func (c *clusters) leave(cluster string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.joined, cluster)
	for _, v := range c.vecs {
		v.DeletePartialMatch(prometheus.Labels{clusterLabel: cluster})
	}
}
