package survive

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/hanse-dev/hanse/api/v1alpha1"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/question"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// federation is what answers at the hub, and by which workloads.
type federation struct {
	losses   *question.Losses
	services map[template.Key][]*decide.Assignment // the workloads whose pods answer
	ingress  map[template.Key]ingress
	routes   []v1alpha1.GlobalRoute
	budgets  []budget
}

// ingress is the Services behind each hostname of one.
type ingress map[string][]template.Key

type budget struct {
	name     template.Key
	selected []*decide.Assignment
	// least and most are minAvailable and maxUnavailable, nil without.
	least, most *intstr.IntOrString
}

func servicesGR() schema.GroupResource { return schema.GroupResource{Resource: "services"} }

func ingressesGR() schema.GroupResource {
	return schema.GroupResource{Group: "networking.k8s.io", Resource: "ingresses"}
}

func statefulSets() schema.GroupResource {
	return schema.GroupResource{Group: "apps", Resource: "statefulsets"}
}

// workloads are the resources whose pods may be behind a Service.
func workloads() []schema.GroupResource {
	return []schema.GroupResource{
		{Group: "apps", Resource: "deployments"}, {Group: "apps", Resource: "replicasets"}, statefulSets(),
		{Group: "apps", Resource: "daemonsets"}, {Resource: "replicationcontrollers"}, {Resource: "pods"},
	}
}

func newFederation(l *question.Losses, routes []v1alpha1.GlobalRoute) *federation {
	f := &federation{losses: l, services: map[template.Key][]*decide.Assignment{}, ingress: map[template.Key]ingress{}, routes: routes}
	in := map[string][]*decide.Assignment{}
	for _, gr := range workloads() {
		for _, a := range l.Objects(gr) {
			in[a.Key.Namespace] = append(in[a.Key.Namespace], a)
		}
	}
	for _, a := range l.Objects(servicesGR()) {
		pods, _, _ := unstructured.NestedStringMap(a.Content.Object, "spec", "selector")
		if len(pods) > 0 {
			f.services[a.Key] = selected(in[a.Key.Namespace], labels.SelectorFromSet(pods))
		}
	}
	for _, a := range l.Objects(ingressesGR()) {
		f.ingress[a.Key] = readIngress(a)
	}
	for _, a := range l.Objects(template.Budgets()) {
		if b, ok := readBudget(a); ok {
			b.selected = selected(in[a.Key.Namespace], podSelector(a))
			f.budgets = append(f.budgets, b)
		}
	}
	return f
}

func selected(all []*decide.Assignment, by labels.Selector) (some []*decide.Assignment) {
	for _, a := range all {
		pods, found, _ := unstructured.NestedStringMap(a.Content.Object, "spec", "template", "metadata", "labels")
		if !found && a.Key.GR.Resource == "pods" {
			pods = a.Object.GetLabels()
		}
		if by.Matches(labels.Set(pods)) {
			some = append(some, a)
		}
	}
	return some
}

func readIngress(a *decide.Assignment) ingress {
	out := ingress{}
	add := func(host string, backend any) {
		m, _ := backend.(map[string]any)
		if name, _, _ := unstructured.NestedString(m, "service", "name"); name != "" {
			out[host] = append(out[host], template.Key{GR: servicesGR(), Namespace: a.Key.Namespace, Name: name})
		}
	}
	spec, _ := a.Content.Object["spec"].(map[string]any)
	rules, _ := spec["rules"].([]any)
	for _, one := range rules {
		rule, _ := one.(map[string]any)
		host, _ := rule["host"].(string)
		paths, _, _ := unstructured.NestedFieldNoCopy(rule, "http", "paths")
		all, _ := paths.([]any)
		for _, path := range all {
			p, _ := path.(map[string]any)
			add(cmp.Or(host, "*"), p["backend"])
		}
	}
	if len(rules) == 0 {
		add("*", spec["defaultBackend"])
	}
	return out
}

func readBudget(a *decide.Assignment) (b budget, ok bool) {
	b.name = a.Key
	read := func(field string) *intstr.IntOrString {
		value, _, _ := unstructured.NestedFieldNoCopy(a.Content.Object, "spec", field)
		switch value := value.(type) {
		case int64:
			n := intstr.FromInt32(template.Count(value))
			return &n
		case string:
			n := intstr.FromString(value)
			return &n
		}
		return nil
	}
	b.least, b.most = read("minAvailable"), read("maxUnavailable")
	return b, (b.least != nil || b.most != nil) && podSelector(a) != nil
}

