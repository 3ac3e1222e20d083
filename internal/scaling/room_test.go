package scaling

import (
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/hanse-dev/hanse/internal/schedule"
)

// full decides as a hub does whose clusters have room for so many more replicas.
func full(room map[string]int64, clusters map[string]bool) Decide {
	var all []schedule.Cluster
	for name, ready := range clusters {
		all = append(all, schedule.Cluster{Name: name, Ready: ready, Domains: []schedule.Domain{{Free: &schedule.Resources{MilliCPU: room[name] * 1000, Pods: 100}}}})
	}
	template := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}}}
	return func(total int32, current map[string]int32, p *schedule.Preferences) (schedule.Decision, error) {
		return schedule.Schedule(schedule.Workload{Key: "deployments.apps/shop/web", Divided: true, Total: total, Current: current, Preferences: p, Template: template, ByRemainder: true}, all), nil
	}
}

// What is added is asked for where there is room, and only there.
func TestApplyKnowsWhatThereIsRoomFor(t *testing.T) {
	room := map[string]int64{"aws": 1, "azure": 5, "google": 0}
	for _, c := range []struct {
		ask, want string // the division and how many have no place
		error     string
	}{
		{ask: "azure=4", want: "aws=1,azure=4,google=1"},
		{ask: "aws=2 azure=6", want: "aws=2,azure=6,google=1"},
		{ask: "aws=0", want: "aws=0,azure=1,google=1"},
		{ask: "aws=9", error: "cluster aws has room for 2 of 9 replicas of deployment/web. Try: hanse scale deployment/web aws=2"},
		{ask: "google=2", error: "Try: hanse scale deployment/web google=1"},
		{ask: "azure=2 google=2", error: "cluster google has room for 1 of 2 replicas"},
		{ask: "--min=google=2 --replicas=4", error: "cluster google cannot have its minimum of 2 replicas"},
		{ask: "--replicas=9", want: "aws=2,azure=6,google=1"},
		{ask: "--replicas=11", want: "aws=2,azure=6,google=1"},
	} {
		t.Run(c.ask, func(t *testing.T) {
			change, err := ask(t, c.ask).Apply(state(t, "aws=1,azure=1,google=1", nil), full(room, three()))
			if c.error != "" {
				if err == nil || !strings.Contains(err.Error(), c.error) {
					t.Errorf("error %v, want %q", err, c.error)
				}
				return
			}
			if err != nil || text(change.Division) != c.want {
				t.Errorf("%s, %v; want %s", text(change.Division), err, c.want)
			}
			if c.ask == "--replicas=11" && (change.Decision.Unplaced != 2 || !slices.ContainsFunc(change.Notes, func(n string) bool { return strings.HasPrefix(n, "2 of 11 replicas fit nowhere: ") })) {
				t.Errorf("two have no place: %+v", change)
			}
		})
	}
}

// A cluster that is away is not asked for room: it follows when it is back.
func TestApplyAddsToAClusterThatIsAway(t *testing.T) {
	clusters := map[string]bool{"aws": false, "azure": true}
	now := state(t, "aws=3,azure=3", nil)
	now.Clusters = clusters
	change, err := ask(t, "aws=4 azure=4").Apply(now, full(map[string]int64{"azure": 1}, clusters))
	if err != nil || text(change.Division) != "aws=4,azure=4" || len(change.Notes) != 1 {
		t.Errorf("%+v, %v", change, err)
	}
	if _, err = ask(t, "aws=4 azure=5").Apply(now, full(map[string]int64{"azure": 1}, clusters)); err == nil || !strings.Contains(err.Error(), "Try: hanse scale deployment/web azure=4") {
		t.Errorf("azure has room for one more: %v", err)
	}
}

// A hub that cannot be asked has nothing decided.
func TestApplyWithoutAnAnswer(t *testing.T) {
	gone := errors.New("the hub cannot be asked")
	silent := func(int32, map[string]int32, *schedule.Preferences) (schedule.Decision, error) {
		return schedule.Decision{}, gone
	}
	for _, line := range []string{"aws=2", "--replicas=9", "--even"} {
		if change, err := ask(t, line).Apply(state(t, "aws=1,azure=1", nil), silent); !errors.Is(err, gone) || change.Division != nil {
			t.Errorf("%s: %+v, %v", line, change, err)
		}
	}
}
