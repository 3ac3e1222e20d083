package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// writes is how many writes of a resource the API server has answered since it
// started, whatever they changed, subresources included.
func (c *clients) writes(ctx context.Context, resource string) (int, error) {
	body, err := c.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	scanner := bufio.NewScanner(bytes.NewReader(body))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := scanner.Text()
		if !strings.HasPrefix(line, "apiserver_request_total{") || !strings.Contains(line, `resource="`+resource+`"`) {
			continue
		}
		for _, verb := range []string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"} {
			if strings.Contains(line, `verb="`+verb+`"`) {
				var n float64
				if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
					return 0, fmt.Errorf("%q: %w", line, err)
				}
				total += int(n)
			}
		}
	}
	return total, scanner.Err()
}

// TestOneWritePerChange counts: each change at the hub is one write in each
// member, and costs the hub nothing for what has no status.
func TestOneWritePerChange(t *testing.T) {
	f := chaos(t)
	o := fleetOf{fed: f, ns: f.lastingNamespace(t, "counted")}
	const count = 50
	all := []*clients{f.at}
	for _, c := range f.in {
		all = append(all, c)
	}
	for _, phase := range []struct {
		name string
		do   func(context.Context, int) error
	}{{"creation", o.make}, {"change", o.change}, {"deletion", o.remove}} {
		before := map[string]int{}
		for _, c := range all {
			n, err := c.writes(t.Context(), "configmaps")
			must(t, err)
			before[c.name] = n
		}
		o.each(t, 0, count, phase.do, nil)
		eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
		f.quiet(t)
		for _, c := range all {
			n, err := c.writes(t.Context(), "configmaps")
			must(t, err)
			if n -= before[c.name]; n != count*4/5 {
				t.Errorf("%s of %d ConfigMaps: %d writes at %s", phase.name, count*4/5, n, c.name)
			}
		}
	}
}

// TestDriftWhileTheHubIsAway changes and deletes in a member while no hub runs.
func TestDriftWhileTheHubIsAway(t *testing.T) {
	f := chaos(t)
	ctx, amber := t.Context(), f.in["amber"]
	o := fleetOf{fed: f, ns: f.lastingNamespace(t, "unwatched")}
	o.each(t, 0, 20, o.make, nil)
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
	before := f.memberVersions(t, o.ns)
	must(t, f.hub.Kill(ctx))
	_, err := amber.CoreV1().ConfigMaps(o.ns).Patch(ctx, o.name(0), types.MergePatchType, []byte(`{"data":{"step":"drifted"}}`), metav1.PatchOptions{})
	must(t, err)
	must(t, amber.CoreV1().ConfigMaps(o.ns).Delete(ctx, o.name(1), metav1.DeleteOptions{}))
	must(t, f.hub.Start(ctx))
	eventually(t, soon, func(ctx context.Context) error { return f.converged(ctx, o.ns) })
	f.quiet(t)
	for _, i := range []int{0, 1} {
		delete(before, "amber/configmaps/"+o.ns+"/"+o.name(i))
	}
	f.unwritten(t, o.ns, before)
}