// podSelector is a budget's, nil if it selects nothing.
func podSelector(a *decide.Assignment) labels.Selector {
	raw, found, _ := unstructured.NestedMap(a.Content.Object, "spec", "selector")
	var selector metav1.LabelSelector
	if !found || runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &selector) != nil {
		return nil
	}
	s, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return nil
	}
	return s
}

// wants is how many of so many pods are to be there; false where the number makes no sense.
func (b *budget) wants(of int32) (n int32, ok bool) {
	number := b.least
	if number == nil {
		number = b.most
	}
	scaled, err := intstr.GetScaledValueFromIntOrPercent(number, int(of), true)
	if err != nil || scaled < 0 {
		return 0, false
	}
	if b.least != nil {
		return int32(min(scaled, 1<<31-1)), true
	}
	return max(0, of-int32(min(scaled, 1<<31-1))), true
}

// scene is one scenario while it is worked out.
type scene struct {
	*federation
	lost map[string]bool
	of   map[template.Key]*question.Loss
}

// lose fills in a scenario. It ends with ctx' error.
func (f *federation) lose(ctx context.Context, s *Scenario, q Question) error {
	all, err := f.losses.Of(ctx, s.Clusters...)
	if err != nil {
		return err
	}
	sc := scene{federation: f, lost: map[string]bool{}, of: make(map[template.Key]*question.Loss, len(all))}
	for _, name := range s.Clusters {
		sc.lost[name] = true
	}
	s.ByHand = f.losses.CutsOff(s.Clusters...) && len(all) > 0
	s.Survives = true
	for i := range all {
		sc.of[all[i].Before.Key] = &all[i]
		if q.Of != "" && all[i].Before.Key.Name != q.Of {
			continue
		}
		s.add(workloadOf(&all[i]), q.All)
	}
	if q.Of == "" {
		s.addServices(sc.unansweredServices())
		s.addHostnames(sc.unansweredHostnames())
		s.addBudgets(sc.brokenBudgets())
	}
	s.cut(q.All)
	return nil
}

func workloadOf(l *question.Loss) Workload {
	a := l.Before
	w := Workload{
		Kind: a.GVK.Kind, Namespace: a.Key.Namespace, Name: a.Key.Name, Replicas: l.Wanted, Kept: l.Kept, FailedOver: l.FailedOver,
		Unplaced: l.Unplaced, AlreadyUnplaced: min(l.Already, l.Unplaced), Disallowed: l.Disallowed, Stays: l.Stays, Where: l.After.String(), Reason: l.Why,
	}
	// A single replica has no quorum that could be lost; nor has one that is lost already.
	w.QuorumLost = a.Key.GR == statefulSets() && l.Wanted > 1 && 2*l.Kept <= l.Wanted && 2*(l.Wanted-l.Already) > l.Wanted
	w.Survives = l.Lost() == 0 && !w.QuorumLost
	w.Try = w.remedy()
	return w
}

// remedy is what would have a workload survive.
func (w *Workload) remedy() string {
	switch {
	case w.Survives:
	case w.Disallowed:
		return "rules that allow more clusters"
	case strings.Contains(w.Reason, "anti-affinity"), strings.Contains(w.Reason, "spread"):
		return "a cluster in another place, a rule that is preferred rather than required, or fewer replicas"
	case strings.Contains(w.Reason, "no room"):
		return "more nodes"
	case w.QuorumLost:
		return "replicas in more clusters"
	}
	return ""
}

// add counts a workload, and lists it where it is asked for or would not survive.
func (s *Scenario) add(w Workload, all bool) {
	s.Affected++
	s.Kept += w.Kept
	s.FailedOver += w.FailedOver
	if !w.Stays {
		s.Unplaced += w.Unplaced - w.AlreadyUnplaced
	}
	if w.QuorumLost {
		s.QuorumLost++
	}
	if w.Disallowed && !w.Survives {
		s.Disallowed++
	}
	s.Survives = s.Survives && w.Survives
	if all || !w.Survives {
		s.Workloads = append(s.Workloads, w)
	}
}

func (s *Scenario) addServices(names []string) {
	s.UnansweredServices, s.Services = len(names), names
	s.Survives = s.Survives && len(names) == 0
}

func (s *Scenario) addHostnames(names []string) {
	s.UnansweredHostnames, s.Hostnames = len(names), names
	s.Survives = s.Survives && len(names) == 0
}

func (s *Scenario) addBudgets(budgets []Budget) { s.BrokenBudgets, s.Budgets = len(budgets), budgets }

// cut bounds what is listed, what would not survive first.
func (s *Scenario) cut(all bool) {
	slices.SortStableFunc(s.Workloads, func(a, b Workload) int {
		switch {
		case a.Survives == b.Survives:
			return 0
		case b.Survives:
			return -1
		}
		return 1
	})
	most := fewWorkloads
	if all {
		most = mostWorkloads
	}
	s.Workloads = s.Workloads[:min(len(s.Workloads), most)]
	s.Services = s.Services[:min(len(s.Services), mostNames)]
	s.Hostnames = s.Hostnames[:min(len(s.Hostnames), mostNames)]
	s.Budgets = s.Budgets[:min(len(s.Budgets), mostNames)]
}

// remain is how many replicas of a workload would run at once, and once what fails over is ready.
func (s *scene) remain(a *decide.Assignment) (now, after int32) {
	if l := s.of[a.Key]; l != nil {
		return l.Kept, l.Kept + l.FailedOver
	}
	n := s.losses.Left(a, s.lost)
	return n, n
}

// silenced says whether something runs now that answers for a Service, and nothing would.
func (s *scene) silenced(service template.Key) bool {
	var now, after int32
	for _, a := range s.services[service] {
		_, left := s.remain(a)
		now, after = now+s.losses.Running(a), after+left
	}
	return now > 0 && after == 0
}

func (s *scene) unansweredServices() (names []string) {
	for key := range s.services {
		if s.silenced(key) {
			names = append(names, key.Namespace+"/"+key.Name)
		}
	}
	slices.Sort(names)
	return names
}

// unansweredHostnames are those of Ingresses and GlobalRoutes.
func (s *scene) unansweredHostnames() []string {
	hosts := map[string]bool{}
	for _, one := range s.ingress {
		for host, services := range one {
			if slices.ContainsFunc(services, s.silenced) {
				hosts[host] = true
			}
		}
	}
	for i := range s.routes {
		s.unrouted(&s.routes[i], hosts)
	}
	delete(hosts, "*") // no name: its Services are said
	return slices.Sorted(maps.Keys(hosts))
}

// unrouted adds the hosts of a GlobalRoute of which nothing would be left that answers.
func (s *scene) unrouted(r *v1alpha1.GlobalRoute, into map[string]bool) {
	for _, e := range r.Spec.Endpoints {
		if !s.lost[e.Cluster] {
			return
		}
	}
	hosts := slices.Clone(r.Spec.Hosts)
	for _, t := range r.Spec.Targets {
		switch t.Kind {
		case "Service":
			if !s.silenced(template.Key{GR: servicesGR(), Namespace: r.Namespace, Name: t.Name}) {
				return
			}
		case "Ingress":
			one := s.ingress[template.Key{GR: ingressesGR(), Namespace: r.Namespace, Name: t.Name}]
			for host, services := range one {
				if !slices.ContainsFunc(services, s.silenced) {
					return
				}
				hosts = append(hosts, host)
			}
			if len(one) == 0 {
				return // nothing is known of it
			}
		default: // a Gateway is in every cluster
			if len(s.lost) < len(s.losses.Clusters()) {
				return
			}
		}
	}
	for _, host := range hosts {
		into[host] = true
	}
}

func (s *scene) brokenBudgets() (all []Budget) {
	for i := range s.budgets {
		b := &s.budgets[i]
		var total, runs, now, after int32
		for _, a := range b.selected {
			if !a.Decision.Divided {
				continue // the clusters' own, one each
			}
			left, later := s.remain(a)
			total, runs, now, after = total+a.Total, runs+s.losses.Running(a), now+left, after+later
		}
		if wants, ok := b.wants(total); ok && runs >= wants && now < wants {
			all = append(all, Budget{Namespace: b.name.Namespace, Name: b.name.Name, Wants: wants, Remain: now, After: after})
		}
	}
	return all
}
